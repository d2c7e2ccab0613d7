"""Cases: the vendor's pushes, sent twice, changed, forged, too old, in floods, and to gateways that are killed."""

import asyncio
import random
import time
from contextlib import suppress
from typing import Any

import aiohttp

from callrequest.v1 import call_request_pb2 as pb
from testkit.calls import counted, identifier
from testkit.gateway_process import GatewayProcess
from testkit.http2_connection import Ended
from testkit.pushes import HINT, PATH, SETTINGS, Push, signed
from testkit.stateful_vendor import after
from testkit.watch_connection import WatchConnection

from .fault_case import FaultCase, Findings, Form
from .fleet import sharing


def _address(gateway: GatewayProcess) -> str:
    return gateway.environment["GATEWAY_WEBHOOK_LISTEN"]


async def _post(
    session: aiohttp.ClientSession, gateway: GatewayProcess, body: bytes, headers: dict[str, str] | None = None
) -> int | None:
    """The status; None without an answer."""
    sent = signed(body) if headers is None else headers
    with suppress(aiohttp.ClientError, TimeoutError, OSError):
        async with session.post(f"http://{_address(gateway)}{PATH}", data=body, headers=sent) as reply:
            return reply.status
    return None


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(10), connector=aiohttp.TCPConnector(limit=64, force_close=True)
    )


async def _outcomes(gateways: list[GatewayProcess], outcome: str) -> float:
    name = f"webhook_pushes_total{{outcome={outcome}}}"
    return sum([(await each.scrape())[name] for each in gateways])


async def _once(form: Form, findings: Findings) -> None:
    """One push a hundred times at once, then another body, an old signature, a retry after 20 hours; a watcher."""
    each = identifier("pushed", 1)
    async with sharing(2, **SETTINGS) as fleet, _session() as session:
        watching = await WatchConnection.to(fleet.gateways[1].port)
        stream = watching.watch(each)
        while not watching.messages[stream]:  # noqa: ASYNC110 (nothing to wait for)
            await asyncio.sleep(0.02)
        body, begun = Push(each, "evt-1").body, time.monotonic()
        first = await _post(session, fleet.gateways[0], body)
        while watching.messages[stream] < 2 and time.monotonic() - begun < 10:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        late = watching.latest - begun
        statuses = await asyncio.gather(*(_post(session, fleet.gateways[n % 2], body) for n in range(99)))
        applied = await _outcomes(fleet.gateways, "applied")
        other = await _post(session, fleet.gateways[1], Push(each, "evt-1", "another").body)
        aged = Push(each, "evt-2").body
        old = await _post(session, fleet.gateways[0], aged, signed(aged, 360))
        retried = Push(identifier("pushed", 2), "evt-3", occurred=20 * 3600).body
        retry = await _post(session, fleet.gateways[0], retried)
        seen = await fleet.clients[1].read(each, 5)
        watching.close()
    findings.record(
        f"{counted([first, *statuses])}, {applied:.0f} applied", {first, *statuses} == {200} and applied == 1
    )
    findings.record(
        f"another body {other}, 6 minutes old {old}, after 20 hours {retry}", (other, old, retry) == (409, 401, 200)
    )
    findings.record(f"a watcher on another gateway after {late * 1000:.0f} ms", late < 2)
    findings.record("it is the result", seen.code == 0 and seen.result.status == pb.CALL_REQUEST_STATUS_COMPLETED)


async def _killed(form: Form, findings: Findings) -> None:
    """Gateways are killed in the midst of pushes; the sender sends again what was not answered with 2xx."""
    pushes = [Push(identifier("kept", number), f"evt-{number}") for number in range(form.of(60, 600))]
    async with sharing(2, **SETTINGS) as fleet, _session() as session:
        sending = [asyncio.ensure_future(_post(session, fleet.gateways[0], push.body)) for push in pushes]
        await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
        fleet.gateways[0].end()
        first = await asyncio.gather(*sending)
        again = [push for push, status in zip(pushes, first, strict=True) if status != 200]
        statuses = await asyncio.gather(*(_post(session, fleet.gateways[1], push.body) for push in again))
        ended = await asyncio.gather(*(fleet.clients[1].read(push.call_request_id, 5) for push in pushes))
    lost = sum(each.code != 0 or each.result.status != pb.CALL_REQUEST_STATUS_COMPLETED for each in ended)
    findings.record(f"{len(again)} of {len(pushes)} sent again: {counted(statuses)}", set(statuses) <= {200})
    findings.record(f"{lost} lost", lost == 0)


async def _fuzzed(form: Form, findings: Findings) -> None:
    """Signature headers, bodies and encodings at random."""
    chance, ended = random.Random(7), list[Any]()
    texts = ["", "v1,", "v1,=", "v2,AAAA v1,AAAA", "nan", "1e999", "-1", "é", "x" * 5000, "whsec_", "0"]
    async with sharing(1, **SETTINGS) as fleet, _session() as session:
        for number in range(form.of(300, 5000)):
            body = bytearray(Push(identifier("fuzz", number), f"evt-{number}").body)
            headers = signed(bytes(body)) if chance.random() < 0.5 else dict(HINT)
            for _ in range(chance.randint(1, 5)):
                at = chance.randrange(len(body))
                body[at : at + chance.choice((0, 1, 40))] = chance.randbytes(chance.choice((0, 1, 40)))
            if chance.random() < 0.5:
                name = chance.choice(["webhook-id", "webhook-timestamp", "webhook-signature", "Authorization"])
                headers[name] = chance.choice(texts)
            if chance.random() < 0.3:
                headers["Content-Encoding"] = chance.choice(["gzip", "deflate", "br", "zstd", "x"])
            ended.append(await _post(session, fleet.gateways[0], bytes(body), headers))
        alive = await _post(session, fleet.gateways[0], Push(identifier("fuzz", 0), "evt-true").body)
        defects = fleet.gateways[0].defects()
    wrong = [each for each in ended if each is not None and each >= 500]
    findings.record(f"{counted(ended)}; then {alive}", not wrong and alive == 200)
    findings.record(f"{len(defects)} defects in the log", not defects)


async def _unfinished(form: Form, findings: Findings) -> None:
    """Senders that never finish their request."""
    async with sharing(1, **SETTINGS) as fleet, _session() as session:
        host, _, port = _address(fleet.gateways[0]).rpartition(":")
        writers = [(await asyncio.open_connection(host, int(port)))[1] for _ in range(200)]
        for number, writer in enumerate(writers):
            head = f"POST {PATH} HTTP/1.1\r\nContent-Length: 100\r\n"
            writer.write(head[: 10 + number].encode() if number % 2 else f"{head}\r\n{{".encode())
        begun = time.monotonic()
        statuses = [
            await _post(session, fleet.gateways[0], Push(identifier("whole", n), f"evt-{n}").body) for n in range(20)
        ]
        seconds = (time.monotonic() - begun) / 20
        for writer in writers:
            writer.close()
    findings.record(f"{counted(statuses)}, {seconds * 1000:.0f} ms each", set(statuses) == {200} and seconds < 1)


async def _flood(form: Form, findings: Findings) -> None:
    """Hints, many more than the vendor could answer: about one call request, and about others."""
    async with sharing(1, **SETTINGS) as fleet, _session() as session:
        fleet.vendor.on_read = after(0.05, fleet.vendor.result_of)
        begun, statuses = time.monotonic(), list[Any]()
        while time.monotonic() - begun < 5:
            bodies = [Push(identifier("hint", number), f"evt-{random.random()}").body for number in range(4)]
            statuses += await asyncio.gather(
                *(_post(session, fleet.gateways[0], bodies[n % 4], HINT) for n in range(32))
            )
        seconds = time.monotonic() - begun
        reads = fleet.vendor.reads.total()
        read = await fleet.clients[0].read(identifier("other", 1), 5)
    findings.record(
        f"{len(statuses)} hints ({counted(statuses)}) about 4 in {seconds:.1f} s: {reads} reads",
        reads <= 4 * (seconds + 2) and set(statuses) == {202},
    )
    findings.record(f"a caller's read {read.seconds * 1000:.0f} ms", read.code == 0 and read.seconds < 1)


async def _order(form: Form, findings: Findings) -> None:
    """The vendor still reads IN_PROGRESS when it pushes COMPLETED of the same second; then an older push."""
    ids = [identifier("order", number) for number in range(form.of(20, 200))]
    async with sharing(2, **SETTINGS) as fleet, _session() as session:
        for each in ids:
            fleet.vendor.statuses[each] = "IN_PROGRESS"
        watching = await WatchConnection.to(fleet.gateways[1].port)
        ends: list[Ended] = []
        for each in ids[:50]:
            watching.follow(each, lambda result: None, ends.append)
        await asyncio.sleep(1.6 - time.time() % 1)  # a push has whole seconds: it seems older than what is read now
        read = await fleet.herd(ids, 2, 5, max_age=0)
        fleet.vendor.on_read = after(0.3, fleet.vendor.result_of)
        slow = asyncio.ensure_future(fleet.herd(ids, 2, 5, max_age=0.001))
        await asyncio.sleep(0.1)
        pushed = await asyncio.gather(
            *(_post(session, fleet.gateways[0], Push(each, f"evt-{each}").body) for each in ids)
        )
        await slow
        older = [Push(each, f"old-{each}", "older", occurred=5).body for each in ids]
        stale = await asyncio.gather(*(_post(session, fleet.gateways[1], body) for body in older))
        await asyncio.sleep(1.2)
        seen = await fleet.herd(ids, 2, 5)
        watching.close()
    before = {pb.CallRequestStatus.Name(each.result.status) for each in read}
    findings.record(f"pushes {counted(pushed)}, older ones {counted(stale)}", {*pushed, *stale} == {200})
    final = [each.result.outcome.outcome_summary for each in seen]
    findings.record(f"{', '.join(before)} before; afterwards {counted(final)}", set(final) == {"confirmed"})
    statuses = [each.code for each in ends]
    findings.record(f"watches ended: {counted(statuses)}", len(ends) == len(ids[:50]) and set(statuses) == {0})


CASES = (
    FaultCase(
        "webhook-order",
        "COMPLETED pushed in the second of a reading, and during a read, of IN_PROGRESS; then an older push",
        "the pushed result stays, for every reader; who watches is told of it and nothing after it",
        _order,
        60,
    ),
    FaultCase(
        "webhook-once",
        "a push 100 times over 2 gateways; another body; an old signature; a retry after 20 hours",
        "applied once; 409; 401; 200; a watcher on the other gateway has it < 2 s",
        _once,
        60,
    ),
    FaultCase("webhook-killed", "gateway killed before its 2xx, pushes sent again", "none lost", _killed, 60),
    FaultCase("webhook-fuzz", "signatures, bodies and encodings at random", "never 5xx, no defect logged", _fuzzed, 90),
    FaultCase("webhook-unfinished", "200 senders that never finish", "others answered < 1 s", _unfinished, 60),
    FaultCase("webhook-flood", "hints without end", "≤ 1 read a second and id, callers answered", _flood, 60),
)
