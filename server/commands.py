"""The commands: serve, sandbox, healthcheck, doctor, call; and worker, which serve starts when there are several.

Each imports what it needs when it runs: a worker has no sandbox in memory, and the supervisor no gRPC.
"""

import argparse
import asyncio
import faulthandler
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop
from pydantic import SecretStr

from . import __version__
from .observability.access_log import AccessLog
from .observability.log_writer import LogWriter
from .observability.logs import configure_logs, describe, get_log
from .process.descriptors import raise_open_files_limit
from .process.signal_mask import block_signals, unblock_signals
from .process.signals import ProcessSignals
from .process.standard_streams import discard_unwritten, write_stderr
from .settings import (
    Address,
    CannotListenError,
    Settings,
    SettingsError,
    cannot_listen,
    defaults,
    let_grpc_report_handshakes,
    load_settings,
    parse_address,
    tune_grpc,
    unused_settings,
    wants_no_color,
)

if TYPE_CHECKING:
    from .app import Gateway
    from .rpc.core_log import CoreLog

WRONG_SETTINGS = 2
LOG_CLOSE_TIMEOUT = 0.3
"""Seconds at the end for what is left of the log: a part of what app.CLOSE_MARGIN leaves of GRACE."""

CALLS_TO_TRY = """
Calls to try, from this folder in another terminal:

  A result, its outcome typed:
    {call} GetCallRequestResult 77b2c4d5e6f7g890{options}

  Cancel a call request; the second time it is ALREADY_CANCELLED:
    {call} CancelCallRequest 66a1b2c3d4e5f678{options}

  An error with its details:
    {call} GetCallRequestResult ../etc/passwd{options}

More ids, one for each status, refusal and fault: {command} sandbox --help
"""


class Logs:
    """The log and the access log of this process, on its standard output."""

    def __init__(self, settings: Settings, writer: LogWriter) -> None:
        console = settings.log_format == "console" or (settings.log_format is None and sys.stdout.isatty())
        configure_logs(settings.log_level, console, writer, colors=sys.stdout.isatty() and not wants_no_color())
        self.writer = writer
        self.access_log = AccessLog(settings.log_level, None if console else writer)

    def lines_lost(self) -> int:
        """Returns how many lines of the log this process has lost."""
        return self.writer.lost

    def ended_by_force(self) -> None:
        """Logs that, and waits until it is written, which may be never."""
        get_log().error("ended by force: calls, or the event loop, did not end in time")
        self.writer.close(LOG_CLOSE_TIMEOUT)


def main() -> None:
    """Runs the command; exits with 2 when settings are wrong, one line for each on stderr."""
    options = _parse()
    tune_grpc()
    try:
        if options.command == "doctor":
            sys.exit(_examine(as_json=options.json))
        if options.command == "call":
            sys.exit(_call(options))
        settings = load_settings(getattr(options, "workers", None))
        if options.command == "healthcheck":
            from . import healthcheck

            unblock_signals()
            failure = healthcheck.find_failure(settings)
            write_stderr(f"{failure}\n" if failure else "")
            sys.exit(1 if failure else 0)
        try:
            sys.exit(_run(options, settings))
        except CannotListenError as error:
            raise _all_that_fail(error, settings) if options.command == "serve" else error from None
    except SettingsError as error:
        write_stderr("".join(f"{line}\n" for line in error.lines))
        sys.exit(WRONG_SETTINGS)
    finally:
        discard_unwritten()


def _run(options: argparse.Namespace, settings: Settings) -> int:
    """Runs a command that logs; returns its exit code."""
    block_signals()  # before any thread begins
    raise_open_files_limit()
    logs = Logs(settings, LogWriter(1))
    try:
        code: int = uvloop.run(_command(options, settings, logs))
        return code
    finally:
        logs.writer.close(LOG_CLOSE_TIMEOUT)


def _examine(*, as_json: bool) -> int:
    """Runs doctor; returns its exit code. Only its findings are written: nothing is logged."""
    from .doctor.examination import examine
    from .doctor.report import report

    unblock_signals()
    configure_logs("error", console=False, sink=_Nowhere())
    try:
        code: int = uvloop.run(report(examine(), as_json=as_json))
    except (BrokenPipeError, KeyboardInterrupt):  # nobody waits for the rest
        return 1
    return code


def _call(options: argparse.Namespace) -> int:
    """Runs call; returns its exit code."""
    from .call import WrongRequestError, call

    unblock_signals()
    try:
        return call(options.address, options.method, options.request, options.cacert, options.name, options.token)
    except WrongRequestError as error:
        write_stderr(f"{error}\n")
        return WRONG_SETTINGS
    except (BrokenPipeError, KeyboardInterrupt):  # the end of a watch, as a rule: nobody reads it any more
        return 0


def _all_that_fail(error: CannotListenError, settings: Settings) -> SettingsError:
    """The same with a line for every other address that cannot be listened on: one is not found after the other."""
    from .observability.listening import addresses_that_fail

    named = {line.partition(":")[0] for line in error.lines}
    more = [line for line in addresses_that_fail(settings).values() if line.partition(":")[0] not in named]
    return SettingsError([*error.lines, *more])


class _Nowhere:
    """Takes no line of a log."""

    def add(self, make: Callable[..., str], *parts: object) -> None: ...


def _parse() -> argparse.Namespace:
    if sys.argv[1:2] == ["worker"]:  # started by serve, not by people: no help and no error names it
        return _parse_worker()
    parser = argparse.ArgumentParser(
        prog="call-request-gateway", description="A gRPC gateway to AI Voice call requests."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    serve = commands.add_parser(
        "serve",
        help="run the gateway; its settings are in the environment, GATEWAY_…",
        epilog="Settings, variables of the environment, with their defaults:\n\n" + defaults(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve.add_argument("--workers", help="how many processes serve on the port, instead of GATEWAY_WORKERS")
    sandbox = commands.add_parser(
        "sandbox",
        help="run a vendor for tests",
        description="Plays the vendor over HTTP, with all its quirks and faults, for tests.",
        epilog="Seed data, there from the start:\n\n" + (_seed_data() if "sandbox" in sys.argv else ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sandbox.add_argument("--listen", type=_address, default=parse_address("127.0.0.1:50080"), help="%(default)s")
    commands.add_parser("healthcheck", help="ask the gateway of these settings whether it serves; exit code 0 or 1")
    doctor = commands.add_parser("doctor", help="try what these settings need, step by step; exit code 0 or 1")
    doctor.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    _add_call(commands.add_parser("call", help="make one call of a gateway, for a first try; exit code 0 or 1"))
    return parser.parse_args()


def _add_call(call: argparse.ArgumentParser) -> None:
    call.add_argument("method", help="GetCallRequestResult, CancelCallRequest or another of the service's")
    call.add_argument("request", help="in JSON, or a call request id alone")
    call.add_argument("--address", type=_address, default=parse_address("127.0.0.1:50051"), help="%(default)s")
    call.add_argument("--cacert", type=Path, help="PEM file of the server's CA, or its own certificate; else plaintext")
    call.add_argument("--name", help="what the server's certificate is valid for, if that is not the address")
    call.add_argument("--token", help="a bearer token; other users of this machine can see it in the list of processes")


def _parse_worker() -> argparse.Namespace:
    worker = argparse.ArgumentParser()
    worker.add_argument("command")
    worker.add_argument("--workers", required=True)
    worker.add_argument("--slot", type=int, required=True)
    worker.add_argument("--control", type=int, required=True)
    worker.add_argument("--listen", required=True)
    worker.add_argument("--metrics", required=True)
    worker.add_argument("--lock", type=int, required=True)
    worker.add_argument("--sandbox")
    worker.add_argument("--state")
    return worker.parse_args()


def _seed_data() -> str:
    from .process.embedded_sandbox import sandbox_package

    described: str = sandbox_package().describe_seed_data()
    return described


def _address(value: str) -> Address:
    try:
        return parse_address(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _command(options: argparse.Namespace, settings: Settings, logs: Logs) -> Coroutine[Any, Any, int]:
    """Returns the command's coroutine, which returns the exit code."""
    if options.command == "sandbox":
        return _sandbox(options.listen, settings, logs)
    if options.command == "worker":
        return _worker(options, settings, logs)
    if unused := unused_settings():
        get_log().warning("settings without effect in this version", settings=unused)
    return _serve(settings, logs) if settings.workers == 1 else _supervise(settings, logs)


async def _serve(settings: Settings, logs: Logs) -> int:
    with _handshakes(settings) as handshakes:
        from .app import Gateway

        signals = _signals(settings.grace, logs)
        async with Gateway(settings, logs.access_log, logs.lines_lost, handshakes) as gateway:
            signals.on_reload = gateway.reload
            _log_serving(settings, gateway.address, gateway.metrics_address, gateway.sandbox_url)
            code = await _until_drained(gateway, signals, signals.get)  # a second signal ends the drain
    get_log().info("stopped")
    return code


async def _worker(options: argparse.Namespace, settings: Settings, logs: Logs) -> int:
    with _handshakes(settings) as handshakes:
        return await _work(options, settings, logs, handshakes)


async def _work(options: argparse.Namespace, settings: Settings, logs: Logs, handshakes: "CoreLog | None") -> int:
    from .app import Gateway
    from .observability.worker_metrics import count_in_slot
    from .process.embedded_sandbox import of_sandbox
    from .process.heartbeat import Heartbeat
    from .process.metrics_folder import shared_folder

    faulthandler.enable()  # SIGABRT, by which a stuck worker is ended, writes where it was
    signals = _signals(settings.grace, logs)
    count_in_slot(options.slot, options.metrics)
    if options.sandbox:
        settings = of_sandbox(settings, options.sandbox)
    rate = settings.vendor_max_calls_per_second
    changed: dict[str, Any] = {
        "listen": options.listen,
        "metrics_listen": "",
        "vendor_max_calls_per_second": rate and rate / settings.workers,
    }
    if options.state:
        changed["state_url"] = SecretStr(options.state)
    with shared_folder(options.metrics, options.lock):
        try:
            async with (
                Gateway(settings.model_copy(update=changed), logs.access_log, logs.lines_lost, handshakes) as gateway,
                Heartbeat(options.control, settings.grace) as control,
            ):
                signals.on_reload = gateway.reload
                return await _until_drained(gateway, signals, control.hurry.wait, control.ends_alone)
        except SettingsError as error:
            # Not on stderr alone: a file that is broken by now keeps a running gateway's worker from being replaced.
            get_log().error("a worker cannot start", worker=options.slot, error=error.lines)
            raise


def _handshakes(settings: Settings) -> AbstractContextManager["CoreLog | None"]:
    """Returns what counts failed TLS handshakes from gRPC's own lines; without TLS there are none. Before grpc."""
    if settings.tls_key is None or not let_grpc_report_handshakes():
        return nullcontext()
    from .rpc.core_log import CoreLog

    return CoreLog()


async def _supervise(settings: Settings, logs: Logs) -> int:
    from .process.supervisor import Supervisor

    signals = _signals(settings.grace, logs)
    async with Supervisor(settings, logs.lines_lost) as workers:
        starting, receiving = asyncio.create_task(workers.start()), asyncio.create_task(signals.get())
        await asyncio.wait({starting, receiving}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            if (code := starting.result()) is not None:
                receiving.cancel()
                return code
            signals.on_reload = workers.reload
            _log_serving(settings, workers.address, workers.metrics_address, workers.sandbox_url)
            supervising = asyncio.create_task(workers.supervise())
            await asyncio.wait({supervising, receiving}, return_when=asyncio.FIRST_COMPLETED)
            supervising.cancel()
        starting.cancel()
        received = await receiving
        get_log().info("draining", signal=received.name)
        code = await workers.drain(received, signals)
    get_log().info("stopped")
    return code


def _log_serving(settings: Settings, address: Address, metrics: Address | None, sandbox_url: str | None) -> None:
    where = {"address": str(address)} | ({"metrics": str(metrics)} if metrics else {})
    get_log().info("serving", **where, version=__version__)
    # Else they would need a token, or a certificate.
    if sandbox_url and address.is_loopback and settings.callers is None and settings.tls_client_ca is None:
        write_stderr(_calls_to_try(settings, address) + "\n")


async def _until_drained(
    gateway: "Gateway",
    signals: ProcessSignals,
    hurried: Callable[[], Coroutine[Any, Any, object]],
    alone: Callable[[], Coroutine[Any, Any, bool]] | None = None,
) -> int:
    """Serves until a signal comes, then drains. For a person who pressed Ctrl-C and waits for the prompt: quickly.

    Returns the exit code: 1 when no signal came, but one of gRPC's servers has ended by itself. hurried: waits until
    calls need not be finished any more. alone: for one of several workers: whether the others serve on; then it drains
    quickly, too, since its clients find them at the same address.
    """
    early = signals.asked_to_end  # it came while the gateway started: nobody knows of it yet
    receiving, breaking = asyncio.create_task(signals.get()), asyncio.create_task(gateway.broken())
    await asyncio.wait({receiving, breaking}, return_when=asyncio.FIRST_COMPLETED)
    breaking.cancel()
    if receiving.done():
        received = receiving.result()
        get_log().info("draining", signal=received.name)
        code, quick = 0, early or received == signal.SIGINT or (alone is not None and await alone())
    else:
        receiving.cancel()
        get_log().error("one of gRPC's servers ended by itself: this process ends, to be started again")
        code, quick = 1, True
    draining = asyncio.create_task(gateway.drain(quick=quick))
    hurry = asyncio.create_task(hurried())
    await asyncio.wait({draining, hurry}, return_when=asyncio.FIRST_COMPLETED)
    for task in (draining, hurry):
        task.cancel()
    await asyncio.wait({draining, hurry})
    return code


async def _sandbox(listen: Address, settings: Settings, logs: Logs) -> int:
    from .process.embedded_sandbox import sandbox_package

    if not (listen.is_loopback or settings.allow_sandbox):
        raise SettingsError(["--listen: beyond loopback it needs GATEWAY_ALLOW_SANDBOX=true"])
    log, signals = get_log(), _signals(5, logs)
    try:
        async with sandbox_package().Sandbox(*listen) as sandbox:
            log.info("sandbox", vendor=sandbox.url)
            await signals.get()
    except OSError as error:
        raise cannot_listen("--listen", listen, error) from None
    return 0


def _signals(grace: float, logs: Logs) -> ProcessSignals:
    """The signals of this process. What nothing in the event loop catches is logged, too, without its text."""
    asyncio.get_running_loop().set_exception_handler(_log_unexpected)
    return ProcessSignals(grace, logs.ended_by_force)


def _log_unexpected(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    get_log().error("unexpected", **(describe(error) if isinstance(error, BaseException) else {}))


def _calls_to_try(settings: Settings, address: Address) -> str:
    """Commands that work when they are pasted, whatever was set, and however this one was started."""
    program, options = Path(sys.argv[0]), ""
    if program.name == "__main__.py":
        python = Path(sys.executable)
        here = python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else python
        command = f"{shlex.quote(str(here))} -m {(__package__ or '')}"
    else:
        command = program.name if shutil.which(program.name) else shlex.quote(str(program))
    if str(address) != "127.0.0.1:50051":
        options += f" --address {address}"
    if settings.tls_certificate is not None:
        from .call import name_of_certificate

        options += f" --cacert {shlex.quote(str(settings.tls_certificate))}"
        name = name_of_certificate(settings.tls_certificate)
        options += f" --name {name}" if name else ""
        options = f" \\\n     {options}"
    return CALLS_TO_TRY.format(call=f"{command} call", options=options, command=command)
