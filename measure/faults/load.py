"""Load that costs little, as a process: `python -m measure.faults.load PORT SECONDS`, one line of JSON for each phase.

The capacity is measured by a closed load. Then calls come at a rate, whatever becomes of them: at half the capacity, at
four times, and at half again. As any gRPC client, it begins no call on a connection that has as many streams as the
server allows: such a call is `held_back`, as is one that the server turns back for that limit. Cancels go on beside
them, on a connection of their own.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import uvloop

from callrequest.v1.call_request_service_pb2 import CancelCallRequestRequest, GetCallRequestResultRequest
from testkit.calls import identifier, percentile
from testkit.http2 import call_headers
from testkit.http2_connection import SERVICE, Connection, Ended

CONNECTIONS, AT_ONCE = 8, 128
DEADLINE = 5.0
"""Seconds that a caller waits: an answer later than that is of no use."""

_READ = call_headers(SERVICE + "GetCallRequestResult", DEADLINE)
_CANCEL = call_headers(SERVICE + "CancelCallRequest", 2 * DEADLINE)
_TICK = 0.002


@dataclass
class Phase:
    """What became of the calls that were begun in one phase. Times in seconds."""

    name: str
    seconds: float
    offered: int = 0
    held_back: int = 0
    turned_back: int = 0
    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    cancels: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    by_second: list[list[float]] = field(default_factory=list)  # of good answers, by when their call began
    bad_seconds: list[int] = field(default_factory=list)

    def summary(self) -> dict[str, object]:
        return {
            "name": self.name,
            "offered": self.offered / self.seconds,
            "held_back": (self.held_back + self.turned_back) / self.seconds,
            "goodput": len(self.answered) / self.seconds,
            "latency": percentile(self.answered, 0.5),
            "refused": len(self.refused) / self.seconds,
            "refusal_p99": percentile(self.refused, 0.99),
            "cancels": len(self.cancels),
            "cancel_p50": percentile(self.cancels, 0.5),
            "cancel_p95": percentile(self.cancels, 0.95),
            "failed": dict(self.failed),
            "latency_by_second": [percentile(second, 0.5) for second in self.by_second],
            "bad_seconds": sorted(set(self.bad_seconds)),
        }


class Load:
    """Phases of load on the same connections."""

    def __init__(self, connections: list[Connection], canceller: Connection) -> None:
        self._connections = connections
        self._canceller = canceller
        self._number = 0

    async def closed(self, seconds: float) -> Phase:
        """As many calls at once as AT_ONCE, each followed by another when it ends."""
        phase, until = Phase("closed", seconds), time.monotonic() + seconds

        def begin(connection: Connection) -> None:
            if time.monotonic() < until:
                self._read(phase, connection, lambda: begin(connection))

        for number in range(AT_ONCE):
            begin(self._connections[number % CONNECTIONS])
        await asyncio.sleep(seconds)
        await self.quiet()
        return phase

    async def open(self, name: str, rate: float, seconds: float) -> Phase:
        """Calls at that rate, and 10 cancels a second."""
        phase, started = Phase(name, seconds), time.monotonic()
        phase.by_second = [[] for _ in range(int(seconds) + 1)]
        cancels = 0
        while (passed := time.monotonic() - started) < seconds:
            while phase.offered < passed * rate:
                connection = self._connections[phase.offered % CONNECTIONS]
                if len(connection.open) < connection.limit:
                    self._read(phase, connection, None, int(passed))
                else:
                    phase.offered += 1
                    phase.held_back += 1
            while cancels < passed * 10:
                self._cancel(phase)
                cancels += 1
            await asyncio.sleep(_TICK)
        return phase

    async def quiet(self) -> None:
        """Waits until no call is under way, at most until the last has missed its deadline."""
        until = time.monotonic() + 2 * DEADLINE + 1
        every = (*self._connections, self._canceller)
        while any(each.open for each in every) and time.monotonic() < until:  # noqa: ASYNC110 (no event tells of it)
            await asyncio.sleep(_TICK)

    def _read(self, phase: Phase, connection: Connection, then: Callable[[], None] | None, second: int = 0) -> None:
        phase.offered += 1
        self._number += 1

        def ended(how: Ended) -> None:
            if how.code == 0 and how.seconds <= DEADLINE:
                phase.answered.append(how.seconds)
                if phase.by_second:
                    phase.by_second[second].append(how.seconds)
            elif how.turned_back:
                phase.turned_back += 1
            else:
                phase.bad_seconds.append(second)
                if b"OVERLOADED" in how.details:
                    phase.refused.append(how.seconds)
                else:
                    phase.failed[how.reason or f"code {how.code}"] += 1
            if then:
                then()

        call_request_id = identifier("load", self._number)
        connection.begin(_READ, GetCallRequestResultRequest(call_request_id=call_request_id).SerializeToString(), ended)

    def _cancel(self, phase: Phase) -> None:
        self._number += 1

        def ended(how: Ended) -> None:
            if how.code == 0:
                phase.cancels.append(how.seconds)
            else:
                phase.failed["cancel " + (how.reason or f"code {how.code}")] += 1

        call_request_id = identifier("cancel", self._number)
        message = CancelCallRequestRequest(call_request_id=call_request_id).SerializeToString()
        self._canceller.begin(_CANCEL, message, ended)


async def _main(port: int, seconds: float) -> None:
    connections = [await Connection.to(port) for _ in range(CONNECTIONS + 1)]
    load = Load(connections[:-1], connections[-1])
    await load.closed(1.5)  # a warm-up
    peak = await load.closed(seconds / 2)
    capacity = len(peak.answered) / peak.seconds
    usual = await load.open("usual", capacity / 2, seconds / 2)
    await load.quiet()
    overload = await load.open("overload", 4 * capacity, seconds)
    after = await load.open("after", capacity / 2, 10)  # the overload's last calls are still under way
    await load.quiet()
    for phase in (peak, usual, overload, after):
        print(json.dumps(phase.summary()), flush=True)


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1]), float(sys.argv[2])))
