"""N processes on one port, and the one that looks after them.

The kernel spreads connections over the workers (SO_REUSEPORT); each is a whole gateway. This process serves no calls:
it starts the workers, replaces one that has died or whose event loop is stuck, adds up their metrics, and ends them.
It creates no object of gRPC, so that nothing in it can get stuck.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from ..observability.log_level import LogLevel
from ..observability.logs import describe, get_log
from ..observability.operations import OperationsServer
from ..observability.status_page import StatusPage
from ..observability.worker_metrics import AggregatedMetrics
from ..settings import Address, Settings, parse_address
from .embedded_sandbox import with_vendor
from .metrics_folder import metrics_folder
from .own_engine import OwnEngine, is_installed
from .port import reserved_port
from .signals import ProcessSignals
from .worker_process import WorkerProcess

CHECK_INTERVAL = 0.25
"""Seconds between two checks of the workers."""
PAUSED_AFTER = 1.5
"""Seconds between two checks after which it is the machine that was paused, not a worker that is stuck."""
KILL_MARGIN = 0.3
"""Seconds at the end of GRACE for killing workers; less than app.CLOSE_MARGIN, in which a worker drains by itself."""
STACK_TIMEOUT = 0.2
"""Seconds for a stuck worker to write its stack."""


class Supervisor:
    """Runs the workers of these settings: `async with Supervisor(settings) as workers`: start, supervise, drain.

    lines_lost: returns how many lines of the log this process has lost, for the metrics. set_log_level: has its log
    begin at another level. quirks: the vendor's, for the status page. Entering raises SettingsError.
    """

    def __init__(
        self,
        settings: Settings,
        lines_lost: Callable[[], int],
        set_log_level: Callable[[str], None],
        quirks: Mapping[str, str],
    ) -> None:
        self._settings = settings
        self._log_level = LogLevel(settings.log_level, set_log_level, self._spread_log_level)
        self._page = StatusPage(settings, quirks)
        self._lines_lost = lines_lost
        self._processes: list[WorkerProcess] = []
        self._stack = AsyncExitStack()
        self._ending = False
        self._engine: OwnEngine | None = None
        self.address: Address
        self.metrics_address: Address | None = None
        self.sandbox_url: str | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            settings = self._settings
            self.address = stack.enter_context(reserved_port(settings.listen))
            folder, lock = stack.enter_context(metrics_folder())
            self._metrics = AggregatedMetrics(folder, self._numbers, self._lines_lost)
            vendor = await stack.enter_async_context(with_vendor(settings))
            options = ["--workers", str(settings.workers), "--listen", str(self.address)]
            options += ["--metrics", folder, "--lock", str(lock)]
            if settings.vendor_url is None and vendor.vendor_url is not None:
                self.sandbox_url = vendor.vendor_url
                options += ["--sandbox", self.sandbox_url]
            if settings.state_url is None:
                options += self._own_engine_options(stack, Path(folder))
            self._processes = [WorkerProcess(slot, options, [lock]) for slot in range(settings.workers)]
            if settings.metrics_listen:
                metrics, page = self._metrics, self._page
                operations = OperationsServer(
                    metrics.exposition, metrics.samples, lambda: self.is_ready, page, self._log_level
                )
                stack.push_async_callback(operations.aclose)
                self.metrics_address = await operations.start(parse_address(settings.metrics_listen))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *error: object) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGKILL)
        await _until_ended(self._processes, 1.0)
        await self._stack.aclose()

    def _spread_log_level(self, level: str) -> None:
        for process in self._processes:
            process.set_log_level(level)

    def _numbers(self) -> dict[str, int]:
        """The numbers of all processes that run, by name."""
        workers = {f"worker-{process.slot}": process.pid for process in self._processes if process.runs}
        return {"supervisor": os.getpid()} | workers

    @property
    def is_ready(self) -> bool:
        """Whether calls are served, and go on being served."""
        return not self._ending and any(process.serves for process in self._processes)

    async def start(self) -> int | None:
        """Starts the workers, the first one alone, so that a wrong setting is printed once.

        Returns the exit code of a first worker that ended, else None.
        """
        first, *others = self._processes
        first.start()
        while not first.serves:
            await asyncio.sleep(CHECK_INTERVAL / 5)
            self._receive(first)
            if first.is_stuck:
                await self._kill([first])
            if (code := first.reap()) is not None:
                if code > 0:
                    return code  # it has printed why
                get_log().error("a worker ended", worker=first.slot, exit=code)
                return 1
        for process in others:
            self._start(process)
        return None

    async def supervise(self) -> None:
        """Replaces workers that have ended or are stuck, until it is cancelled."""
        checked_at = time.monotonic()
        while True:
            await asyncio.sleep(CHECK_INTERVAL)
            was_paused = time.monotonic() - checked_at > PAUSED_AFTER
            if self._engine is not None:
                self._engine.restart_if_ended()
            for process in self._processes:
                self._receive(process)
                if was_paused:
                    process.reset_heartbeat()
            await self._kill([process for process in self._processes if process.is_stuck])
            for process in self._processes:
                served = process.serves
                if (code := process.reap()) is not None:
                    self._metrics.worker_ended(process.slot, served=served)
                    get_log().error("a worker ended", worker=process.slot, exit=code)
                if not process.runs and time.monotonic() >= process.may_start_at:
                    self._start(process)
            checked_at = time.monotonic()

    def reload(self) -> None:
        """Has every worker read its files again."""
        for process in self._processes:
            process.send_signal(signal.SIGHUP)

    async def drain(self, received: signal.Signals, signals: ProcessSignals) -> int:
        """Drains all workers. Returns the exit code: 1 when one must be ended by force, which `async with` does.

        One that is still starting then, as on a machine that has much else to do, has no calls: its end is no failure.
        """
        self._ending = True
        until = time.monotonic() + self._settings.grace - min(KILL_MARGIN, self._settings.grace / 20)
        for process in self._processes:
            process.drain(received)
        codes: list[int] = []
        hurry = asyncio.create_task(signals.get())
        while any(process.runs for process in self._processes) and time.monotonic() < until:
            await asyncio.sleep(0.02)
            for process in self._processes:
                process.receive()
                if (code := process.reap()) is not None:
                    codes.append(code)
            if hurry.done():
                for process in self._processes:
                    process.hurry()
                hurry = asyncio.create_task(signals.get())
        hurry.cancel()
        forced = [process for process in self._processes if process.serves and not process.has_finished]
        for process in forced:
            get_log().error("a worker was ended by force: it did not end in time", worker=process.slot)
        return int(bool(forced) or any(codes))

    def _own_engine_options(self, stack: AsyncExitStack, folder: Path) -> list[str]:
        """Starts an engine through which the workers share, if it is installed; returns their options."""
        if not is_installed():
            get_log().info("each worker reads on its own: the extra `valkey` lets them share results")
            return []
        self._engine = stack.enter_context(OwnEngine(folder))
        return ["--state", self._engine.url]

    def _receive(self, process: WorkerProcess) -> None:
        served = process.serves
        process.receive()
        if process.serves and not served:
            self._metrics.worker_serves()
            if self._log_level.level != self._settings.log_level:
                process.set_log_level(self._log_level.level)
            get_log().info("a worker serves", worker=process.slot, pid=process.pid)

    def _start(self, process: WorkerProcess) -> None:
        try:
            process.start()
        except OSError as error:
            get_log().error("a worker could not be started", worker=process.slot, **describe(error))

    async def _kill(self, stuck: list[WorkerProcess]) -> None:
        """Ends workers whose event loop is stuck: by SIGABRT, which writes their stacks to stderr, then by SIGKILL."""
        for process in stuck:
            get_log().error("a worker is stuck", worker=process.slot, pid=process.pid)
        for number in (signal.SIGABRT, signal.SIGKILL):
            for process in stuck:
                process.send_signal(number)
            await _until_ended(stuck, STACK_TIMEOUT)


async def _until_ended(processes: list[WorkerProcess], seconds: float) -> None:
    """Waits until all have ended, at most so many seconds."""
    until = time.monotonic() + seconds
    while not all(process.has_ended for process in processes) and time.monotonic() < until:  # noqa: ASYNC110 (no event for it)
        await asyncio.sleep(0.01)
