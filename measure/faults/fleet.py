"""Several gateways that share one engine, for the fault suite."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from testkit.calls import counted, identifier
from testkit.engine import EngineProcess, engine
from testkit.gateway_process import GatewayProcess, serving
from testkit.http2_connection import Connections, Ended, connected
from testkit.server_process import free_ports
from testkit.stateful_vendor import Vendor

from .fault_case import Findings

REPLICAS = 4
STATE_KEYS = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="  # 32 bytes: of the suite, and so no secret


@dataclass(frozen=True, slots=True)
class Fleet:
    """Gateways that share one engine, and a client of each."""

    vendor: Vendor
    engine: EngineProcess
    gateways: list[GatewayProcess]
    clients: list[Connections]

    async def herd(self, ids: list[str], readers: int, seconds: float, max_age: float | None = None) -> list[Ended]:
        """So many readers of each id, spread over the gateways."""
        turns = [(each, number) for number in range(readers) for each in ids]
        random.Random(7).shuffle(turns)
        calls = (self.clients[number % len(self.clients)].read(each, seconds, max_age) for each, number in turns)
        return list(await asyncio.gather(*calls))

    async def until_shared(self, *, up: bool = True) -> float:
        """Waits until every gateway shares, or none does; returns the seconds that took."""
        begun = time.monotonic()
        async with asyncio.timeout(20):
            while {(await each.scrape())["state_up{}"] for each in self.gateways} != {float(up)}:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return time.monotonic() - begun

    async def until_cuts_are_noticed(self) -> None:
        """Has each gateway use its connection to the engine: one that was cut is noticed then.

        What was read before that moment, by whomever, is not trusted, and is read once more.
        """
        await asyncio.gather(*(client.read(identifier("noticed", at), 5) for at, client in enumerate(self.clients)))

    def log(self, event: str) -> int:
        """How many gateways have logged that event."""
        return sum(bool(each.logged(event)) for each in self.gateways)


@asynccontextmanager
async def sharing(replicas: int = REPLICAS, **settings: object) -> AsyncIterator[Fleet]:
    """So many gateways that share, with ages as by default. settings: of each, `{port}` in them a port of its own."""
    (port,) = free_ports(1)
    with engine(port) as running:
        async with AsyncExitStack() as stack:
            vendor = await stack.enter_async_context(Vendor())
            gateways = [await stack.enter_async_context(_replica(vendor, running, settings)) for _ in range(replicas)]
            clients = [await stack.enter_async_context(connected(each.port, 8)) for each in gateways]
            fleet = Fleet(vendor, running, gateways, clients)
            await fleet.until_shared()
            yield fleet


def _replica(
    vendor: Vendor, running: EngineProcess, settings: dict[str, object]
) -> AbstractAsyncContextManager[GatewayProcess]:
    (port,) = free_ports(1)
    own: dict[str, Any] = {name: str(value).replace("{port}", str(port)) for name, value in settings.items()}
    shared: dict[str, Any] = {
        "STATE_URL": running.url,
        "STATE_KEYS": STATE_KEYS,
        "DEFAULT_MAX_AGE": "",
        "FINAL_MAX_AGE": "",
    }
    return serving(vendor.url, **(shared | own))


def record_all_ok(findings: Findings, ended: list[Ended], what: str) -> None:
    """Records how the calls ended; each has to be OK."""
    outcomes = [each.outcome for each in ended]
    findings.record(f"{what}: {counted(outcomes)}", set(outcomes) == {"OK"})
