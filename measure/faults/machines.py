"""Case: two machines with one engine; each is killed while a thousand watchers wait and cancels run."""

import asyncio
import random
import time
from collections import Counter, defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from callrequest.v1 import call_request_pb2 as pb
from callrequest.v1.call_request_pb2 import CallRequestResult
from measure.following.callers import PAUSE, Gateway
from testkit.calls import counted, identifier
from testkit.engine import engine
from testkit.gateway_process import GatewayProcess, serving
from testkit.http2_connection import Ended
from testkit.network_namespaces import Machine, lacking, machines
from testkit.scripted_vendor import Answer, cancelled, later, send
from testkit.server_process import free_ports
from testkit.stateful_vendor import Vendor

from .fault_case import FaultCase, Findings, Form
from .fleet import STATE_KEYS

_WATCHERS, _IDS = 1_000, 200
_PACE = 2.0
_AWAY = 3.0
"""Seconds from the killing of a machine to its return."""
_RATE = 12.0
"""Cancels a second."""
_KNOWN_BY = 10.0
"""Seconds after the last cancel."""
_CANCELLED = pb.CALL_REQUEST_STATUS_CANCELLED


@dataclass(slots=True)
class _Two:
    """Two machines that callers know, of which one may be away."""

    vendor: Vendor
    stack: AsyncExitStack
    settings: dict[str, Any]
    machines: list[Machine]
    ports: list[int]
    processes: list[GatewayProcess] = field(default_factory=list)
    gateways: list[Gateway] = field(default_factory=list)

    async def start(self, number: int) -> GatewayProcess:
        """Starts the gateway of a machine."""
        machine = self.machines[number]
        vendor_port = self.vendor.url.rpartition(":")[2]
        own = {
            "LISTEN": f"{machine.address}:{self.ports[number]}",
            "METRICS_LISTEN": f"{machine.address}:9464",
            "STATE_URL": self.settings["STATE_URL"].replace("{here}", machine.here),
        }
        return await self.stack.enter_async_context(
            serving(f"http://{machine.here}:{vendor_port}", prefix=machine.prefix, **(self.settings | own))
        )

    async def kill_each(self) -> None:
        """Kills one gateway, has it come back, kills the other one."""
        for number in range(len(self.machines)):
            await asyncio.sleep(_AWAY)
            self.processes[number].end()
            await asyncio.sleep(_AWAY)
            self.processes[number] = await self.start(number)

    def any(self) -> Gateway:
        """One of both, whether it is there or not."""
        return random.choice(self.gateways)


@dataclass(slots=True)
class _Seen:
    """What watchers were told. untrue: what was not so at that time. missing: watchers of cancelled ones, left."""

    vendor: Vendor
    untrue: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    statuses: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    async def watch(self, two: _Two, watcher: int, call_request_id: str) -> None:
        """Until its stream ends with OK, again and again."""

        def received(result: CallRequestResult) -> None:
            if result.call_request_id != call_request_id:
                self.untrue["another call request"] += 1
            if result.status == _CANCELLED and self.vendor.statuses[call_request_id] != "CANCELLED":
                self.untrue["CANCELLED, which it is not"] += 1
            if result.status < self.statuses[watcher]:
                self.untrue["back from CANCELLED"] += 1
            self.statuses[watcher] = result.status

        while True:
            try:
                ended = await two.any().watch(call_request_id, received)
            except OSError:
                ended = Ended(None, 0)
            self.ends["OK" if ended.code == 0 else ended.reason or "cut"] += 1
            if ended.code == 0:
                if self.statuses[watcher] != _CANCELLED:
                    self.untrue["an end without a final result"] += 1
                return
            await asyncio.sleep(ended.retry_after or PAUSE)


async def _cancel(two: _Two, call_request_id: str) -> tuple[list[str], float]:
    """Cancels until there is an answer. Returns all outcomes, and the time of the last one."""
    outcomes: list[str] = []
    while not outcomes or outcomes[-1] in ("cut", "UNAVAILABLE"):
        try:
            ended = await two.any().cancel(call_request_id)
        except OSError:
            ended = Ended(14, 0)
        outcomes.append("cut" if ended.code is None else "UNAVAILABLE" if ended.code == 14 else ended.reason or "OK")
        if outcomes[-1] in ("cut", "UNAVAILABLE"):
            await asyncio.sleep(PAUSE)
    return outcomes, time.monotonic()


async def _killed(form: Form, findings: Findings) -> None:
    ids = [identifier("machine", number) for number in range(_IDS)]
    chosen = ids[: round(_RATE * 4 * _AWAY)]
    (engine_port,), ports = free_ports(1), free_ports(2)
    with machines(2) as both:
        here = ("127.0.0.1", *(each.here for each in both))
        with engine(engine_port, "--bind", *here, "--protected-mode", "no") as running:
            async with AsyncExitStack() as stack:
                vendor = await stack.enter_async_context(Vendor())
                vendor.stop_listening()
                await vendor.listen(free_ports(1)[0], [each.here for each in both])
                vendor.on_read = lambda asked: later(0.05, vendor.result_of(asked))

                vendor.on_cancel = lambda asked: _commit_between(vendor, asked)
                settings: dict[str, Any] = {
                    "STATE_URL": f"redis://{{here}}:{running.port}",
                    "STATE_KEYS": STATE_KEYS,
                    "DEFAULT_MAX_AGE": "",
                    "FINAL_MAX_AGE": "",
                    "WATCH_PENDING_INTERVAL": _PACE,
                    "ALLOW_PLAINTEXT": "true",
                    "VENDOR_ALLOW_HTTP": "true",
                }
                two = _Two(vendor, stack, settings, both, ports)
                two.gateways = [Gateway(port, each.address) for port, each in zip(ports, both, strict=True)]
                two.processes = [await two.start(number) for number in range(2)]
                seen = _Seen(vendor)
                watching = [
                    asyncio.create_task(seen.watch(two, number, ids[number % _IDS])) for number in range(_WATCHERS)
                ]
                async with asyncio.timeout(30):
                    while len(seen.statuses) < _WATCHERS:  # noqa: ASYNC110 (frames come in callbacks)
                        await asyncio.sleep(0.05)
                killing = asyncio.create_task(two.kill_each())
                cancelling = []
                for each in chosen:
                    cancelling.append(asyncio.create_task(_cancel(two, each)))
                    await asyncio.sleep(1 / _RATE)
                answers = await asyncio.gather(*cancelling)
                await killing
                stale = await _stale(two, chosen)
                asked = {number for number in range(_WATCHERS) if ids[number % _IDS] in set(chosen)}
                begun = time.monotonic()
                while any(not watching[number].done() for number in asked) and time.monotonic() - begun < _KNOWN_BY:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                told = sum(watching[number].done() for number in asked)
                over = [number for number in range(_WATCHERS) if number not in asked and watching[number].done()]
                for task in watching:
                    task.cancel()
                await asyncio.gather(*watching, return_exceptions=True)
                for gateway in two.gateways:
                    gateway.close()
    last = [outcomes[-1] for outcomes, _ in answers]
    false = sum(vendor.statuses[each] != "CANCELLED" for each, last in zip(chosen, last, strict=True) if last == "OK")
    twice = sum(vendor.posts[each] > 2 * len(outcomes) for each, (outcomes, _) in zip(chosen, answers, strict=True))
    attempts = counted(outcome for outcomes, _ in answers for outcome in outcomes)
    findings.record(f"cancels: {attempts}", set(last) == {"OK"} and not false)
    findings.record(f"{twice} with more than 2 POSTs a call", not twice)
    findings.record(f"watches ended: {counted(seen.ends.elements())}", seen.ends["cut"] > 0)
    findings.record(f"told what was not so: {counted(seen.untrue.elements())}", not seen.untrue)
    findings.record(f"{stale} of {2 * len(chosen)} reads from before their cancel", not stale)
    findings.record(
        f"{told} of {len(asked)} watchers told of their cancel, {len(over)} others", told == len(asked) and not over
    )


def _commit_between(vendor: Vendor, call_request_id: str) -> Answer:
    """A cancel that takes effect after a while, and is confirmed after another: a gateway dies before or between."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(random.uniform(0, 0.5))
        vendor.commit(call_request_id)
        await asyncio.sleep(random.uniform(0, 0.5))
        await send(cancelled(call_request_id))(writer)

    return answer


async def _stale(two: _Two, ids: list[str]) -> int:
    """How many reads at both machines, of what may be a minute old, are from before the cancel."""
    ended = await asyncio.gather(*(gateway.read(each, 60) for each in ids for gateway in two.gateways))
    return sum(each.code != 0 or each.result.status != _CANCELLED for each in ended)


CASES = (
    FaultCase(
        "machines-killed",
        "two machines (network namespaces), one engine: kill -9 each while 1 000 watchers wait and cancels run",
        "nobody is told what is not so, every cancel OK in the end, all who watch learn of it",
        _killed,
        120,
        lacking,
    ),
)
