"""Cases: what processes share is of no use to them, or breaks again and again; the vendor must not pay for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from testkit.calls import identifier
from testkit.gateway_process import GatewayProcess, serving
from testkit.http2_connection import Connections, connected
from testkit.watch_connection import WatchConnection

from .fault_case import FaultCase, Findings, Form
from .fleet import STATE_KEYS, Fleet, record_all_ok, sharing

_OTHER_KEY = "IB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgE="  # 32 bytes: of the suite, and so no secret
_SLOW: dict[str, Any] = {"WATCH_PENDING_INTERVAL": 60.0, "STATE_KEYS": STATE_KEYS}
_IDS = [identifier("shared", number) for number in range(20)]
_POLLED = identifier("polled", 1)

Disturb = Callable[[Fleet], Coroutine[Any, Any, None]]


async def _nothing(fleet: Fleet) -> None:
    """What is wrong is wrong from the start."""


async def _demote(fleet: Fleet) -> None:
    """The engine becomes a replica of nothing: it answers PING and takes no writes."""
    fleet.engine.command("REPLICAOF", "127.0.0.1", 1)


async def _cut(fleet: Fleet) -> None:
    """All connections to the engine are cut three times a second, those of the subscribers, too."""
    while True:
        for kind in ("NORMAL", "PUBSUB"):
            fleet.engine.command("CLIENT", "KILL", "TYPE", kind)
        await asyncio.sleep(0.33)


def _vendor_calls(other_keys: str, disturb: Disturb, most_watched: int) -> Callable[[Form, Findings], Awaitable[None]]:
    """20 ids are watched on each of two gateways, one more is polled there; most_watched: reads of each watched id."""

    async def measure(form: Form, findings: Findings) -> None:
        async with sharing(1, **_SLOW) as fleet, _another(fleet, other_keys) as (gateway, client):
            connections = [await WatchConnection.to(each.port) for each in (fleet.gateways[0], gateway)]
            for connection in connections:
                for each in _IDS:
                    connection.watch(each)
            while any(len(connection.messages) < len(_IDS) for connection in connections):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            fleet.vendor.reads.clear()
            disturbing = asyncio.create_task(disturb(fleet))
            begun, ended = time.monotonic(), []
            seconds = form.of(5, 20)
            while time.monotonic() - begun < seconds:
                ended += await asyncio.gather(*(each.read(_POLLED, 5) for each in (fleet.clients[0], client)))
                await asyncio.sleep(0.01)
            disturbing.cancel()
            for connection in connections:
                connection.close()
        watched = sum(fleet.vendor.reads[each] for each in _IDS) / len(_IDS)
        polled = fleet.vendor.reads[_POLLED]
        record_all_ok(findings, ended, "polls")
        findings.record(f"{watched:.2f} reads of a watched id in {seconds} s, by 2 gateways", watched <= most_watched)
        # Each gateway's known answer is a second old at most. A cut has each forget it.
        cuts = 3 * seconds if disturb is _cut else 0
        findings.record(f"{polled} reads of the polled id", polled <= 2 * (1.2 * seconds + 2 + 2 * cuts))

    return measure


@asynccontextmanager
async def _another(fleet: Fleet, keys: str) -> AsyncIterator[tuple[GatewayProcess, Connections]]:
    """One more gateway, with these keys, and a client of it."""
    settings = _SLOW | {"STATE_URL": fleet.engine.url, "STATE_KEYS": keys, "DEFAULT_MAX_AGE": "", "FINAL_MAX_AGE": ""}
    async with serving(fleet.vendor.url, **settings) as gateway, connected(gateway.port, 1) as client:
        await gateway.until(lambda: gateway.logged("shared state is up"))
        yield gateway, client


CASES = (
    FaultCase(
        "state-keys",
        "two gateways with different STATE_KEYS, each id watched on both, one polled",
        "each asks the vendor at its own pace, never because of what the other one published",
        _vendor_calls(_OTHER_KEY, _nothing, most_watched=1),
        60,
    ),
    FaultCase(
        "state-demoted",
        "the engine is only a replica now, each id watched on two gateways, one polled",
        "counts as down: polls OK, each gateway asks at its own pace",
        _vendor_calls(STATE_KEYS, _demote, most_watched=2),
        60,
    ),
    FaultCase(
        "state-flapping",
        "all connections to the engine cut three times a second, each id watched on two gateways, one polled",
        "polls OK, all that is watched read again less and less often",
        _vendor_calls(STATE_KEYS, _cut, most_watched=12),
        60,
    ),
)
