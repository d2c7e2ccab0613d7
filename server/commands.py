"""The commands: serve, sandbox, healthcheck."""

import argparse
import asyncio
import signal
import sys
from typing import Any

import uvloop

from . import __version__, healthcheck
from .app import Gateway
from .end_signals import EndSignals
from .logs import configure_logs, describe, get_log
from .sandbox import Sandbox, describe_known
from .service import SERVICE
from .settings import Address, Settings, SettingsError, load_settings, parse_address, unused_settings

WRONG_SETTINGS = 2

TRY = """
Calls to try, from this folder in another terminal:

  A result, its outcome typed:
    {buf} -d '{{"callRequestId": "77b2c4d5e6f7g890"}}' {service}/GetCallRequestResult

  Cancel a call request; the second time it is ALREADY_CANCELLED:
    {buf} -d '{{"callRequestId": "66a1b2c3d4e5f678"}}' {service}/CancelCallRequest

  An error with its details:
    {buf} -d '{{"callRequestId": "../etc/passwd"}}' {service}/GetCallRequestResult

More ids, one for each status, refusal and fault: python -m server sandbox --help
"""


def main() -> None:
    """Runs the command; exits with 2 when settings are wrong, one line for each on stderr."""
    options = _parse()
    try:
        settings = load_settings()
        if options.command == "healthcheck":
            sys.exit(healthcheck.run(settings))
        console = settings.log_format == "console" or (settings.log_format is None and sys.stdout.isatty())
        configure_logs(settings.log_level, console)
        uvloop.run(_serve(settings) if options.command == "serve" else _sandbox(options.listen))
    except SettingsError as error:
        print(*error.lines, sep="\n", file=sys.stderr)  # noqa: T201
        sys.exit(WRONG_SETTINGS)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="call-request-gateway", description="A gRPC gateway to AI Voice call requests."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="run the gateway; its settings are in the environment, GATEWAY_…")
    sandbox = commands.add_parser(
        "sandbox",
        help="run the vendor, played, for tests",
        description="Plays the vendor over HTTP, with all its quirks and faults, for tests.",
        epilog="Call requests known from the start:\n\n" + describe_known(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sandbox.add_argument("--listen", type=_address, default=parse_address("127.0.0.1:50080"), help="%(default)s")
    commands.add_parser("healthcheck", help="ask the gateway of these settings whether it serves; exit code 0 or 1")
    return parser.parse_args()


def _address(value: str) -> Address:
    try:
        return parse_address(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


async def _serve(settings: Settings) -> None:
    log, signals = get_log(), _signals(settings.grace)
    if unused := unused_settings():
        log.warning("settings without effect in this version", settings=unused)
    async with Gateway(settings) as gateway:
        log.info("serving", address=str(gateway.address), metrics=str(gateway.metrics_address), version=__version__)
        if gateway.sandbox_url and gateway.address.is_loopback:
            print(_calls_to_try(settings, gateway.address), file=sys.stderr, flush=True)  # noqa: T201
        received = await signals.get()
        log.info("draining", signal=received.name)
        # A person who pressed Ctrl-C waits for the prompt; a second signal ends the drain.
        draining = asyncio.create_task(gateway.drain(quick=received == signal.SIGINT))
        hurry = asyncio.create_task(signals.get())
        await asyncio.wait({draining, hurry}, return_when=asyncio.FIRST_COMPLETED)
        for task in (draining, hurry):
            task.cancel()
        await asyncio.wait({draining, hurry})
    log.info("stopped")


async def _sandbox(listen: Address) -> None:
    log, signals = get_log(), _signals(grace=5)
    try:
        async with Sandbox(*listen) as sandbox:
            log.info("sandbox", vendor=sandbox.url)
            await signals.get()
    except OSError:
        raise SettingsError([f"--listen: cannot listen on {listen}; is the port taken?"]) from None


def _signals(grace: float) -> EndSignals:
    """What asks the process to end; what nobody catches goes to the log, without its text."""
    asyncio.get_running_loop().set_exception_handler(_log_unexpected)
    return EndSignals(grace, lambda: get_log().error("ended by force: calls, or the event loop, did not end in time"))


def _log_unexpected(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    get_log().error("unexpected", **(describe(error) if isinstance(error, BaseException) else {}))


def _calls_to_try(settings: Settings, address: Address) -> str:
    plain = settings.tls_certificate is None
    flags = "--http2-prior-knowledge" if plain else f"--cacert {settings.tls_certificate}"
    service = f"{'http' if plain else 'https'}://{address}/{SERVICE}"
    return TRY.format(buf=f".venv/bin/buf curl --protocol grpc {flags}", service=service)
