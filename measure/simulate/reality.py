"""The same scenario on real processes: four gateways that share one Valkey, a vendor, and callers that follow.

Ten minutes are compressed into two: all intervals, and the lives of the call requests, are shorter by one factor.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from measure.cpu import cpu_seconds
from measure.following.callers import Caller, Gateway
from measure.following.living_vendor import LivingVendor
from testkit.calls import identifier
from testkit.engine import EngineProcess, engine
from testkit.gateway_process import GatewayProcess, serving
from testkit.pushes import push_settings
from testkit.server_process import free_ports

from .engine_counts import operations
from .scenario import POLL, WEBHOOK, Outage, Scenario

FACTOR = 5.0
_KEYS = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="  # 32 bytes: of this measurement, and so no secret
_COUNTED = 120.0


def compressed(mode: str) -> Scenario:
    """Ten minutes of 2 000 call requests in two, with restarts and an engine that is away for half a minute."""
    warm_up = 24.0
    return Scenario(
        mode,
        open=2_000,
        callers=2,
        replicas=4,
        seconds=_COUNTED,
        warm_up=warm_up,
        waits=1_200 / FACTOR,
        calls=60 / FACTOR,
        poll_every=60 / FACTOR,
        max_age=1 / FACTOR,
        pending_interval=(300 if mode == WEBHOOK else 60) / FACTOR,
        in_progress_interval=5 / FACTOR,
        connection_age=1_800 / FACTOR,
        vendor_takes=0.05 / FACTOR,
        push_takes=1 / FACTOR,
        restart=3.0,
        engine_outages=(Outage(warm_up + 60, warm_up + 66),),
        spread=30 / FACTOR,
        poll_takes=0.003,  # four gateways, the vendor and the callers have two cores
    )


@dataclass(frozen=True, slots=True)
class Reality:
    """What was counted. cpu: seconds, of all gateways."""

    vendor_calls: int
    engine_operations: int
    cpu: float


@dataclass(slots=True)
class _Fleet:
    """Gateways that can be restarted on their ports, and what was counted before that."""

    scenario: Scenario
    vendor: LivingVendor
    engine: EngineProcess
    stack: AsyncExitStack
    ports: list[int]
    pushed_to: list[int]
    processes: dict[int, GatewayProcess] = field(default_factory=dict)
    gateways: list[Gateway] = field(default_factory=list)
    _operations: int = 0
    _cpu: float = 0.0

    async def start(self, number: int) -> GatewayProcess:
        """Starts a gateway, as the scenario has it, on the ports of that number."""
        scenario = self.scenario
        settings: dict[str, Any] = {
            "STATE_URL": self.engine.url,
            "STATE_KEYS": _KEYS,
            "DEFAULT_MAX_AGE": scenario.max_age,
            "FINAL_MAX_AGE": "",
            "WATCH_PENDING_INTERVAL": scenario.pending_interval,
            "WATCH_IN_PROGRESS_INTERVAL": scenario.in_progress_interval,
            "MAX_CONNECTION_AGE": scenario.connection_age,
            "DRAIN_DELAY": 0,
            "GRACE": 2,
            "LOG_LEVEL": "warning",
        }
        if scenario.mode == WEBHOOK:
            settings |= push_settings(self.pushed_to[number])
        return await self.stack.enter_async_context(serving(self.vendor.url, port=self.ports[number], **settings))

    async def restart(self, number: int) -> None:
        """When the scenario says so."""
        at = self.scenario.restarted_at(number)
        await asyncio.sleep(at - self.vendor.now)
        leaving = self.processes.pop(number)
        self._cpu += cpu_seconds(leaving.process.pid)
        leaving.signal()
        await leaving.ended(5)
        await asyncio.sleep(max(at + self.scenario.restart - 1.5 - self.vendor.now, 0))
        self.processes[number] = await self.start(number)

    async def lose_engine(self, outage: Outage) -> None:
        """Kills it, and starts it again."""
        await asyncio.sleep(outage.begin - self.vendor.now)
        self._operations += operations(self.engine)
        self.engine.kill()
        await asyncio.sleep(outage.end - self.vendor.now)
        await asyncio.to_thread(self.engine.start)

    def counted(self) -> Reality:
        """So far."""
        cpu = self._cpu + sum(cpu_seconds(each.process.pid) for each in self.processes.values())
        with suppress(OSError):
            return Reality(self.vendor.reads.total(), self._operations + operations(self.engine), cpu)
        return Reality(self.vendor.reads.total(), self._operations, cpu)

    def any_gateway(self) -> Gateway:
        """One that is up by the scenario."""
        up = [each for number, each in enumerate(self.gateways) if self.scenario.is_up(number, self.vendor.now)]
        return random.choice(up)  # noqa: S311 (not for secrets)

    def webhooks(self) -> list[str]:
        """The addresses that take pushes."""
        return [f"127.0.0.1:{port}" for port in self.pushed_to]


async def measure(scenario: Scenario) -> Reality:
    """Runs the scenario, which lasts as long as it says."""
    async with _fleet(scenario) as fleet:
        chance = random.Random(2)  # noqa: S311 (not for secrets)
        lives = {
            identifier(f"r{slot}x", number): life
            for slot in range(scenario.open)
            for number, life in _until(scenario, chance)
        }
        for each, life in lives.items():
            fleet.vendor.add(each, life)
        fleet.vendor.begun = time.monotonic()
        if scenario.mode == WEBHOOK:
            fleet.vendor.push(lives, scenario.push_takes, fleet.webhooks)
        tasks = [asyncio.create_task(fleet.restart(number)) for number in range(scenario.replicas)]
        tasks += [asyncio.create_task(fleet.lose_engine(outage)) for outage in scenario.engine_outages]
        tasks += [
            asyncio.create_task(_follow(fleet, each, life.begun_at, chance))
            for each, life in lives.items()
            for _ in range(scenario.callers)
        ]
        await asyncio.sleep(scenario.warm_up - fleet.vendor.now)
        before = fleet.counted()
        await asyncio.sleep(scenario.end - fleet.vendor.now)
        after = fleet.counted()
        for task in tasks:
            if task.done():
                task.result()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return Reality(
        after.vendor_calls - before.vendor_calls,
        after.engine_operations - before.engine_operations,
        after.cpu - before.cpu,
    )


def _until(scenario: Scenario, chance: random.Random) -> list[tuple[int, Any]]:
    """The lives that begin before the end, numbered."""
    found = []
    for number, life in enumerate(scenario.lives(chance)):
        if life.begun_at >= scenario.end:
            break
        found.append((number, life))
    return found


async def _follow(fleet: _Fleet, call_request_id: str, begun_at: float, chance: random.Random) -> None:
    scenario = fleet.scenario
    begin = begun_at + chance.uniform(0, scenario.spread if begun_at else scenario.warm_up / 2)
    await asyncio.sleep(begin - fleet.vendor.now)
    caller = Caller(fleet.any_gateway, lambda *_: None)
    if scenario.mode == POLL:
        await caller.poll(call_request_id, scenario.poll_every)
    else:
        await caller.watch(call_request_id)


@asynccontextmanager
async def _fleet(scenario: Scenario) -> AsyncIterator[_Fleet]:
    (engine_port,), ports, pushed_to = free_ports(1), free_ports(scenario.replicas), free_ports(scenario.replicas)
    with engine(engine_port) as running:
        async with AsyncExitStack() as stack:
            vendor = await stack.enter_async_context(LivingVendor(scenario.vendor_takes))
            fleet = _Fleet(scenario, vendor, running, stack, ports, pushed_to)
            fleet.gateways = [Gateway(port) for port in ports]
            for number in range(scenario.replicas):
                fleet.processes[number] = await fleet.start(number)
            try:
                yield fleet
            finally:
                for each in fleet.gateways:
                    each.close()
