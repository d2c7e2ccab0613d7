"""What shared state costs: CPU a call of a gateway with an engine and of one without, in turns.

`python -m measure.shared_state_cost`; it takes a minute. Both gateways run all the time, and only one is called.
"""

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from statistics import median

from measure.cpu import cpu_seconds
from testkit.calls import identifier
from testkit.engine import engine
from testkit.gateway_process import GatewayProcess, serving
from testkit.http2_connection import Connections, connected
from testkit.server_process import free_ports
from testkit.stateful_vendor import Vendor, after

ROUNDS, SECONDS, CALLERS, IDS = 6, 2.0, 64, 100
_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="  # of this measurement, and so no secret
_AGES = {"DEFAULT_MAX_AGE": "", "FINAL_MAX_AGE": "", "MAX_READS": 1000}
_NEXT = count()


@dataclass(frozen=True, slots=True)
class _Side:
    gateway: GatewayProcess
    client: Connections

    def cpu(self) -> float:
        return cpu_seconds(self.gateway.process.pid)

    async def measure(self, *, known: bool) -> float:
        """Microseconds of CPU a call. known: 100 ids are polled; else each call reads a new one."""
        until, calls, begun = time.monotonic() + SECONDS, 0, self.cpu()

        async def call() -> None:
            nonlocal calls
            while time.monotonic() < until:
                number = next(_NEXT)
                each = identifier("hot", number % IDS) if known else identifier("new", number)
                ended = await self.client.read(each, 10)
                assert ended.code == 0, ended.reason
                calls += 1

        await asyncio.gather(*(call() for _ in range(CALLERS)))
        return (self.cpu() - begun) / calls * 1e6


async def _run() -> None:
    (port,) = free_ports(1)
    with engine(port) as running:
        async with AsyncExitStack() as stack:
            vendor = await stack.enter_async_context(Vendor())
            vendor.on_read = after(0.005, vendor.result_of)
            sides = []
            for settings in ({}, {"STATE_URL": running.url, "STATE_KEYS": _KEY}):
                gateway = await stack.enter_async_context(serving(vendor.url, **(_AGES | settings)))  # type: ignore[arg-type]
                sides.append(_Side(gateway, await stack.enter_async_context(connected(gateway.port, 4))))
            alone, shared = sides
            for known, what in ((True, "hot polling"), (False, "passed through, a new id each")):
                pairs = []
                for number in range(ROUNDS):
                    order = sides if number % 2 else sides[::-1]
                    measured = {id(side): await side.measure(known=known) for side in order}
                    pairs.append((measured[id(alone)], measured[id(shared)]))
                    _print(f"{what}: {pairs[-1][0]:.0f} µs alone, {pairs[-1][1]:.0f} µs shared")
                ratio, more = median(two / one for one, two in pairs), median(two - one for one, two in pairs)
                _print(f"{what}: × {ratio:.3f}, {more:+.0f} µs a call (medians of {ROUNDS} pairs)")


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_run())
