"""One of several processes that serve on a port. The supervisor starts and ends it."""

import argparse
import faulthandler
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from ..observability.log_level import LogLevel
from ..observability.logs import get_log
from ..process.garbage_collection import collect_seldom
from ..settings import Settings, SettingsError
from .process_log import ProcessLog
from .serving import counted_handshakes, process_signals, until_drained

if TYPE_CHECKING:
    from ..rpc.core_log import CoreLog


async def serve_as_worker(options: argparse.Namespace, settings: Settings, logs: ProcessLog) -> int:
    with counted_handshakes(settings) as handshakes:
        return await _work(options, settings, logs, handshakes)


async def _work(options: argparse.Namespace, settings: Settings, logs: ProcessLog, handshakes: "CoreLog | None") -> int:
    from ..app import Gateway
    from ..observability.worker_metrics import count_in_slot
    from ..process.embedded_sandbox import with_sandbox
    from ..process.heartbeat import Heartbeat
    from ..process.metrics_folder import shared_folder

    collect_seldom()  # once the modules are loaded
    faulthandler.enable()  # SIGABRT, by which a stuck worker is ended, writes where it was
    signals = process_signals(settings.grace, logs)
    count_in_slot(options.slot, options.metrics)
    if options.sandbox:
        settings = with_sandbox(settings, options.sandbox)
    rate = settings.vendor_max_calls_per_second
    changed: dict[str, Any] = {
        "listen": options.listen,
        "metrics_listen": "",
        "vendor_max_calls_per_second": rate and rate / settings.workers,
    }
    if options.state:
        changed["state_url"] = SecretStr(options.state)
    level = LogLevel(settings.log_level, logs.set_level)
    with shared_folder(options.metrics, options.lock):
        try:
            async with (
                Gateway(settings.model_copy(update=changed), logs.access_log, logs.lines_lost, handshakes) as gateway,
                Heartbeat(options.control, settings.grace, level.change) as control,
            ):
                signals.on_reload = gateway.reload
                return await until_drained(gateway, signals, control.hurry.wait, control.ends_alone)
        except SettingsError as error:
            # Not on stderr alone: a file that is broken by now keeps a running gateway's worker from being replaced.
            get_log().error("a worker cannot start", worker=options.slot, error=error.lines)
            raise
