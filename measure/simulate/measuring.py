"""Measures the constants: two gateways that share an engine, each asked for one kind of work at a time. A minute."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

import aiohttp

from measure.cpu import cpu_seconds
from measure.following.callers import WATCHES_PER_CONNECTION
from measure.following.lives import Life
from measure.following.living_vendor import LivingVendor
from measure.loadtest.machine import machine
from server.reading.result_cache import ENTRY_BYTES
from server.state.keys import CHANNEL
from testkit.calls import identifier
from testkit.engine import EngineProcess, engine
from testkit.gateway_process import GatewayProcess, serving
from testkit.http2_connection import Connections, connected
from testkit.pushes import PATH, Push, push_settings, signed
from testkit.server_process import free_ports
from testkit.watch_connection import WatchConnection

from .constants import Constants
from .engine_counts import info, operations

SECONDS, CALLERS, WATCHES = 3.0, 64, 2_000
PACE = 0.5
_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="  # of this measurement, and so no secret
_NEVER = float("inf")


@dataclass(slots=True)
class _Bench:
    vendor: LivingVendor
    engine: EngineProcess
    one: GatewayProcess
    other: GatewayProcess
    client: Connections
    other_client: Connections

    def cpu(self) -> float:
        """µs of both gateways."""
        return (cpu_seconds(self.one.process.pid) + cpu_seconds(self.other.process.pid)) * 1e6

    def engine_cpu(self) -> float:
        """µs."""
        return cpu_seconds(info(self.engine, "server", "process_id")) * 1e6

    async def cost(self, times: int, work: Callable[[], Awaitable[object]]) -> float:
        """µs of the gateways for one of so many things."""
        await asyncio.sleep(0.1)  # what was put off is done by then
        before = self.cpu()
        await work()
        await asyncio.sleep(0.1)
        return (self.cpu() - before) / times


async def measure() -> Constants:
    """Measures all of them."""
    async with _bench() as bench:
        memory = (bench.one.memory() + bench.other.memory()) / 2 * 1024
        await _call(bench)  # it is slower at first
        call = await _call(bench)
        used, begun, engine_begun = (
            info(bench.engine, "memory", "used_memory"),
            operations(bench.engine),
            bench.engine_cpu(),
        )
        own_read, shared_read, number = await _reads(bench)
        stored = (info(bench.engine, "memory", "used_memory") - used) / number / 1024
        operation = (bench.engine_cpu() - engine_begun) / (operations(bench.engine) - begun)
        publication, delivery = await _publications(bench)
        push = await _pushes(bench)
        watch_memory, idle, message, watch = await _watches(bench)
        own_poll, shared_poll = await _polls(bench)
        answer = await bench.client.read(identifier("size", 1), 5)
    return Constants(
        f"{datetime.now(UTC):%Y-%m-%d}",
        ", ".join(machine()),
        **{
            name: float(f"{value:.3g}")
            for name, value in {
                "call": call,
                "own_read": own_read - call,
                "shared_read": shared_read - call,
                "own_poll": own_poll,
                "shared_poll": shared_poll,
                "watch": watch - message,
                "message": message,
                "idle": idle,
                "push": push,
                "publication": publication,
                "operation": operation,
                "delivery": delivery,
                "memory": memory,
                "watch_memory": watch_memory,
                "entry_memory": (ENTRY_BYTES + len(answer.response)) / 1024,
                "stored": stored,
            }.items()
        },
    )


@asynccontextmanager
async def _bench() -> AsyncIterator[_Bench]:
    (port,) = free_ports(1)
    with engine(port) as running:
        async with AsyncExitStack() as stack:
            vendor = await stack.enter_async_context(LivingVendor(0.002))
            gateways: list[GatewayProcess] = []
            clients: list[Connections] = []
            for webhook in free_ports(2):
                settings: dict[str, Any] = {
                    "STATE_URL": running.url,
                    "STATE_KEYS": _KEY,
                    "DEFAULT_MAX_AGE": "",
                    "FINAL_MAX_AGE": "",
                    "WATCH_PENDING_INTERVAL": 60,
                    "WATCH_IN_PROGRESS_INTERVAL": PACE,
                } | push_settings(webhook)
                gateways.append(await stack.enter_async_context(serving(vendor.url, **settings)))
                clients.append(await stack.enter_async_context(connected(gateways[-1].port, 4)))
            await asyncio.sleep(1)  # they share by then
            yield _Bench(vendor, running, gateways[0], gateways[1], clients[0], clients[1])


async def _call(bench: _Bench) -> float:
    """A Get of a known result."""
    calls, until, numbers = 0, time.monotonic() + SECONDS, count()

    async def caller() -> None:
        nonlocal calls
        while time.monotonic() < until:
            ended = await bench.client.read(identifier("hot", next(numbers) % 100), 10)
            assert ended.code == 0, ended.reason
            calls += 1

    async def work() -> None:
        await asyncio.gather(*(caller() for _ in range(CALLERS)))

    cost = await bench.cost(1, work)
    return cost / calls


async def _reads(bench: _Bench) -> tuple[float, float, int]:
    """A Get that asks the vendor, one that another process has answered, and how many there were of each."""
    ids = [identifier("new", number) for number in range(round(SECONDS * 1_000))]

    def all_by(client: Connections) -> Callable[[], Awaitable[object]]:
        async def work() -> None:
            left = iter(ids)

            async def caller() -> None:
                for each in left:
                    ended = await client.read(each, 10, max_age=60)
                    assert ended.code == 0, ended.reason

            await asyncio.gather(*(caller() for _ in range(CALLERS)))

        return work

    own = await bench.cost(len(ids), all_by(bench.client))
    return own, await bench.cost(len(ids), all_by(bench.other_client)), len(ids)


async def _publications(bench: _Bench) -> tuple[float, float]:
    """µs of a gateway for a publication that concerns nobody, and of the engine to deliver it to a gateway."""
    number, batch = 10_000, 500
    begun = bench.engine_cpu()

    async def work() -> None:
        with socket.create_connection(("127.0.0.1", bench.engine.port), timeout=5) as connection:
            for first in range(0, number, batch):
                words = [
                    f"PUBLISH {CHANNEL} '{identifier('else', first + each)} 1 result'\r\n" for each in range(batch)
                ]
                connection.sendall("".join(words).encode())
                received = b""
                while received.count(b"\r\n") < batch:
                    received += connection.recv(1 << 16)
                await asyncio.sleep(0.01)

    cost = await bench.cost(2 * number, work)
    return cost, (bench.engine_cpu() - begun) / number / 2


async def _pushes(bench: _Bench) -> float:
    """A signed push."""
    number, url = 500, f"http://{bench.one.environment['GATEWAY_WEBHOOK_LISTEN']}{PATH}"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=16)) as session:

        async def push(each: int) -> None:
            body = Push(identifier("pushed", each), f"evt-{each}").body
            async with session.post(url, data=body, headers=signed(body)) as reply:
                assert reply.status == 200, reply.status

        async def work() -> None:
            await asyncio.gather(*(push(each) for each in range(number)))

        return await bench.cost(number, work)


async def _watches(bench: _Bench) -> tuple[float, float, float, float]:
    """KB of a watch; µs of a watch and second while nothing changes, of a message, and of a watch that ends at once."""
    each, final = identifier("watched", 1), identifier("final", 1)
    bench.vendor.add(each, Life(0, _NEVER, _NEVER))
    bench.vendor.add(final, Life(0, 0, 0))
    before = bench.one.memory()
    connections = await _watching(bench.one.port, [each] * WATCHES)
    memory = (bench.one.memory() - before) * 1024 / WATCHES
    idle = await bench.cost(WATCHES, lambda: asyncio.sleep(5)) / 5.2

    async def change() -> None:
        bench.vendor.add(each, Life(0, 0, _NEVER))
        await bench.client.read(each, 5, max_age=0)
        await _messages(connections, 2)

    message = await bench.cost(WATCHES, change)
    for connection in connections:
        connection.close()
    await asyncio.sleep(1)
    await bench.client.read(final, 5)

    async def watch() -> None:
        for connection in await _watching(bench.one.port, [final] * WATCHES):
            connection.close()

    return memory, idle, message, await bench.cost(WATCHES, watch)


async def _polls(bench: _Bench) -> tuple[float, float]:
    """A poll for those who watch that asks the vendor, and what it makes another process do that watches the same."""
    ids = [identifier("polled", number) for number in range(300)]
    for each in ids:
        bench.vendor.add(each, Life(0, 0, _NEVER))
    costs, connections = [], []
    for gateway in (bench.one, bench.other):
        connections += await _watching(gateway.port, ids)
        await asyncio.sleep(1)
        begun = bench.vendor.reads.total()
        cost = await bench.cost(1, lambda: asyncio.sleep(SECONDS))
        costs.append(cost / (bench.vendor.reads.total() - begun))
    for connection in connections:
        connection.close()
    return costs[0], costs[1] - costs[0]


async def _watching(port: int, ids: list[str]) -> list[WatchConnection]:
    """Watches of these ids; returns once each has its snapshot."""
    connections = []
    for first in range(0, len(ids), WATCHES_PER_CONNECTION):
        connections.append(connection := await WatchConnection.to(port))
        for each in ids[first : first + WATCHES_PER_CONNECTION]:
            connection.watch(each)
    await _messages(connections, 1, len(ids))
    return connections


async def _messages(connections: list[WatchConnection], least: int, watches: int = WATCHES) -> None:
    """Waits until all watches together have so many messages each."""
    async with asyncio.timeout(60):
        while sum(each.messages.total() for each in connections) < least * watches:  # noqa: ASYNC110 (frames come in callbacks)
            await asyncio.sleep(0.01)
