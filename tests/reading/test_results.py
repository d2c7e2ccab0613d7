"""Reading through bad weather: retries within a budget, and a vendor that is down is left alone."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.call_request_service_pb2 import CancelCallRequestRequest, GetCallRequestResultRequest
from server.deadline import Deadline
from server.errors import GatewayError, Reason
from server.reading.retries import MAX_SAVED, Retries
from server.reading.throttle import Throttle
from testkit.failure import failure
from testkit.gateway import connected, metrics_of, started
from testkit.scripted_vendor import (
    RESULT_ID,
    Answer,
    ScriptedVendor,
    failed,
    hang_up,
    later,
    never,
    pending,
    raw,
    reset,
    send,
)
from testkit.virtual_time import run

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub

GET = GetCallRequestResultRequest(call_request_id=RESULT_ID)
UNAVAILABLE = reasons.ERROR_REASON_VENDOR_UNAVAILABLE

PASSING: dict[str, tuple[Answer, ...]] = {
    "503 twice": (send("", 503), send("", 503)),
    "500, then 502": (send("", 500), send("", 502)),
    "504": (send("", 504),),
    "hangs up": (hang_up(),),
    "resets twice": (reset(), reset()),
    "cut off": (raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{", close=True),),
    "HTML at 200": (send("<html>"),),
    "429 for a moment": (send("", 429, retry_after="0"),),
    "too slow": (never(),),
}


@pytest.mark.parametrize("answers", [pytest.param(answers, id=name) for name, answers in PASSING.items()])
async def test_a_failure_that_passes_is_not_the_callers_concern(
    vendor: ScriptedVendor, answers: tuple[Answer, ...]
) -> None:
    """Reads are tried up to three times; what was undecodable once more."""
    vendor.answer("result", *answers, send(pending()))
    async with started(vendor.url, vendor_timeout=0.5) as gateway, connected(gateway) as client:
        await client.GetCallRequestResult(GET, timeout=5)
        assert f"result_retries_total {len(answers)}.0" in await metrics_of(gateway)
    assert len(vendor.requests("result")) == len(answers) + 1


LASTING: dict[str, tuple[Answer, int]] = {
    "503": (send("", 503), 3),
    "hangs up": (hang_up(), 3),
    "HTML at 200": (send("<html>"), 2),
    "429 for longer than half of the time left": (send("", 429, retry_after="2"), 1),
    "NOT_FOUND": (send(failed("NOT_FOUND")), 1),
    "BAD_REQUEST": (send(failed("BAD_REQUEST")), 1),
    "an unknown code": (send(failed("QUOTA")), 1),
    "403": (send("", 403), 1),
}


@pytest.mark.parametrize(("answer", "tries"), [pytest.param(*case, id=name) for name, case in LASTING.items()])
async def test_a_failure_that_lasts_is_tried_so_often(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor, answer: Answer, tries: int
) -> None:
    """No failure is tried more often than it may help."""
    vendor.answer("result", answer)
    await failure(client.GetCallRequestResult(GET, timeout=3))
    assert len(vendor.requests("result")) == tries


async def test_a_retry_stays_within_the_deadline(client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor) -> None:
    """The last error is told in time, not the next one too late."""
    vendor.answer("result", later(0.25, send("", 503)))
    begun = asyncio.get_running_loop().time()
    await failure(client.GetCallRequestResult(GET, timeout=0.4))
    assert asyncio.get_running_loop().time() - begun < 0.5


def test_retries_have_a_budget() -> None:
    """A tenth of the calls and one a second are tried again in the long run, whatever fails."""

    async def outage() -> float:
        retries, granted, calls = Retries(), 0, 3000
        for _ in range(calls):  # 100 a second
            retries.call_begun()
            for tries in (1, 2):
                granted += retries.pause(GatewayError(UNAVAILABLE), tries, Deadline.after(10)) is not None
            await asyncio.sleep(0.01)
        return (granted - MAX_SAVED) / calls

    assert 0.1 < run(outage()) < 0.115


def test_pauses_are_jittered_and_bounded() -> None:
    """Full jitter from 50 ms on: nobody waits long, and not all at once."""

    async def pauses(tries: int) -> list[float]:
        found = []
        for _ in range(200):
            pause = Retries().pause(GatewayError(UNAVAILABLE), tries, Deadline.after(10))
            assert pause is not None
            found.append(pause)
        return found

    first, second = run(pauses(1)), run(pauses(2))
    assert 0 <= min(first) < 0.01
    assert 0.04 < max(first) <= 0.05
    assert 0.08 < max(second) <= 0.1


class _Vendor:
    """Counts what reaches a vendor that is down or not, behind a throttle, at 100 reads a second."""

    def __init__(self) -> None:
        self.throttle = Throttle()

    async def reads(self, seconds: float, reason: Reason | None) -> float:
        """The share of reads that reached it."""
        reached, number = 0, round(seconds * 100)
        for _ in range(number):
            try:
                self.throttle.admit()
            except GatewayError:
                pass
            else:
                reached += 1
                self.throttle.answered(reason)
            await asyncio.sleep(0.01)
        return reached / number


def test_a_vendor_that_is_down_is_left_alone_and_one_that_is_back_is_found_at_once() -> None:
    """Of the reads in an outage few reach the vendor; within 2 s of its return all do."""

    async def weather() -> tuple[float, float]:
        vendor = _Vendor()
        await vendor.reads(10, None)
        await vendor.reads(5, UNAVAILABLE)
        outage = await vendor.reads(30, UNAVAILABLE)
        await vendor.reads(2, None)
        return outage, await vendor.reads(5, None)

    for outage, after in (run(weather()) for _ in range(8)):  # so that no luck of the dice passes for a rule
        assert 0.01 < outage < 0.05
        assert after == 1


def test_a_vendor_that_fails_less_than_half_the_time_is_not_throttled() -> None:
    """K = 2: two in five failing leave every read its chance."""

    async def mixed() -> int:
        throttle, refused = Throttle(), 0
        for number in range(5000):
            try:
                throttle.admit()
            except GatewayError:
                refused += 1
            else:
                throttle.answered(UNAVAILABLE if number % 5 in {0, 2} else None)
            await asyncio.sleep(0.01)
        return refused

    assert run(mixed()) == 0


def test_a_few_failures_are_no_outage() -> None:
    """A quiet gateway does not refuse a read since the one before it failed."""

    async def few() -> None:
        throttle = Throttle()
        for _ in range(10):
            throttle.admit()
            throttle.answered(UNAVAILABLE)

    run(few())


def test_callers_that_give_up_do_not_count_against_the_vendor() -> None:
    """A spent deadline says nothing of the vendor, nor do reads under way."""

    async def impatient() -> None:
        throttle = Throttle()
        for _ in range(1000):
            throttle.admit()
            throttle.answered(reasons.ERROR_REASON_DEADLINE_EXCEEDED)
        for _ in range(1000):
            throttle.admit()

    run(impatient())


async def test_reads_that_are_throttled_are_told_as_the_vendors_failure(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """In an outage most calls are answered without the vendor, with its last failure."""
    vendor.answer("result", send("", 503))
    told = [await failure(client.GetCallRequestResult(GET)) for _ in range(60)]
    assert {(each.code, each.reason) for each in told} == {("UNAVAILABLE", "VENDOR_UNAVAILABLE")}
    assert len(vendor.requests("result")) < 60


async def test_above_its_bound_a_read_is_refused_at_once_and_a_cancel_is_not(vendor: ScriptedVendor) -> None:
    """Reads and cancels have bounds of their own; a refusal says when to come again, and the vendor sees nothing."""
    vendor.answer("result", never())
    async with started(vendor.url, max_reads=5) as gateway, connected(gateway) as client:
        held = [asyncio.ensure_future(client.GetCallRequestResult(GET)) for _ in range(5)]
        await vendor.until(lambda: len(vendor.requests("result")) == 5)
        got = await failure(client.GetCallRequestResult(GET))
        assert (got.code, got.reason, got.retry) == ("UNAVAILABLE", "OVERLOADED", 1.0)
        assert len(vendor.requests("result")) == 5
        await client.CancelCallRequest(CancelCallRequestRequest(call_request_id=RESULT_ID))
        assert 'calls_in_flight{kind="read"} 5.0' in await metrics_of(gateway)
        for call in held:
            call.cancel()
        vendor.answer("result", send(pending()))
        await asyncio.sleep(0.1)
        await client.GetCallRequestResult(GET)


async def test_above_its_bound_a_cancel_is_refused_and_nothing_was_sent(vendor: ScriptedVendor) -> None:
    """OVERLOADED means that nothing was cancelled."""
    vendor.answer("cancel", later(0.5, hang_up()))
    async with started(vendor.url, max_cancels=1) as gateway, connected(gateway) as client:
        first = asyncio.ensure_future(client.CancelCallRequest(CancelCallRequestRequest(call_request_id=RESULT_ID)))
        await vendor.until(lambda: vendor.requests("cancel"))
        got = await failure(client.CancelCallRequest(CancelCallRequestRequest(call_request_id="bcpFuj1ipoBKLz5G")))
        assert (got.code, got.reason) == ("UNAVAILABLE", "OVERLOADED")
        assert len(vendor.requests("cancel")) == 1
        first.cancel()
