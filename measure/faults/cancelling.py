"""Cases: cancelling while the vendor, the network or a caller fails."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from callrequest.v1.call_request_service_pb2 import CancelCallRequestRequest
from testkit.calls import client_of, counted, identifier
from testkit.gateway_process import GatewayProcess, serving
from testkit.http2_connection import Ended, connected
from testkit.scripted_vendor import Answer, cancelled, failed, hang_up, later, never, reset, send
from testkit.stateful_vendor import HTML, Vendor, always

from .deadlines import within_deadline
from .fault_case import FaultCase, Findings, Form

_DEADLINE = 6.0  # seconds
_CALLS = 20
_UNAVAILABLE = 14  # the number of the code that clients repeat by themselves
_Rule = Callable[[Vendor], Callable[[str], Answer]]


def _judge(findings: Findings, vendor: Vendor, ended: Sequence[tuple[str, Ended]], deadline: float) -> None:
    """What holds for every cancel, whatever happens to it."""
    false = sum(each.code == 0 and vendor.statuses[asked] != "CANCELLED" for asked, each in ended)
    findings.record(f"{false} false OK", not false)
    most = max((vendor.posts[asked] for asked, _ in ended), default=0)
    findings.record(f"at most {most} POSTs", most <= 2)
    misleading = sum(each.code == _UNAVAILABLE and vendor.posts[asked] > 0 for asked, each in ended)
    findings.record(f"{misleading} UNAVAILABLE after a POST", not misleading)
    within_deadline(findings, [each for _, each in ended], deadline)


def _outcomes(ended: Sequence[tuple[str, Ended]]) -> list[str]:
    return [each.outcome for _, each in ended]


def _fault(
    rule: _Rule, expected: str, posts: int, then: _Rule = lambda vendor: vendor.accept, unreadable: float = 0.0
) -> Callable[[Form, Findings], Awaitable[None]]:
    """The first POST for each call request is answered by the rule, a second one by the other.

    unreadable: seconds from the beginning in which readings get 503.
    """

    async def measure(form: Form, findings: Findings) -> None:
        async with Vendor() as vendor, serving(vendor.url) as gateway, connected(gateway.port) as client:
            first, second = rule(vendor), then(vendor)
            vendor.on_cancel = lambda asked: (first if vendor.posts[asked] == 1 else second)(asked)
            if unreadable:
                vendor.on_read = always(send("", 503))
                asyncio.get_running_loop().call_later(unreadable, setattr, vendor, "on_read", vendor.result_of)
            ids = [identifier("cancel", number) for number in range(_CALLS)]
            ended = list(zip(ids, await asyncio.gather(*(client.cancel(each, _DEADLINE) for each in ids)), strict=True))
            outcomes = _outcomes(ended)
            findings.record(counted(outcomes), set(outcomes) == {expected})
            sent = {vendor.posts[each] for each in ids}
            findings.record(f"{counted(vendor.posts[each] for each in ids)} (calls, POSTs)", sent == {posts})
            _judge(findings, vendor, ended, _DEADLINE)
            await _lines(findings, gateway, ids, callers_left=0)

    return measure


async def _lines(findings: Findings, gateway: GatewayProcess, ids: Sequence[str], callers_left: int) -> None:
    """Each cancel that ended has left its line in the log, within a moment."""
    with suppress(TimeoutError):
        await gateway.until(lambda: len(gateway.logged("cancel_settled")) >= len(ids), 3)
    lines = gateway.logged("cancel_settled")
    whole = {line["call_request_id"] for line in lines if line["callers_left"] == callers_left}
    findings.record(f"{len(lines)} lines for {len(ids)} cancels", len(lines) == len(ids) and whole == set(ids))
    findings.record(f"{len(gateway.defects())} defects logged", not gateway.defects())


def _committed(then: Answer) -> _Rule:
    """The cancel takes effect; the reply is that."""

    def rule(vendor: Vendor) -> Callable[[str], Answer]:
        def answer(call_request_id: str) -> Answer:
            vendor.commit(call_request_id)
            return then

        return answer

    return rule


def _not_committed(then: Answer) -> _Rule:
    return lambda vendor: lambda call_request_id: then


def _refuse(words: str) -> _Rule:
    """The vendor refuses: what is pending stays so."""
    return _not_committed(send(failed("CANCELLATION_NOT_ALLOWED", words)))


def _refuse_cancelled(vendor: Vendor) -> Callable[[str], Answer]:
    """The call request was cancelled before, and the vendor refuses to cancel it again."""
    return _committed(send(failed("CANCELLATION_NOT_ALLOWED", "It is already cancelled.")))(vendor)


def _nested(depth: int) -> Answer:
    return send('{"success": true, "results": ' + '{"x":' * depth + "1" + "}" * (depth + 1))


async def _refused(form: Form, findings: Findings) -> None:
    """The gateway has a token already: the POST itself cannot be sent."""
    async with Vendor() as vendor, serving(vendor.url) as gateway, connected(gateway.port) as client:
        await client.read(identifier("warm", 0), 5)
        await vendor.leave()
        ids = [identifier("refused", number) for number in range(_CALLS)]
        ended = list(zip(ids, await asyncio.gather(*(client.cancel(each, _DEADLINE) for each in ids)), strict=True))
        outcomes = _outcomes(ended)
        findings.record(counted(outcomes), set(outcomes) == {"VENDOR_UNAVAILABLE"})
        _judge(findings, vendor, ended, _DEADLINE)


async def _hung(form: Form, findings: Findings) -> None:
    """The vendor answers neither POST nor read: the doubt is answered in time."""
    async with Vendor() as vendor, serving(vendor.url) as gateway, connected(gateway.port) as client:
        await client.read(identifier("warm", 0), 5)
        vendor.on_cancel = vendor.on_read = lambda call_request_id: never()
        ids = [identifier("hung", number) for number in range(_CALLS)]
        ended = list(zip(ids, await asyncio.gather(*(client.cancel(each, 3) for each in ids)), strict=True))
        outcomes = _outcomes(ended)
        findings.record(counted(outcomes), set(outcomes) == {"CANCELLATION_OUTCOME_UNKNOWN"})
        _judge(findings, vendor, ended, 3)


async def _two_callers(form: Form, findings: Findings) -> None:
    async with Vendor() as vendor, serving(vendor.url) as gateway, connected(gateway.port, 2) as client:
        vendor.on_cancel = lambda asked: later(0.3, vendor.accept(asked))
        ids = [identifier("two", number // 2) for number in range(2 * _CALLS)]
        ended = list(zip(ids, await asyncio.gather(*(client.cancel(each, _DEADLINE) for each in ids)), strict=True))
        outcomes = _outcomes(ended)
        findings.record(counted(outcomes), set(outcomes) == {"OK"})
        sent = {vendor.posts[each] for each in ids}
        findings.record(f"{'/'.join(map(str, sorted(sent)))} POST for both", sent == {1})
        _judge(findings, vendor, ended, _DEADLINE)


async def _caller_leaves(form: Form, findings: Findings) -> None:
    """The first POST is lost while its caller is already gone: the cancel is carried on all the same."""
    async with Vendor() as vendor, serving(vendor.url) as gateway, client_of(gateway.target) as client:
        vendor.on_cancel = lambda asked: later(0.5, hang_up()) if vendor.posts[asked] == 1 else vendor.accept(asked)
        ids = [identifier("leave", number) for number in range(_CALLS)]
        calls = [client.CancelCallRequest(CancelCallRequestRequest(call_request_id=each), timeout=8) for each in ids]
        await asyncio.sleep(0.3)
        arrived = [each for each in ids if vendor.posts[each]]
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await asyncio.sleep(5)
        await _lines(findings, gateway, arrived, callers_left=1)
        settled = sum(vendor.statuses[each] == "CANCELLED" for each in arrived)
        most = max(vendor.posts.values(), default=0)
    findings.record(f"{settled} of {len(arrived)} cancelled", bool(arrived) and settled == len(arrived))
    findings.record(f"at most {most} POSTs", most <= 2)


async def _weather(form: Form, findings: Findings) -> None:
    """Every POST and every read meets a fault drawn at random; some ids have two callers."""
    chance = random.Random(6)
    async with (
        Vendor() as vendor,
        serving(vendor.url, MAX_CANCELS=1000, VENDOR_MAX_CONNECTIONS=1000) as gateway,
        connected(gateway.port, 25) as client,
    ):
        lost = (hang_up, reset, lambda: send("", 500), lambda: send("", 503), lambda: send("<p>", 200), never)

        def cancel(asked: str) -> Answer:
            if vendor.statuses[asked] in ("COMPLETED", "IN_PROGRESS"):
                return send(failed("CANCELLATION_NOT_ALLOWED"))
            draw = chance.random()
            if draw < 0.15:
                return send("", chance.choice((401, 429)))
            if draw < 0.2:
                vendor.statuses[asked] = "COMPLETED"
                return chance.choice(lost)()
            if draw < 0.6:
                vendor.commit(asked)
            return chance.choice(lost)() if draw < 0.85 else later(chance.uniform(0, 2), vendor.accept(asked))

        def read(asked: str) -> Answer:
            return chance.choice(lost)() if chance.random() < 0.3 else vendor.result_of(asked)

        vendor.on_cancel, vendor.on_read = cancel, read
        ids = [identifier("weather", number // 4 * 3 + number % 4 % 3) for number in range(form.of(400, 2000))]

        async def one(number: int) -> tuple[str, Ended]:
            return ids[number], await client.cancel(ids[number], _DEADLINE)

        ended: list[tuple[str, Ended]] = []
        for first in range(0, len(ids), 400):
            ended += await asyncio.gather(*(one(number) for number in range(first, first + 400)))
    findings.record(counted(_outcomes(ended)))
    # Two callers of an id that do not overlap are two RPCs, with two POSTs each.
    _judge(findings, vendor, [each for each in ended if ids.count(each[0]) == 1], _DEADLINE)


_JUDGED = "no false OK, ≤ 2 POSTs, no UNAVAILABLE after one, in time"

CASES = (
    FaultCase("refused", "cancel: vendor refuses connections", f"UNAVAILABLE; {_JUDGED}", _refused),
    FaultCase(
        "cut-before",
        "cancel: cut before the commit",
        f"OK by a second POST; {_JUDGED}",
        _fault(_not_committed(hang_up()), "OK", posts=2),
    ),
    FaultCase(
        "cut-after",
        "cancel: cut after the commit",
        f"OK by reading back; {_JUDGED}",
        _fault(_committed(reset()), "OK", posts=1),
    ),
    FaultCase(
        "5xx-after",
        "cancel: 503 after the commit",
        f"OK by reading back; {_JUDGED}",
        _fault(_committed(send("", 503)), "OK", posts=1),
    ),
    FaultCase(
        "slow",
        "cancel: committed, its reply after 20 s",
        f"OK by reading back; {_JUDGED}",
        _fault(_committed(later(20, send(cancelled()))), "OK", posts=1),
    ),
    FaultCase(
        "deep-reply",
        "cancel: committed, its reply nested 900 deep",
        f"OK by reading back; {_JUDGED}",
        _fault(_committed(_nested(900)), "OK", posts=1),
    ),
    FaultCase(
        "firewall-after",
        "cancel: committed, a firewall's 403 page for its reply",
        f"OK by reading back; {_JUDGED}",
        _fault(_committed(send(HTML, 403)), "OK", posts=1),
    ),
    FaultCase(
        "error-after",
        "cancel: committed, an unknown error code for its reply",
        f"OK by reading back; {_JUDGED}",
        _fault(_committed(send(failed("SYSTEM_ERROR"))), "OK", posts=1),
    ),
    FaultCase(
        "error-before",
        "cancel: an unknown error code, nothing committed",
        f"VENDOR_ERROR after one POST; {_JUDGED}",
        _fault(_not_committed(send(failed("SYSTEM_ERROR"))), "VENDOR_ERROR", posts=1),
    ),
    FaultCase(
        "refused-unreadable",
        "cancel: refused since cancelled already, readings get 503 for 3 s",
        f"OK by a later reading; {_JUDGED}",
        _fault(_refuse_cancelled, "OK", posts=1, unreadable=3),
    ),
    FaultCase(
        "cut-then-refused",
        "cancel: cut before the commit, the second POST refused for its check-in",
        f"CANCELLATION_NOT_ALLOWED; {_JUDGED}",
        _fault(_not_committed(hang_up()), "CANCELLATION_NOT_ALLOWED", posts=2, then=_refuse("The check-in is past.")),
    ),
    FaultCase("hung", "cancel: neither POST nor reads answered", f"CANCELLATION_OUTCOME_UNKNOWN; {_JUDGED}", _hung),
    FaultCase("two-callers", "cancel: two callers at once", f"one POST, OK for both; {_JUDGED}", _two_callers),
    FaultCase(
        "caller-leaves",
        "cancel: caller leaves, first POST lost",
        "cancelled all the same, ≤ 2 POSTs, a line each",
        _caller_leaves,
    ),
    FaultCase(
        "weather", "cancel: random faults of POSTs and reads, 400 calls (long: 2000)", _JUDGED, _weather, timeout=80
    ),
)
