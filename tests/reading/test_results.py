"""The use case: one call for a service, a bound of its own, and observers that learn of every reading."""

import asyncio

import pytest

from callrequest.v1 import call_request_pb2 as pb
from callrequest.v1.call_request_service_pb2 import (
    CancelCallRequestRequest,
    GetCallRequestResultRequest,
    GetCallRequestResultResponse,
)
from server.deadline import Deadline, now
from server.reading.result_cache import Reading
from testkit.failure import failure
from testkit.gateway import connected, metrics_of, started
from testkit.scripted_vendor import RESULT_ID, ScriptedVendor, hang_up, later, never, pending, send
from testkit.virtual_time import run
from testkit.virtual_vendor import VirtualVendor, bare, error_body, failure_of, good, ids, outcome_of, reading_from

GET = GetCallRequestResultRequest(call_request_id=RESULT_ID)


class Observed:
    """Notes what changes."""

    def __init__(self) -> None:
        self.changes: list[str] = []

    def on_reading(self, call_request_id: str, reading: Reading) -> None:
        self.changes.append(pb.CallRequestStatus.Name(reading.result().status).removeprefix("CALL_REQUEST_STATUS_"))

    def on_invalidated(self, call_request_id: str | None) -> None:
        self.changes.append("invalidated")

    def follows(self, call_request_id: str) -> bool:
        return False


def test_an_answer_is_a_serialized_response() -> None:
    """What is sent to callers is what was read, once and again."""

    async def answered() -> None:
        async with reading_from(VirtualVendor()) as results:
            answers = {(await results.read(RESULT_ID, None, Deadline.after(5))).answer for _ in range(3)}
            (answer,) = answers
            reading = await results.read(RESULT_ID, None, Deadline.after(5))
        assert reading.answer == answer
        assert reading.result() == GetCallRequestResultResponse.FromString(answer).call_request_result
        assert reading.result().call_request_id == RESULT_ID

    run(answered())


def test_a_call_that_a_cached_answer_or_failure_serves_takes_no_place() -> None:
    """MAX_READS bounds what asks the vendor or waits for it; each reader of one id counts."""

    async def bounded() -> None:
        answered, failing, other = "a" * 16, "f" * 16, "o" * 16
        vendor = VirtualVendor(lambda asked: error_body("NOT_FOUND") if asked == failing else good(asked))
        async with reading_from(vendor, max_reads=3) as results:
            assert await outcome_of(results, answered) == "PENDING_TO_CALL"
            assert await outcome_of(results, failing) == "CALL_REQUEST_NOT_FOUND"
            vendor.rule = lambda _: None
            waiting = [asyncio.create_task(outcome_of(results, other)) for _ in range(3)]
            await asyncio.sleep(0.1)
            for each in (other, "n" * 16):
                refused = await failure_of(results, each)
                assert refused is not None
                assert (refused.reason_name, refused.retry_after) == ("OVERLOADED", 1.0)
            assert await outcome_of(results, answered) == "PENDING_TO_CALL"
            assert await outcome_of(results, failing) == "CALL_REQUEST_NOT_FOUND"
            assert vendor.asked(other) == 1
            waiting[0].cancel()
            await asyncio.sleep(0)
            vendor.rule = good
            assert await outcome_of(results, "n" * 16) == "PENDING_TO_CALL"

    run(bounded())


def test_observers_learn_of_every_reading_whoever_made_it() -> None:
    """A caller's read, a refresh and a push; a failure is no reading, and a cached answer is no new one."""

    async def observed() -> list[str]:
        vendor, observer = VirtualVendor(), Observed()
        async with reading_from(vendor) as results:
            results.observe(observer)
            await outcome_of(results, RESULT_ID)
            await outcome_of(results, RESULT_ID)
            vendor.rule = lambda asked: good(asked, "IN_PROGRESS")
            await asyncio.sleep(0.9)
            await outcome_of(results, RESULT_ID)  # begins a refresh
            await asyncio.sleep(0.1)
            vendor.rule = lambda _: bare(404)
            await outcome_of(results, RESULT_ID, max_age=0)
            results.replace_older(RESULT_ID, Reading.of(pb.CallRequestResult(status=pb.CALL_REQUEST_STATUS_CANCELLED)))
        return observer.changes

    assert run(observed()) == ["PENDING_TO_CALL", "IN_PROGRESS", "CANCELLED"]


def test_observers_learn_that_a_cancel_may_have_changed_a_result() -> None:
    """What was under way then is no reading for them."""

    async def observed() -> list[str]:
        vendor, observer = VirtualVendor(), Observed()
        async with reading_from(vendor) as results:
            results.observe(observer)
            older = asyncio.create_task(outcome_of(results, RESULT_ID))
            await asyncio.sleep(0.01)
            results.invalidate(RESULT_ID)
            await older
        return observer.changes

    assert run(observed()) == ["invalidated"]


def test_a_replaced_result_is_given_and_what_was_under_way_does_not_undo_it() -> None:
    """A push is newer than a read that began before it, final or not."""

    async def replaced() -> None:
        vendor, observer = VirtualVendor(), Observed()
        async with reading_from(vendor) as results:
            results.observe(observer)
            older = asyncio.create_task(outcome_of(results, RESULT_ID))
            await asyncio.sleep(0.01)
            pushed = pb.CallRequestResult(call_request_id=RESULT_ID, status=pb.CALL_REQUEST_STATUS_IN_PROGRESS)
            assert results.replace_older(RESULT_ID, Reading.of(pushed))
            assert await outcome_of(results, RESULT_ID) == "IN_PROGRESS"
            assert await older == "PENDING_TO_CALL"
            assert await outcome_of(results, RESULT_ID) == "IN_PROGRESS"
        assert observer.changes == ["IN_PROGRESS"]

    run(replaced())


def test_a_final_result_is_not_undone() -> None:
    """Neither by a slow read nor by a push that was late: observers do not see it go back."""

    async def undone() -> list[str]:
        observer = Observed()
        async with reading_from(VirtualVendor()) as results:
            results.observe(observer)
            for status in (pb.CALL_REQUEST_STATUS_CANCELLED, pb.CALL_REQUEST_STATUS_IN_PROGRESS):
                pushed = pb.CallRequestResult(call_request_id=RESULT_ID, status=status)
                results.replace_older(RESULT_ID, Reading.of(pushed))
            assert await outcome_of(results, RESULT_ID) == "CANCELLED"
            assert await outcome_of(results, RESULT_ID, max_age=0) == "PENDING_TO_CALL"
            assert await outcome_of(results, RESULT_ID) == "CANCELLED"
        return observer.changes

    assert run(undone()) == ["CANCELLED"]


def test_a_final_result_stays_when_a_later_read_has_passed_the_one_that_brought_it() -> None:
    """Who waits for the later read, too, receives the final result, whatever the vendor answers to that one."""

    async def passed() -> list[str]:
        vendor, observer = VirtualVendor(lambda asked: good(asked, "CANCELLED"), seconds=0.2), Observed()
        async with reading_from(vendor) as results:
            results.observe(observer)
            first = asyncio.create_task(outcome_of(results, RESULT_ID))
            await asyncio.sleep(0.1)
            vendor.rule = good
            later = [asyncio.create_task(outcome_of(results, RESULT_ID, max_age=0))]
            assert await first == "CANCELLED"
            later.append(asyncio.create_task(outcome_of(results, RESULT_ID)))
            assert await asyncio.gather(*later) == ["CANCELLED", "CANCELLED"]
            assert await outcome_of(results, RESULT_ID) == "CANCELLED"
        assert len(vendor.reads) == 2
        return observer.changes

    assert run(passed()) == ["CANCELLED"]


@pytest.mark.parametrize(
    ("seconds", "after"),
    [
        pytest.param(None, 9.95, id="none set"),
        pytest.param(3.0, 2.95, id="3 s"),
        pytest.param(30.0, 29.95, id="30 s"),
        pytest.param(3600.0, 29.95, id="an hour"),
        pytest.param(0.2, 0.18, id="200 ms"),
    ],
)
def test_a_call_ends_a_little_before_its_deadline(seconds: float | None, after: float) -> None:
    """Without one it is 10 s, and never more than 30 s, whatever the vendor does."""

    async def ended() -> float:
        vendor = VirtualVendor(lambda _: None)
        async with reading_from(vendor, vendor_timeout=300) as results:
            begun = now()
            failed = await asyncio.gather(
                results.read(RESULT_ID, None, Deadline.after(seconds)), return_exceptions=True
            )
            assert "DEADLINE_EXCEEDED" in str(failed)
            assert vendor.left == 1
            return now() - begun

    assert run(ended()) == pytest.approx(after, abs=0.01)


@pytest.mark.parametrize("seconds", [0.05, 0.02, 0.0, -1.0])
def test_with_less_than_50_ms_left_no_read_begins(seconds: float) -> None:
    """It fails at once; a cached answer is given all the same."""

    async def spent() -> None:
        vendor = VirtualVendor()
        async with reading_from(vendor) as results:
            begun = now()
            assert await outcome_of(results, RESULT_ID, seconds=seconds) == "DEADLINE_EXCEEDED"
            assert now() - begun < 0.001
            assert vendor.reads == []
            await outcome_of(results, RESULT_ID)
            assert await outcome_of(results, RESULT_ID, seconds=seconds) == "PENDING_TO_CALL"

    run(spent())


def test_at_the_end_no_read_is_under_way() -> None:
    """Those that a fresher one or a cancel has dropped included; who waits gets DEADLINE_EXCEEDED."""

    async def closed() -> None:
        vendor = VirtualVendor(lambda _: None)
        async with reading_from(vendor) as results:
            waiting = [asyncio.create_task(outcome_of(results, RESULT_ID, max_age=0)) for _ in range(3)]
            waiting += [asyncio.create_task(outcome_of(results, each)) for each in ids("other", 2)]
            await asyncio.sleep(0.1)
            assert len(vendor.reads) == 5
        assert vendor.left == 5
        assert set(await asyncio.gather(*waiting)) == {"DEADLINE_EXCEEDED"}

    run(closed())


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
        await vendor.until(lambda: vendor.left == 5)
        vendor.answer("result", send(pending()))
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
