"""Cases: one read for all who wait, cached answers, refresh-ahead, and the rate limit, under fault.

The gateways keep answers as by default, DEFAULT_MAX_AGE and FINAL_MAX_AGE.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from callrequest.v1 import call_request_pb2 as pb
from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from testkit.calls import at_rate, client_of, counted, identifier, percentile
from testkit.gateway_process import serving
from testkit.http2_connection import Connections, Ended, connected
from testkit.scripted_vendor import Answer, later, send, with_status
from testkit.stateful_vendor import Vendor, after, always

from .deadlines import within_deadline
from .fault_case import FaultCase, Findings, Form

_DEFAULT = ""  # a setting that is empty is not set
_MAX_AGE = 1.0  # seconds: the default
_IDS, _READERS = 10, 20
_ON_ITS_WAY = 0.1  # seconds that an answer takes on a busy machine: it was young enough when it was sent


def _outcomes(ended: Sequence[Ended]) -> list[str]:
    return [each.outcome for each in ended]


async def _first_leaves(form: Form, findings: Findings) -> None:
    """The first reader of each id leaves, and the deadline of another passes: the others wait for the same read."""
    ids = [identifier("leave", number) for number in range(_IDS)]
    async with (
        Vendor() as vendor,
        serving(vendor.url, DEFAULT_MAX_AGE=_DEFAULT, FINAL_MAX_AGE=_DEFAULT) as gateway,
        client_of(gateway.target) as first,
        connected(gateway.port, 8) as client,
    ):
        vendor.on_read = after(0.8, vendor.result_of)
        leaving = [first.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=each)) for each in ids]
        await vendor.until(lambda: vendor.waiting == len(ids))
        hasty = [asyncio.ensure_future(client.read(each, 0.3)) for each in ids]
        patient = [asyncio.ensure_future(client.read(each, 5)) for each in ids for _ in range(_READERS)]
        await asyncio.sleep(0.2)
        for call in leaving:
            call.cancel()
        out_of_time = _outcomes(await asyncio.gather(*hasty))
        answered = _outcomes(await asyncio.gather(*patient))
        await asyncio.gather(*leaving, return_exceptions=True)
        most, left = max(vendor.reads[each] for each in ids), vendor.left
    findings.record(f"{counted(answered)} of those who stay", set(answered) == {"OK"})
    findings.record(f"{counted(out_of_time)} of the hasty", set(out_of_time) == {"DEADLINE_EXCEEDED"})
    findings.record(f"{most} vendor call for each id, {left} given up", most == 1 and not left)


async def _shared_failure(form: Form, findings: Findings) -> None:
    """The vendor rejects the first read of each id, and answers the second."""
    ids = [identifier("fails", number) for number in range(_IDS)]
    async with (
        Vendor() as vendor,
        serving(vendor.url, DEFAULT_MAX_AGE=_DEFAULT, FINAL_MAX_AGE=_DEFAULT) as gateway,
        connected(gateway.port, 8) as client,
    ):
        vendor.on_read = lambda asked: (
            later(0.5, send("", 403)) if vendor.reads[asked] == 1 else vendor.result_of(asked)
        )
        shared = _outcomes(await asyncio.gather(*(client.read(each, 5) for each in ids for _ in range(_READERS))))
        first = max(vendor.reads[each] for each in ids)
        next_ones = _outcomes(await asyncio.gather(*(client.read(each, 5) for each in ids)))
        second = {vendor.reads[each] for each in ids}
    findings.record(f"those who wait: {counted(shared)}", set(shared) == {"VENDOR_REJECTED_CREDENTIALS"})
    findings.record(f"by {first} vendor call for each id", first == 1)
    findings.record(f"the next: {counted(next_ones)}", set(next_ones) == {"OK"})
    findings.record("by one of their own", second == {2})


async def _cancel_passes(form: Form, findings: Findings) -> None:
    """Answers are cached, reads and refreshes under way; the vendor answers with the status of when it was asked."""
    ids = [identifier("passed", number) for number in range(_IDS)]
    statuses: list[str] = []
    async with (
        Vendor() as vendor,
        serving(vendor.url, DEFAULT_MAX_AGE=_DEFAULT, FINAL_MAX_AGE=_DEFAULT) as gateway,
        connected(gateway.port, 8) as client,
    ):

        def as_it_stood(asked: str) -> Answer:
            return later(0.0 if vendor.reads[asked] == 1 else 1.0, send(with_status(vendor.statuses[asked], asked)))

        async def poll(asked: str) -> None:
            until = time.monotonic() + 3
            while time.monotonic() < until:
                ended = await client.read(asked, 5, max_age=60)
                statuses.append(pb.CallRequestStatus.Name(ended.result.status) if ended.code == 0 else ended.reason)
                await asyncio.sleep(0.02)

        vendor.on_read = as_it_stood
        await asyncio.gather(*(client.read(each, 5) for each in ids))
        await asyncio.sleep(0.9 * _MAX_AGE)
        await asyncio.gather(*(client.read(each, 5) for each in ids[::2]))  # begins a refresh
        older = [asyncio.ensure_future(client.read(each, 5, max_age=0)) for each in ids[1::2]]
        await vendor.until(lambda: vendor.waiting == len(ids))
        cancelled = _outcomes(await asyncio.gather(*(client.cancel(each, 5) for each in ids)))
        await asyncio.gather(*(poll(each) for each in ids), *older)
    findings.record(f"cancels: {counted(cancelled)}", set(cancelled) == {"OK"})
    findings.record(f"reads after them: {counted(statuses)}", set(statuses) == {"CALL_REQUEST_STATUS_CANCELLED"})


class _Polling:
    """Polls ten ids, each 20 times a second, and measures how old their answers are when they arrive."""

    def __init__(self, client: Connections, vendor: Vendor) -> None:
        self._client = client
        self._vendor = vendor
        self._number = 0

    async def during(self, seconds: float) -> tuple[list[tuple[float, Ended]], float, int]:
        """Returns when each call began and how it ended, the oldest answer's age, and the requests to the vendor."""
        before, oldest = self._vendor.reads.total(), 0.0

        async def read(number: int) -> tuple[float, Ended]:
            nonlocal oldest
            begun = time.monotonic()
            ended = await self._client.read(identifier("poll", number % _IDS), 2)
            if ended.code == 0:
                oldest = max(oldest, time.time() - ended.result.observed_at.ToNanoseconds() / 1e9)
            return begun, ended

        ended = await at_rate(20.0 * _IDS, seconds, read)
        return ended, oldest, self._vendor.reads.total() - before


async def _refresh_outage(form: Form, findings: Findings) -> None:
    seconds = form.of(5.0, 30.0)
    async with (
        Vendor() as vendor,
        serving(vendor.url, DEFAULT_MAX_AGE=_DEFAULT, FINAL_MAX_AGE=_DEFAULT) as gateway,
        connected(gateway.port, 8) as client,
    ):
        usual_rule = vendor.on_read = after(0.05, vendor.result_of)
        polling = _Polling(client, vendor)
        _, before, usual = await polling.during(4)
        vendor.on_read = always(send("", 503))
        during, oldest, asked = await polling.during(seconds)
        vendor.on_read = usual_rule
        returned = time.monotonic()
        then, afterwards, _ = await polling.during(8)
    findings.record(f"{usual / 4 / _IDS:.1f} vendor calls a second for an id before", usual <= 1.5 * 4 * _IDS)
    findings.record(
        f"answers at most {max(before, oldest, afterwards):.2f} s old",
        max(before, oldest, afterwards) <= _MAX_AGE + _ON_ITS_WAY,
    )
    findings.record(f"{asked / seconds / _IDS:.1f} in the outage, for 20 calls", asked <= 1.2 * usual / 4 * seconds)
    findings.record(f"{counted(_outcomes([each for _, each in during]))} in the outage")
    within_deadline(findings, [each for _, each in during], 2)
    recovery = max((begun - returned for begun, ended in then if ended.code != 0), default=0.0)
    findings.record(f"all succeed {recovery:.1f} s after the return", recovery <= 5)


def _most_in_a_second(moments: Sequence[float]) -> int:
    return max((sum(begin <= other < begin + 1 for other in moments) for begin in moments), default=0)


async def _rate_limit(form: Form, findings: Findings) -> None:
    """Ten times as many reads as the vendor allows, each of a new id."""
    most, seconds = 20.0, form.of(6.0, 30.0)
    moments: list[float] = []
    async with (
        Vendor() as vendor,
        serving(
            vendor.url, VENDOR_MAX_CALLS_PER_SECOND=most, DEFAULT_MAX_AGE=_DEFAULT, FINAL_MAX_AGE=_DEFAULT
        ) as gateway,
        connected(gateway.port, 8) as client,
    ):

        def noted(rule: Callable[[str], Answer]) -> Callable[[str], Answer]:
            def answer(asked: str) -> Answer:
                moments.append(time.monotonic())
                return later(0.05, rule(asked))

            return answer

        await client.read(identifier("warm", 0), 5)  # and a token
        usual = [await client.cancel(identifier("usual", number), 5) for number in range(5)]
        vendor.on_read, vendor.on_cancel = noted(vendor.result_of), noted(vendor.accept)
        begun = time.monotonic()
        reads, cancels = await asyncio.gather(
            at_rate(10 * most, seconds, lambda number: client.read(identifier("over", number), 2)),
            at_rate(2, seconds, lambda number: client.cancel(identifier("cancel", number), 5)),
        )
        passed = time.monotonic() - begun
    crowded = _most_in_a_second(moments)
    findings.record(f"at most {crowded} in a second", crowded <= 2 * most + 1)
    findings.record(f"{len(moments)} in {passed:.1f} s", len(moments) <= most * (passed + 1) + 1)
    outcomes = _outcomes(reads)
    other = [
        each for each in outcomes if each not in ("OK", "VENDOR_RATE_LIMITED")
    ]  # their turn came just before the deadline
    late = set(other) <= {"DEADLINE_EXCEEDED"} and len(other) <= 0.02 * len(outcomes)
    findings.record(f"reads: {counted(outcomes)}", late)
    findings.record(
        f"{outcomes.count('OK') / seconds:.0f} answered a second", outcomes.count("OK") >= 0.8 * most * seconds
    )
    within_deadline(findings, reads, 2)
    slow, normal = (percentile([each.seconds for each in some], 0.95) * 1000 for some in (cancels, usual))
    findings.record(f"cancels: {counted(_outcomes(cancels))}", set(_outcomes(cancels)) == {"OK"})
    findings.record(f"in {slow:.0f} ms (95 %), {normal:.0f} before", slow <= normal + 250)


NEVER = (
    FaultCase(
        "first-leaves",
        "of 22 readers of an id the first leaves, another's time is over",
        "an answer for all others, one vendor call",
        _first_leaves,
    ),
    FaultCase(
        "shared-failure",
        "the read that 20 wait for fails",
        "the failure for all of them, nothing kept, the next asks anew",
        _shared_failure,
    ),
    FaultCase(
        "cancel-passes",
        "a cancel while an answer is kept, and a read or a refresh under way",
        "what was read before is not given after",
        _cancel_passes,
    ),
)
"""Promises without exception: a lost answer, a cached failure or an outdated status would be a defect."""

CASES = (
    *NEVER,
    FaultCase(
        "refresh-outage",
        "10 ids polled at 200 calls/s, then the vendor answers 503 for 5 s (long: 30 s)",
        "no answer older than max_age + 100 ms, vendor calls ≤ 1.2 × before, all succeed within 5 s of its return",
        _refresh_outage,
        timeout=70,
    ),
    FaultCase(
        "rate-limit",
        "10 × VENDOR_MAX_CALLS_PER_SECOND (20)",
        "vendor calls ≤ 20/s and one burst of 20, reads answered or VENDOR_RATE_LIMITED, cancels ≤ normal + 250 ms",
        _rate_limit,
        timeout=60,
    ),
)
