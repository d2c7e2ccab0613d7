"""Cancelling: OK only for what is cancelled, and a typed reason for what cannot be."""

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from callrequest.v1 import call_request_pb2 as results
from callrequest.v1 import cancellation_pb2 as pb
from callrequest.v1.call_request_service_pb2 import CancelCallRequestRequest, GetCallRequestResultRequest
from testkit.failure import Failure, failure
from testkit.gateway import connected, metrics_of, started
from testkit.scripted_vendor import (
    RESULT_ID,
    Answer,
    ScriptedVendor,
    cancelled,
    failed,
    hang_up,
    later,
    never,
    pending,
    send,
    with_status,
)

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub

CANCEL = CancelCallRequestRequest(call_request_id=RESULT_ID)
CHECK_IN = "Call request cannot be cancelled as check in is in the past."
UNKNOWN_REASON = pb.CANCELLATION_REJECTION_REASON_UNSPECIFIED
CHECK_IN_PASSED = pb.CANCELLATION_REJECTION_REASON_CHECK_IN_PASSED
IN_PROGRESS = pb.CANCELLATION_REJECTION_REASON_CALL_IN_PROGRESS
COMPLETED = pb.CANCELLATION_REJECTION_REASON_CALL_COMPLETED


def refused(words: str, code: str = "CANCELLATION_NOT_ALLOWED", status: int = 200) -> Answer:
    return send(failed(code, words), status)


async def test_a_cancel_posts_the_id_once_with_the_token(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """One POST with the id in the body, as the page shows it; nothing is read."""
    answer = (await client.CancelCallRequest(CANCEL)).cancellation
    assert answer.outcome == pb.CANCELLATION_OUTCOME_CANCELLED
    assert answer.cancelled_at.ToJsonString() == "2025-06-03T09:31:00Z"
    (asked,) = vendor.requests("cancel")
    assert (asked.method, asked.path, asked.body) == (
        "POST",
        "/api/v1/call-request/cancel",
        b'{"callRequestId": "77b2c4d5e6f7g890"}',
    )
    assert asked.headers["authorization"] == "Bearer token-1"
    assert asked.headers["content-type"] == "application/json"
    assert vendor.requests("result") == []


async def test_the_path_of_a_cancel_is_a_setting(vendor: ScriptedVendor) -> None:
    """`{id}` in VENDOR_CANCEL_PATH becomes the id: the page gives no path."""
    async with started(vendor.url, vendor_cancel_path="/v2/{id}/cancellation") as gateway, connected(gateway) as client:
        await client.CancelCallRequest(CANCEL)
    assert vendor.requests("cancel")[0].path == f"/v2/{RESULT_ID}/cancellation"


async def test_what_is_cancelled_already_is_a_success(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """A refusal of what reads as CANCELLED is OK with ALREADY_CANCELLED, so that a cancel may be repeated."""
    vendor.answer("cancel", refused("already cancelled"))
    vendor.answer("result", send(with_status("CANCELLED")))
    answer = (await client.CancelCallRequest(CANCEL)).cancellation
    assert answer.outcome == pb.CANCELLATION_OUTCOME_ALREADY_CANCELLED
    assert answer.call_request_id == RESULT_ID
    assert not answer.HasField("cancelled_at")


@pytest.mark.parametrize(
    ("words", "read", "reason", "status"),
    [
        pytest.param("no", send(with_status("COMPLETED")), COMPLETED, "COMPLETED", id="completed"),
        pytest.param("no", send(with_status("processed")), COMPLETED, "COMPLETED", id="completed, otherwise spelt"),
        pytest.param("no", send(with_status("IN_PROGRESS")), IN_PROGRESS, "IN_PROGRESS", id="in progress"),
        pytest.param(CHECK_IN, send(with_status("COMPLETED")), COMPLETED, "COMPLETED", id="the status first"),
        pytest.param(CHECK_IN, send(pending()), CHECK_IN_PASSED, "PENDING_TO_CALL", id="check-in past"),
        pytest.param("Check-In date passed", send(pending()), CHECK_IN_PASSED, "PENDING_TO_CALL", id="other words"),
        pytest.param("past the\ncheckin", send(pending()), CHECK_IN_PASSED, "PENDING_TO_CALL", id="two lines"),
        pytest.param("check in tomorrow", send(pending()), UNKNOWN_REASON, "PENDING_TO_CALL", id="check-in, not past"),
        pytest.param("compassed", send(pending()), UNKNOWN_REASON, "PENDING_TO_CALL", id="unhelpful words"),
        pytest.param("", send(pending()), UNKNOWN_REASON, "PENDING_TO_CALL", id="no words"),
        pytest.param(CHECK_IN, send(with_status("ON_HOLD")), CHECK_IN_PASSED, "UNSPECIFIED", id="unknown status"),
        pytest.param(CHECK_IN, send("", 500), UNKNOWN_REASON, "UNSPECIFIED", id="the read fails"),
        pytest.param(CHECK_IN, hang_up(), UNKNOWN_REASON, "UNSPECIFIED", id="the read is cut off"),
        pytest.param(CHECK_IN, refused("", "NOT_FOUND"), UNKNOWN_REASON, "UNSPECIFIED", id="the read finds nothing"),
        pytest.param(CHECK_IN, never(), UNKNOWN_REASON, "UNSPECIFIED", id="the read never answers"),
    ],
)
async def test_a_refusal_says_why(
    client: "CallRequestServiceAsyncStub",
    vendor: ScriptedVendor,
    words: str,
    read: Answer,
    reason: pb.CancellationRejectionReason.ValueType,
    status: str,
) -> None:
    """FAILED_PRECONDITION with the reason from the status, else from the vendor's words; unset when not known."""
    vendor.answer("cancel", refused(words))
    vendor.answer("result", read)
    got = await failure(client.CancelCallRequest(CANCEL, timeout=1))
    assert (got.code, got.reason) == ("FAILED_PRECONDITION", "CANCELLATION_NOT_ALLOWED")
    assert got.rejected is not None
    assert got.rejected.reason == reason
    assert results.CallRequestStatus.Name(got.rejected.status) == f"CALL_REQUEST_STATUS_{status}"
    assert len(vendor.requests("cancel")) == 1


@pytest.mark.parametrize("http_status", [200, 400, 409, 422, 500, 503])
async def test_a_refusal_counts_at_any_http_status(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor, http_status: int
) -> None:
    """The vendor's own words decide, then the HTTP status."""
    vendor.answer("cancel", refused(CHECK_IN, status=http_status))
    got = await failure(client.CancelCallRequest(CANCEL))
    assert (got.code, got.reason) == ("FAILED_PRECONDITION", "CANCELLATION_NOT_ALLOWED")


async def test_a_cancel_is_sent_again_after_a_401_and_only_once(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """A 401 is a clear no: with a new token the cancel is sent a second time, never a third."""
    vendor.answer("token", send({"access_token": "old"}), send({"access_token": "new"}))
    vendor.answer("cancel", send("", 401), send(cancelled()))
    assert (await client.CancelCallRequest(CANCEL)).cancellation.outcome == pb.CANCELLATION_OUTCOME_CANCELLED
    assert [asked.headers["authorization"] for asked in vendor.requests("cancel")] == ["Bearer old", "Bearer new"]


LOST = {
    "hangs up": hang_up(),
    "500": send("", 500),
    "HTML": send("<html>"),
    "a late answer": later(5, send(cancelled())),
}


@pytest.mark.parametrize("lost", [pytest.param(answer, id=name) for name, answer in LOST.items()])
async def test_a_lost_reply_is_settled_by_reading_back(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor, lost: Answer
) -> None:
    """What reads as CANCELLED after a POST without a clear answer is CANCELLED; when, is not known."""
    vendor.answer("cancel", lost)
    vendor.answer("result", send("", 503), send(with_status("CANCELLED")))
    answer = (await client.CancelCallRequest(CANCEL, timeout=2)).cancellation
    assert answer.outcome == pb.CANCELLATION_OUTCOME_CANCELLED
    assert not answer.HasField("cancelled_at")
    assert len(vendor.requests("cancel")) == 1
    assert len(vendor.requests("result")) == 2


@pytest.mark.parametrize(("status", "reason"), [("COMPLETED", COMPLETED), ("IN_PROGRESS", IN_PROGRESS)])
async def test_a_lost_reply_to_a_cancel_that_came_too_late_is_a_refusal(
    client: "CallRequestServiceAsyncStub",
    vendor: ScriptedVendor,
    status: str,
    reason: pb.CancellationRejectionReason.ValueType,
) -> None:
    """Reading back tells that the hotel is or was phoned: the cancel cannot have worked."""
    vendor.answer("cancel", hang_up())
    vendor.answer("result", send(with_status(status)))
    got = await failure(client.CancelCallRequest(CANCEL))
    assert (got.code, got.reason) == ("FAILED_PRECONDITION", "CANCELLATION_NOT_ALLOWED")
    assert got.rejected is not None
    assert got.rejected.reason == reason


async def test_what_is_still_pending_is_posted_once_more(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """Pending at the third reading back: the first POST did not work, the second may."""
    vendor.answer("cancel", hang_up(), send(cancelled()))
    answer = (await client.CancelCallRequest(CANCEL)).cancellation
    assert answer.outcome == pb.CANCELLATION_OUTCOME_CANCELLED
    assert answer.HasField("cancelled_at")
    assert (len(vendor.requests("cancel")), len(vendor.requests("result"))) == (2, 3)


async def test_what_stays_in_doubt_is_said_to_be(client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor) -> None:
    """Two POSTs without an answer, and still pending: CANCELLATION_OUTCOME_UNKNOWN, and no third POST."""
    vendor.answer("cancel", hang_up())
    got = await failure(client.CancelCallRequest(CANCEL, timeout=5))
    assert (got.code, got.reason, got.retry) == ("UNKNOWN", "CANCELLATION_OUTCOME_UNKNOWN", None)
    assert (len(vendor.requests("cancel")), len(vendor.requests("result"))) == (2, 6)


async def test_a_call_request_that_is_gone_is_not_found(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """NOT_FOUND while reading back settles it."""
    vendor.answer("cancel", hang_up())
    vendor.answer("result", send(failed("NOT_FOUND")))
    assert (await failure(client.CancelCallRequest(CANCEL))).reason == "CALL_REQUEST_NOT_FOUND"


async def test_what_was_not_sent_is_sent_again(vendor: ScriptedVendor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that was refused had no effect: the cancel is tried again, and the vendor gets it once."""
    monkeypatch.setattr(
        "server.cancelling.cancellation.random.uniform", lambda least, most: most
    )  # luck may take no pause at all
    port = int(vendor.url.rpartition(":")[2])
    async with started(vendor.url) as gateway, connected(gateway) as client:
        await client.CancelCallRequest(CANCEL)  # fetches the token
        await vendor.__aexit__()
        call = asyncio.ensure_future(client.CancelCallRequest(CANCEL))
        await asyncio.sleep(0.02)
        await vendor.listen(port)
        await call
    assert len(vendor.requests("cancel")) == 2


async def test_a_rate_limited_cancel_is_sent_again_when_there_is_time(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """429 is a clear no: after Retry-After the cancel is sent a second time, never a third."""
    vendor.answer("cancel", send("", 429, retry_after="0"), send(cancelled()))
    assert (await client.CancelCallRequest(CANCEL)).cancellation.outcome == pb.CANCELLATION_OUTCOME_CANCELLED
    vendor.answer("cancel", send("", 429, retry_after="0"))
    assert (await failure(client.CancelCallRequest(CANCEL))).reason == "VENDOR_RATE_LIMITED"
    assert len(vendor.requests("cancel")) == 4


async def test_callers_of_one_id_share_its_cancel(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """One cancel at a time for an id: two callers cause one POST, and each gets the answer."""
    vendor.answer("cancel", later(0.3, send(cancelled())))
    answers = await asyncio.gather(*(client.CancelCallRequest(CANCEL) for _ in range(5)))
    assert {answer.cancellation.outcome for answer in answers} == {pb.CANCELLATION_OUTCOME_CANCELLED}
    assert len(vendor.requests("cancel")) == 1


async def test_a_caller_with_more_time_is_not_bound_by_one_with_less(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """Each waits within its own deadline for the cancel that they share."""
    vendor.answer("cancel", hang_up())
    vendor.answer("result", later(0.7, send(with_status("CANCELLED"))))
    hasty = asyncio.ensure_future(client.CancelCallRequest(CANCEL, timeout=0.6))
    await vendor.until(lambda: vendor.requests("cancel"))
    patient = client.CancelCallRequest(CANCEL, timeout=8)
    assert (await failure(hasty)).reason == "CANCELLATION_OUTCOME_UNKNOWN"
    assert (await patient).cancellation.outcome == pb.CANCELLATION_OUTCOME_CANCELLED
    assert len(vendor.requests("cancel")) == 1


async def test_a_caller_that_leaves_does_not_leave_it_half_done(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """The cancel goes on without its caller: a lost reply is read back all the same."""
    vendor.answer("cancel", later(0.3, hang_up()))
    vendor.answer("result", send(with_status("CANCELLED")))
    call = client.CancelCallRequest(CANCEL)
    await vendor.until(lambda: vendor.requests("cancel"))
    call.cancel()
    await vendor.until(lambda: vendor.requests("result"))
    assert vendor.left == 0


async def test_a_cancel_that_nobody_waits_for_is_finished_before_the_end(vendor: ScriptedVendor) -> None:
    """Draining waits for cancels whose callers have left."""
    vendor.answer("cancel", later(0.5, send(cancelled())))
    async with started(vendor.url) as gateway, connected(gateway) as client:
        call = client.CancelCallRequest(CANCEL)
        await vendor.until(lambda: vendor.requests("cancel"))
        call.cancel()
        await asyncio.sleep(0.1)
        await gateway.drain()
        assert 'cancellations_total{settled_by="reply"} 1.0' in await metrics_of(gateway)
    assert vendor.left == 0


async def _while_it_ends(
    vendor: ScriptedVendor, stack: AsyncExitStack, operation: str, *, twice: bool
) -> tuple[Failure, float]:
    """How a cancel ends when the gateway does while that operation hangs, and the seconds that took.

    twice: the drain is broken off, as by a second signal.
    """
    async with started(vendor.url, grace=1.0) as gateway:
        client = await stack.enter_async_context(connected(gateway))
        call = asyncio.ensure_future(failure(client.CancelCallRequest(CANCEL)))
        await vendor.until(lambda: vendor.requests(operation))
        begun = asyncio.get_running_loop().time()
        draining = asyncio.ensure_future(gateway.drain())
        if twice:
            await asyncio.sleep(0.1)
            draining.cancel()
        await asyncio.wait({draining})
    return await call, asyncio.get_running_loop().time() - begun


@pytest.mark.parametrize("twice", [pytest.param(False, id="GRACE is over"), pytest.param(True, id="a second signal")])
@pytest.mark.parametrize(
    ("hangs", "before", "code", "reason"),
    [
        pytest.param("cancel", None, "UNKNOWN", "CANCELLATION_OUTCOME_UNKNOWN", id="sent"),
        pytest.param("result", hang_up(), "UNKNOWN", "CANCELLATION_OUTCOME_UNKNOWN", id="being read back"),
        pytest.param("result", refused("no"), "FAILED_PRECONDITION", "CANCELLATION_NOT_ALLOWED", id="refused"),
        pytest.param("token", None, "UNAVAILABLE", "VENDOR_UNAVAILABLE", id="not sent"),
    ],
)
async def test_a_cancel_that_the_end_overtakes_says_what_is_known_of_it(
    vendor: ScriptedVendor, hangs: str, before: Answer | None, code: str, reason: str, twice: bool
) -> None:
    """UNAVAILABLE, which clients repeat by themselves, only when nothing was sent; and all are told within GRACE."""
    vendor.answer(hangs, never())
    if before:
        vendor.answer("cancel", before)
    async with AsyncExitStack() as stack:
        got, seconds = await _while_it_ends(vendor, stack, hangs, twice=twice)
    assert (got.code, got.reason) == (code, reason)
    assert seconds <= (0.6 if twice else 1.0)
    assert len(vendor.requests("cancel")) == (hangs != "token")


async def test_while_it_ends_a_cancel_is_finished_when_there_is_time(vendor: ScriptedVendor) -> None:
    """An end that the cancel is in time for changes nothing of its answer."""
    vendor.answer("cancel", later(0.4, send(cancelled())))
    async with started(vendor.url) as gateway, connected(gateway) as client:
        call = asyncio.ensure_future(client.CancelCallRequest(CANCEL))
        await vendor.until(lambda: vendor.requests("cancel"))
        await gateway.drain()
        assert (await call).cancellation.outcome == pb.CANCELLATION_OUTCOME_CANCELLED


async def test_a_cancel_whose_caller_has_left_counts_as_long_as_it_goes_on(vendor: ScriptedVendor) -> None:
    """MAX_CANCELS bounds what goes on at the vendor: more is OVERLOADED, but who shares a cancel takes no place."""
    other = CancelCallRequestRequest(call_request_id="bcpFuj1ipoBKLz5G")
    vendor.answer("cancel", later(1, send(cancelled(other.call_request_id))), send(cancelled()))
    async with started(vendor.url, max_cancels=1) as gateway, connected(gateway) as client:
        left = client.CancelCallRequest(other)
        await vendor.until(lambda: vendor.requests("cancel"))
        left.cancel()
        await asyncio.sleep(0.1)
        got = await failure(client.CancelCallRequest(CANCEL))
        assert (got.code, got.reason, got.retry) == ("UNAVAILABLE", "OVERLOADED", 1.0)
        assert 'calls_in_flight{kind="cancel"} 1.0' in await metrics_of(gateway)
        await asyncio.gather(*(client.CancelCallRequest(other) for _ in range(3)))
        assert len(vendor.requests("cancel")) == 1
        assert 'calls_in_flight{kind="cancel"} 0.0' in await metrics_of(gateway)
        await client.CancelCallRequest(CANCEL)


async def test_cancels_that_hang_do_not_keep_others_from_a_token(vendor: ScriptedVendor) -> None:
    """Tokens have a connection of their own: with as many cancels as may be, a revoked one is replaced."""
    vendor.answer("cancel", never())
    async with started(vendor.url, max_cancels=2, vendor_connect_timeout=0.5) as gateway, connected(gateway) as client:
        hung = [client.CancelCallRequest(CancelCallRequestRequest(call_request_id=f"{n:016}")) for n in range(2)]
        await vendor.until(lambda: len(vendor.requests("cancel")) == 2)
        vendor.answer("result", send("", 401), send(pending()))
        await client.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=RESULT_ID), timeout=2)
        assert len(vendor.requests("token")) == 2
        for call in hung:
            call.cancel()


async def test_a_cancel_takes_the_time_that_its_caller_has(vendor: ScriptedVendor) -> None:
    """A cancel is not ended by the timeout of reads: that would only bring it into doubt."""
    vendor.answer("cancel", later(0.4, send(cancelled())))
    async with started(vendor.url, vendor_timeout=0.1) as gateway, connected(gateway) as client:
        assert (await client.CancelCallRequest(CANCEL)).cancellation.outcome == pb.CANCELLATION_OUTCOME_CANCELLED
