"""Cases: several gateways share one engine, which fails in every way."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from callrequest.v1 import call_request_pb2 as pb
from testkit.calls import counted, identifier
from testkit.engine import EngineProcess
from testkit.http2_connection import Connections, Ended
from testkit.scripted_vendor import later
from testkit.stateful_vendor import after

from .fault_case import FaultCase, Findings, Form
from .fleet import REPLICAS, record_all_ok, sharing

_LEASE = 3.0  # seconds: server.state.keys.LEASE


def _herd(seconds: float) -> Callable[[Form, Findings], Awaitable[None]]:
    async def measure(form: Form, findings: Findings) -> None:
        ids = [identifier("herd", number) for number in range(form.of(50, 200))]
        async with sharing() as fleet:
            fleet.vendor.on_read = after(seconds, fleet.vendor.result_of)
            ended = await fleet.herd(ids, 20, 15)
            asked = fleet.vendor.reads.total() / len(ids)
        record_all_ok(findings, ended, "readers")
        findings.record(f"{asked:.2f} vendor calls an id", asked <= 1.05)

    return measure


def _outage(fail: Callable[[EngineProcess], None]) -> Callable[[Form, Findings], Awaitable[None]]:
    async def measure(form: Form, findings: Findings) -> None:
        ids = [identifier("down", number) for number in range(20)]
        async with sharing() as fleet:
            fleet.vendor.on_read = after(0.05, fleet.vendor.result_of)
            await fleet.herd(ids, 8, 5)
            await asyncio.sleep(1.1)  # what is known is older than max_age
            fail(fleet.engine)
            before, first = fleet.vendor.reads.total(), await fleet.herd(ids, 8, 5)
            asked = (fleet.vendor.reads.total() - before) / len(ids)
            await fleet.until_shared(up=False)
            await asyncio.sleep(1.1)
            then = await fleet.herd(ids, 8, 5)
            logged = fleet.log("shared state is down: this process goes on by itself")
        latest = max(each.seconds for each in first)
        record_all_ok(findings, first, "those who waited")
        findings.record(f"latest after {latest:.2f} s", latest <= 1.05 + 0.25)
        findings.record(f"{asked:.2f} vendor calls an id", asked <= REPLICAS)
        record_all_ok(findings, then, "later")
        after_that = max(each.seconds for each in then)
        findings.record(f"latest after {after_that:.2f} s", after_that < 0.8)
        findings.record(f"{logged} of {REPLICAS} logged it, state_up 0", logged == REPLICAS)

    return measure


async def _return(form: Form, findings: Findings) -> None:
    """A change and a cancel while the engine is away; then it comes back, with what it knew before."""
    ids = [identifier("back", number) for number in range(20)]
    async with sharing() as fleet:
        fleet.vendor.on_read = after(0.02, fleet.vendor.result_of)
        await fleet.herd(ids, 8, 5)
        fleet.engine.pause()
        during = await fleet.herd(ids, 8, 5, max_age=0)
        for each in ids[::2]:
            fleet.vendor.statuses[each] = "IN_PROGRESS"
        cancelled = await asyncio.gather(*(fleet.clients[0].cancel(each, 5) for each in ids[1::2]))
        fleet.engine.resume()
        seconds = await fleet.until_shared()
        reads = fleet.vendor.reads.total()
        afterwards = await fleet.herd(ids, 8, 5, max_age=30)
        asked = (fleet.vendor.reads.total() - reads) / len(ids)
    record_all_ok(findings, during, "during")
    record_all_ok(findings, list(cancelled), "cancels")
    findings.record(f"shared {seconds:.1f} s after the return", seconds <= 5)
    record_all_ok(findings, afterwards, "afterwards")
    statuses = {pb.CallRequestStatus.Name(each.result.status) for each in afterwards if each.code == 0}
    findings.record(f"{counted(sorted(statuses))}", "CALL_REQUEST_STATUS_PENDING_TO_CALL" not in statuses)
    findings.record(f"{asked:.2f} vendor calls an id", asked <= 1.05)


async def _disturbed(form: Form, findings: Findings) -> None:
    """Scripts flushed, data gone, connections cut, again and again under load."""
    ids = [identifier("rough", number) for number in range(20)]
    async with sharing(2) as fleet:
        ended: list[Ended] = []
        for words in [("SCRIPT", "FLUSH"), ("FLUSHALL",), ("CLIENT", "KILL", "TYPE", "NORMAL")] * form.of(3, 20):
            reading = asyncio.ensure_future(fleet.herd(ids, 6, 5, max_age=0.1))
            await asyncio.sleep(0.02)
            fleet.engine.command(*words)
            ended += await reading
            await asyncio.sleep(0.12)
        seconds = await fleet.until_shared()
        await fleet.until_cuts_are_noticed()
        fleet.engine.command("FLUSHALL")
        await asyncio.sleep(0.2)
        fleet.vendor.reads.clear()
        fleet.vendor.on_read = after(0.05, fleet.vendor.result_of)
        ended += await fleet.herd([identifier("then", number) for number in range(20)], 6, 5)
        asked = fleet.vendor.reads.total() / 20
    record_all_ok(findings, ended, "readers")
    findings.record(
        f"shared again after {seconds:.1f} s, {asked:.2f} vendor calls an id", seconds <= 5 and asked <= 1.05
    )


async def _holder_killed(form: Form, findings: Findings) -> None:
    """The gateway that reads at the vendor is killed in its read."""
    each = identifier("killed", 0)
    async with sharing(2) as fleet:
        fleet.vendor.on_read = after(8, fleet.vendor.result_of)
        holding = asyncio.ensure_future(fleet.clients[0].read(each, 10))
        await fleet.vendor.until(lambda: fleet.vendor.waiting == 1)
        waiting = [asyncio.ensure_future(fleet.clients[1].read(each, 10)) for _ in range(10)]
        await asyncio.sleep(0.3)
        fleet.gateways[0].end()
        fleet.vendor.on_read = fleet.vendor.result_of
        ended = list(await asyncio.gather(*waiting))
        holding.cancel()
    latest = max(one.seconds for one in ended)
    record_all_ok(findings, ended, "the others")
    findings.record(f"after {latest:.1f} s", latest <= 0.3 + _LEASE + 0.5)


async def _cancels_and_reads(form: Form, findings: Findings) -> None:
    """Each id is read everywhere all the time, and cancelled once, somewhere; the vendor answers as it stood."""
    ids = [identifier("raced", number) for number in range(form.of(60, 1000))]
    late: list[str] = []
    async with sharing() as fleet:

        async def race(number: int, each: str) -> None:
            chance = random.Random(number)
            over = False

            async def poll(client: Connections) -> None:
                while not over:
                    await client.read(each, 5)
                    await asyncio.sleep(chance.uniform(0, 0.05))

            polling = [asyncio.ensure_future(poll(client)) for client in fleet.clients]
            await asyncio.sleep(chance.uniform(0, 0.3))
            where = chance.choice(fleet.clients)
            ended = await where.cancel(each, 5)
            at_once = await where.read(each, 5, max_age=60)
            await asyncio.sleep(0.25)
            everywhere = [
                at_once,
                *await asyncio.gather(*(client.read(each, 5, max_age=60) for client in fleet.clients)),
            ]
            over = True
            await asyncio.gather(*polling)
            if ended.code == 0 and any(one.result.status != pb.CALL_REQUEST_STATUS_CANCELLED for one in everywhere):
                late.append(each)

        fleet.vendor.on_read = lambda asked: later(random.uniform(0, 0.1), fleet.vendor.result_of(asked))
        for begin in range(0, len(ids), 10):
            await asyncio.gather(*(race(number, ids[number]) for number in range(begin, min(begin + 10, len(ids)))))
    findings.record(f"{len(late)} of {len(ids)} answered from before their cancel", not late)


async def _busy(form: Form, findings: Findings) -> None:
    """Four gateways on one core with more to do than it can."""
    ids = [identifier("busy", number) for number in range(50)]
    async with sharing() as fleet:
        until, ended = time.monotonic() + form.of(6, 30), list[Ended]()
        while time.monotonic() < until:
            ended += await fleet.herd(ids, 40, 10, max_age=0.05)
        dropped = fleet.log("shared state is down: this process goes on by itself")
    record_all_ok(findings, ended, "readers")
    findings.record(f"{dropped} gateways gave sharing up", dropped == 0)


async def _leave(form: Form, findings: Findings) -> None:
    """Callers that leave in the midst of a read, thousands of them."""
    async with sharing(1) as fleet:
        client = fleet.clients[0]
        fleet.vendor.on_read = after(0.05, fleet.vendor.result_of)
        before = _connections(fleet.engine)
        ended: list[Ended] = []
        for round_ in range(form.of(10, 100)):
            ids = [identifier("left", 200 * round_ + number) for number in range(200)]
            ended += await asyncio.gather(*(client.read(each, 0.06) for each in ids))
        opened = _connections(fleet.engine) - before - 1  # its own look
    findings.record(f"{len(ended)} callers; {opened} connections to the engine opened", opened <= 2)


def _connections(running: EngineProcess) -> int:
    return int(running.command("INFO", "stats").decode().partition("total_connections_received:")[2].split()[0])


async def _leaked(form: Form, findings: Findings) -> None:
    """What the engine holds, and what its monitor shows, when guests' names were read."""
    each = identifier("guest", 0)
    async with sharing(1) as fleet:
        fleet.vendor.statuses[each] = "COMPLETED"
        ended = await fleet.clients[0].read(each, 5)
        await asyncio.sleep(0.2)  # it is stored after the caller has its answer
        stored = fleet.engine.command("HGETALL", f"cr:{{{each}}}:r")
        answer = ended.result.SerializeToString()
    plain = [word for word in (b"COMPLETED", each.encode(), answer[-12:]) if word in stored]
    findings.record(f"{len(stored)} bytes, {len(plain)} of them readable", len(stored) > 40 and not plain)


CASES = (
    FaultCase(
        "state-herd", "4 gateways, 20 readers an id at once, vendor 50 ms", "vendor calls ≤ 1.05 an id", _herd(0.05), 60
    ),
    FaultCase(
        "state-herd-slow",
        "the same, vendor 1.5 s: slower than max_age",
        "vendor calls ≤ 1.05 an id",
        _herd(1.5),
        60,
    ),
    FaultCase(
        "state-refused",
        "engine killed",
        "those who waited late by ≤ 1 s once, vendor calls ≤ the gateways, metric and log",
        _outage(EngineProcess.kill),
        60,
    ),
    FaultCase(
        "state-silent",
        "engine takes connections and answers nothing",
        "those who waited late by ≤ 1 s once, vendor calls ≤ the gateways, metric and log",
        _outage(EngineProcess.pause),
        60,
    ),
    FaultCase(
        "state-return",
        "engine comes back; changes and cancels meanwhile",
        "shared ≤ 5 s, nothing from before the outage, cancels known everywhere",
        _return,
        60,
    ),
    FaultCase(
        "state-disturbed",
        "SCRIPT FLUSH, FLUSHALL, connections cut",
        "no error to a caller, shared ≤ 5 s",
        _disturbed,
        90,
    ),
    FaultCase(
        "state-holder", "the gateway that reads is killed", "the others answered ≤ lease + 0.5 s", _holder_killed, 60
    ),
    FaultCase(
        "state-cancels",
        "cancels against reads on 4 gateways",
        "no answer from before a cancel after it",
        _cancels_and_reads,
        120,
    ),
    FaultCase("state-busy", "4 busy gateways, sound engine", "sharing never dropped, every read answered", _busy, 90),
    FaultCase("state-leavers", "callers leave in their read", "≤ 2 connections to the engine opened", _leave, 60),
    FaultCase("state-dump", "guests' data read", "nothing readable in the engine", _leaked, 30),
)
