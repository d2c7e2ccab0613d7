"""What a fault is played on: gateways under a load, which Prometheus scrapes as one job."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from testkit.calls import identifier
from testkit.gateway_process import GatewayProcess, serving
from testkit.http2_connection import connected
from testkit.watch_connection import WatchConnection

READS_A_SECOND = 8.0
STARTING_AT_ONCE = 3
"""Gateways: a start takes a second of a core."""


class Stage:
    """begins: set when the fault is to begin. starting: bounds how many gateways start at once."""

    def __init__(self, job: str, begins: asyncio.Event, starting: asyncio.Semaphore) -> None:
        self.job = job
        self.targets: list[str] = []
        self.is_set = asyncio.Event()
        self._begins = begins
        self._starting = starting

    @asynccontextmanager
    async def gateway(self, vendor: str, **settings: Any) -> AsyncIterator[GatewayProcess]:
        """A gateway of this job. settings: as for `serving`."""
        async with self._starting:
            context = serving(vendor, **settings)
            gateway = await context.__aenter__()
        try:
            self.targets.append(gateway.environment["GATEWAY_METRICS_LISTEN"])
            yield gateway
        finally:
            await context.__aexit__(None, None, None)

    async def begin(self) -> None:
        """All is set up: waits until the fault is to begin."""
        self.is_set.set()
        await self._begins.wait()


async def forever(rate: float, call: Callable[[int], Awaitable[object]]) -> None:
    """Begins so many calls a second, whatever becomes of earlier ones, until it is cancelled."""
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


@asynccontextmanager
async def loaded(
    gateway: GatewayProcess,
    *,
    reads: float = READS_A_SECOND,
    cancels: float = 0.0,
    seconds: float = 1.5,
    watches: int = 0,
    ids: int = 1_000_000,
) -> AsyncIterator[None]:
    """A load until the block is left. reads, cancels: a second, with so many seconds of time. ids: how many
    different ones are read.
    """
    async with connected(gateway.port, 2) as client:
        tasks = []
        if reads:
            tasks.append(
                asyncio.create_task(forever(reads, lambda n: client.read(identifier("read", n % ids), seconds)))
            )
        if cancels:
            tasks.append(
                asyncio.create_task(forever(cancels, lambda n: client.cancel(identifier("cancel", n), seconds)))
            )
        watching = await WatchConnection.to(gateway.port) if watches else None
        for number in range(watches):
            assert watching is not None
            watching.watch(identifier("watch", number))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task
            if watching is not None:
                watching.close()
