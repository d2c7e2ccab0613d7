"""What a fault is played on: gateways under a load, which Prometheus scrapes as one job."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from testkit.calls import identifier
from testkit.gateway_process import GatewayProcess, serving
from testkit.http2_connection import connected
from testkit.watch_connection import WatchConnection

READS_A_SECOND = 8.0
STARTING_AT_ONCE = 2
"""Gateways: a start takes a second of a core."""
MAX_START = 150.0
"""Seconds: many start at the same time."""


class Cues:
    """What all stages wait for, in this order: callers call, faults begin."""

    def __init__(self) -> None:
        self.starting = asyncio.Semaphore(STARTING_AT_ONCE)
        self.callers = asyncio.Event()
        self.faults = asyncio.Event()


class Stage:
    """The stage of a job."""

    def __init__(self, job: str, cues: Cues) -> None:
        self.job = job
        self.targets: list[str] = []
        self.is_set = asyncio.Event()
        self._cues = cues

    @asynccontextmanager
    async def gateway(self, vendor: str, **settings: Any) -> AsyncIterator[GatewayProcess]:
        """A gateway of this job. settings: as for `serving`."""
        async with AsyncExitStack() as stack:
            async with self._cues.starting:
                gateway = await stack.enter_async_context(serving(vendor, max_start=MAX_START, **settings))
            self.targets.append(gateway.environment["GATEWAY_METRICS_LISTEN"])
            yield gateway

    async def begin(self) -> None:
        """All is set up: waits until the fault is to begin."""
        self.is_set.set()
        await self._cues.faults.wait()

    @asynccontextmanager
    async def loaded(
        self,
        gateway: GatewayProcess,
        *,
        reads: float = READS_A_SECOND,
        cancels: float = 0.0,
        seconds: float = 1.5,
        watches: int = 0,
        ids: int = 1_000_000,
    ) -> AsyncIterator[None]:
        """A load from when callers call until the block is left.

        reads, cancels: a second, with so many seconds of time. ids: how many different ones are read.
        """

        async def load() -> None:
            await self._cues.callers.wait()
            watching = await WatchConnection.to(gateway.port)
            try:
                for number in range(watches):
                    watching.watch(identifier("watch", number))
                async with connected(gateway.port, 2) as client:
                    await asyncio.gather(
                        forever(reads, lambda number: client.read(identifier("read", number % ids), seconds)),
                        forever(cancels, lambda number: client.cancel(identifier("cancel", number), seconds)),
                    )
                    await asyncio.Event().wait()
            finally:
                watching.close()

        task = asyncio.create_task(load())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def forever(rate: float, call: Callable[[int], Awaitable[object]]) -> None:
    """Begins so many calls a second, whatever becomes of earlier ones, until it is cancelled. rate: 0 for none."""
    if not rate:
        return
    number = 0
    calls: set[asyncio.Future[object]] = set()
    try:
        while True:
            future = asyncio.ensure_future(call(number))
            calls.add(future)
            future.add_done_callback(calls.discard)
            number += 1
            await asyncio.sleep(1 / rate)
    finally:
        for each in calls:
            each.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
