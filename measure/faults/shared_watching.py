"""Cases: ids are watched on several gateways that share; the channel between them is cut, silent or dead."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from testkit.calls import identifier
from testkit.stateful_vendor import after
from testkit.watch_connection import WatchConnection

from .fault_case import FaultCase, Findings, Form
from .fleet import REPLICAS, Fleet, sharing

_PACE = 2.0
_WATCHING: dict[str, Any] = {"WATCH_PENDING_INTERVAL": _PACE, "WATCH_IN_PROGRESS_INTERVAL": _PACE}
_PER_CONNECTION = 90


async def _watch(fleet: Fleet, ids: list[str]) -> list[WatchConnection]:
    """A watch of each id on each gateway; returns once each has its snapshot."""
    connections = []
    for gateway in fleet.gateways:
        for begin in range(0, len(ids), _PER_CONNECTION):
            connections.append(connection := await WatchConnection.to(gateway.port))
            for each in ids[begin : begin + _PER_CONNECTION]:
                connection.watch(each)
    await _until_all(connections, len(ids), 1)
    return connections


async def _until_all(connections: list[WatchConnection], ids: int, messages: int) -> float:
    """Waits until each watch of so many ids on each gateway has so many messages; returns the seconds that took."""
    begun = time.monotonic()
    async with asyncio.timeout(20):
        while _messages(connections, messages) < messages * ids * REPLICAS:  # noqa: ASYNC110 (nothing to wait for)
            await asyncio.sleep(0.02)
    return time.monotonic() - begun


def _messages(connections: list[WatchConnection], most: int) -> int:
    """Of all watches, so many of each at most."""
    return sum(min(number, most) for each in connections for number in each.messages.values())


def _steady(most: float, *, dead: bool) -> Callable[[Form, Findings], Awaitable[None]]:
    async def measure(form: Form, findings: Findings) -> None:
        ids = [identifier("steady", number) for number in range(form.of(50, 200))]
        paces = form.of(4, 10)
        async with sharing(**_WATCHING) as fleet:
            if dead:
                fleet.engine.command("ACL", "SETUSER", "default", "resetchannels")
                fleet.engine.command("CLIENT", "KILL", "TYPE", "PUBSUB")
                await asyncio.sleep(0.5)
            connections = await _watch(fleet, ids)
            await asyncio.sleep(_PACE)
            before = fleet.vendor.reads.total()
            await asyncio.sleep(paces * _PACE)
            asked = (fleet.vendor.reads.total() - before) / len(ids) / paces
            for each in ids:
                fleet.vendor.statuses[each] = "IN_PROGRESS"
            seconds = await _until_all(connections, len(ids), 2)
            for connection in connections:
                connection.close()
        findings.record(f"{asked:.2f} reads an id and pace", asked <= most)
        findings.record(f"a change seen by all after {seconds:.1f} s", seconds <= 1.2 * _PACE + 0.5)

    return measure


async def _cut(form: Form, findings: Findings) -> None:
    """All subscribers are cut while a result is published."""
    each = identifier("cut", 1)
    async with sharing(2, **(_WATCHING | {"WATCH_PENDING_INTERVAL": 30.0})) as fleet:
        connection = await WatchConnection.to(fleet.gateways[1].port)
        stream = connection.watch(each)
        while not connection.messages[stream]:  # noqa: ASYNC110 (nothing to wait for)
            await asyncio.sleep(0.02)
        fleet.engine.command("CLIENT", "KILL", "TYPE", "PUBSUB")
        fleet.vendor.statuses[each] = "IN_PROGRESS"
        begun = time.monotonic()
        await fleet.clients[0].read(each, 5, max_age=0)
        while connection.messages[stream] < 2 and time.monotonic() - begun < 10:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        seconds = connection.latest - begun
        connection.close()
    findings.record(f"the watcher has it after {seconds:.2f} s", 0 <= seconds <= 1.5)


async def _long(form: Form, findings: Findings) -> None:
    """A read that takes longer than the lease."""
    each = identifier("long", 1)
    async with sharing() as fleet:
        fleet.vendor.on_read = after(4.5, fleet.vendor.result_of)
        ended = await fleet.herd([each], 20, 15)
        reads = fleet.vendor.reads[each]
    answered = sum(one.code == 0 for one in ended)
    findings.record(f"{answered} of 20 answered, {reads} reads", answered == 20 and reads == 1)


CASES = (
    FaultCase(
        "state-watch", "each id watched on 4 gateways", "≤ 1.1 reads an id and pace", _steady(1.1, dead=False), 90
    ),
    FaultCase(
        "state-deaf",
        "the same without publish/subscribe",
        "≤ 2 reads an id and pace, a change seen within the pace",
        _steady(2, dead=True),
        90,
    ),
    FaultCase(
        "state-cut", "subscribers cut while a result is published", "≤ 1.5 s: subscribed again, and read", _cut, 60
    ),
    FaultCase("state-long", "a read longer than the lease", "still one reader, all answered", _long, 60),
)
