"""Serves until a signal comes, then drains: the gateway in one process, the supervisor of several, or the sandbox."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..observability.logs import describe, get_log
from ..process.garbage_collection import collect_seldom
from ..process.signals import ProcessSignals
from ..process.standard_streams import write_stderr
from ..settings import Address, Settings, SettingsError, cannot_listen, let_grpc_report_handshakes
from .calls_to_try import calls_to_try
from .process_log import ProcessLog

if TYPE_CHECKING:
    from ..app import Gateway
    from ..rpc.core_log import CoreLog


async def serve(settings: Settings, logs: ProcessLog) -> int:
    with counted_handshakes(settings) as handshakes:
        from ..app import Gateway

        collect_seldom()  # once its modules are loaded
        signals = process_signals(settings.grace, logs)
        async with Gateway(settings, logs.access_log, logs.lines_lost, handshakes, logs.set_level) as gateway:
            signals.on_reload = gateway.reload
            _log_serving(settings, gateway.address, gateway.metrics_address, gateway.sandbox_url)
            code = await until_drained(gateway, signals, signals.get)  # a second signal ends the drain
    get_log().info("stopped")
    return code


async def supervise(settings: Settings, logs: ProcessLog) -> int:
    from ..process.supervisor import Supervisor
    from ..vendor_api.quirks import Quirk

    signals, quirks = process_signals(settings.grace, logs), {quirk.value: quirk.sentence for quirk in Quirk}
    async with Supervisor(settings, logs.lines_lost, logs.set_level, quirks) as workers:
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
        write_stderr(calls_to_try(settings, address, sandbox_url) + "\n")


async def play_vendor(listen: Address, settings: Settings, logs: ProcessLog) -> int:
    from ..process.embedded_sandbox import sandbox_package

    if not (listen.is_loopback or settings.allow_sandbox):
        raise SettingsError(["--listen: beyond loopback it needs GATEWAY_ALLOW_SANDBOX=true"])
    log, signals = get_log(), process_signals(5, logs)
    try:
        async with sandbox_package().Sandbox(*listen) as sandbox:
            log.info("sandbox", vendor=sandbox.url)
            await signals.get()
    except OSError as error:
        raise cannot_listen("--listen", listen, error) from None
    return 0


async def until_drained(
    gateway: "Gateway",
    signals: ProcessSignals,
    hurried: Callable[[], Coroutine[Any, Any, object]],
    alone: Callable[[], Coroutine[Any, Any, bool]] | None = None,
) -> int:
    """Serves until a signal comes, then drains. For a person who pressed Ctrl-C and waits for the prompt: quickly.

    Returns the exit code: 1 when no signal came, but gRPC's server has ended by itself. hurried: waits until
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


def counted_handshakes(settings: Settings) -> AbstractContextManager["CoreLog | None"]:
    """Returns what counts failed TLS handshakes from gRPC's own lines; without TLS there are none. Before grpc."""
    if settings.tls_key is None or not let_grpc_report_handshakes():
        return nullcontext()
    from ..rpc.core_log import CoreLog

    return CoreLog()


def process_signals(grace: float, logs: ProcessLog) -> ProcessSignals:
    """The signals of this process. What nothing in the event loop catches is logged, too, without its text."""
    asyncio.get_running_loop().set_exception_handler(_log_unexpected)
    return ProcessSignals(grace, logs.ended_by_force)


def _log_unexpected(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    get_log().error("unexpected", **(describe(error) if isinstance(error, BaseException) else {}))
