"""Cancelling through a whole gateway, over real sockets: what is sent, what callers receive, and the end."""

import asyncio
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from callrequest.v1 import call_request_pb2 as results
from callrequest.v1 import cancellation_pb2 as pb
from callrequest.v1.call_request_service_pb2 import CancelCallRequestRequest, GetCallRequestResultRequest
from server.app import Gateway
from server.observability.access_log import AccessLog
from testkit.failure import Failure, failure
from testkit.gateway import connected, metrics_of, settings_for, started
from testkit.logs import Lines
from testkit.scripted_vendor import (
    RESULT_ID,
    Answer,
    ScriptedVendor,
    cancelled,
    failed,
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


@pytest.mark.parametrize("base", [pytest.param("", id="at the root"), pytest.param("/vendor/eu", id="below a path")])
@pytest.mark.parametrize(
    ("path", "sent"),
    [
        pytest.param("/v2/cancel", "/v2/cancel", id="without the id"),
        pytest.param("/v2/{id}/cancellation", f"/v2/{RESULT_ID}/cancellation", id="with the id"),
        pytest.param("/{id}/cancel/{id}", f"/{RESULT_ID}/cancel/{RESULT_ID}", id="with the id twice"),
    ],
)
async def test_the_path_of_a_cancel_is_a_setting(vendor: ScriptedVendor, base: str, path: str, sent: str) -> None:
    """`{id}` in VENDOR_CANCEL_PATH becomes the id: the vendor's page has no path."""
    async with started(vendor.url + base, vendor_cancel_path=path) as gateway, connected(gateway) as client:
        await client.CancelCallRequest(CANCEL)
    assert vendor.requests("cancel")[0].path == base + sent


async def test_a_cancel_is_sent_again_after_a_401_and_only_once(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """A 401 is a clear no: with a new token the cancel is sent a second time, never a third."""
    vendor.answer("token", send({"access_token": "old"}), send({"access_token": "new"}))
    vendor.answer("cancel", send("", 401), send(cancelled()))
    assert (await client.CancelCallRequest(CANCEL)).cancellation.outcome == pb.CANCELLATION_OUTCOME_CANCELLED
    assert [asked.headers["authorization"] for asked in vendor.requests("cancel")] == ["Bearer old", "Bearer new"]


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


STATUS_CANCELLED = {"success": True, "callRequestStatus": "CANCELLED"}


@pytest.mark.parametrize(
    ("reply", "readings"),
    [
        pytest.param(with_status("PENDING_TO_CALL"), 1, id="pending"),
        pytest.param(with_status("in Progress"), 1, id="another spelling"),
        pytest.param({"success": True, "result": {"callRequestStatus": "COMPLETED"}}, 1, id="in the object"),
        pytest.param({"success": True, "results": [{"callRequestStatus": "COMPLETED"}]}, 1, id="in an array"),
        pytest.param({"success": True, "results": [[{"callRequestStatus": "COMPLETED"}]]}, 1, id="in nested arrays"),
        pytest.param(STATUS_CANCELLED | {"callRequetStatus": "COMPLETED"}, 1, id="under its other key"),
        pytest.param(STATUS_CANCELLED | {"CallRequestStatus": "COMPLETED"}, 1, id="a key in another case"),
        pytest.param(with_status("Canceled"), 0, id="cancelled"),
        pytest.param(with_status("ACCEPTED"), 1, id="an unknown status"),
        pytest.param({"success": True, "callRequestStatus": False}, 1, id="a status of another type"),
        pytest.param(with_status(""), 0, id="empty"),
        pytest.param({"success": True, "Success": "false"}, 1, id="another flag"),
        pytest.param({"success": True, "results": {"success": False}}, 1, id="a flag in the object"),
        pytest.param({"success": True, "results": {"success": "TRUE"}}, 0, id="the same flag"),
        pytest.param({"success": True, "error": "CANCELLATION_NOT_ALLOWED"}, 1, id="an error as text"),
        pytest.param({"success": True, "error": ["no"]}, 1, id="an error in an array"),
        pytest.param({"success": True, "results": {"error": {"code": "X"}}}, 1, id="an error in the object"),
        pytest.param({"success": True, "error": {"code": "", "message": None}}, 0, id="an empty error"),
        pytest.param({"success": True, "error": False}, 0, id="no error"),
    ],
)
async def test_a_success_that_the_reply_contradicts_is_no_yes(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor, reply: dict[str, object], readings: int
) -> None:
    """A status other than CANCELLED, another flag or an error: the status is read back, as for every reply in doubt.

    A wrong VENDOR_CANCEL_PATH may answer with a result, for one.
    """
    vendor.answer("cancel", send(reply))
    vendor.answer("result", send(with_status("COMPLETED")))
    if readings:
        failed = await failure(client.CancelCallRequest(CANCEL))
        assert failed.reason == "CANCELLATION_NOT_ALLOWED"
    else:
        assert (await client.CancelCallRequest(CANCEL)).cancellation.outcome == pb.CANCELLATION_OUTCOME_CANCELLED
    assert len(vendor.requests("result")) == readings


async def test_a_refusal_carries_why_as_a_detail(client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor) -> None:
    """FAILED_PRECONDITION with CancellationRejected: the typed reason, and the status after the refusal."""
    vendor.answer("cancel", refused(CHECK_IN))
    got = await failure(client.CancelCallRequest(CANCEL))
    assert (got.code, got.reason) == ("FAILED_PRECONDITION", "CANCELLATION_NOT_ALLOWED")
    assert got.rejected == pb.CancellationRejected(
        reason=pb.CANCELLATION_REJECTION_REASON_CHECK_IN_PASSED, status=results.CALL_REQUEST_STATUS_PENDING_TO_CALL
    )


async def test_what_was_read_before_a_cancel_is_not_given_after_it(vendor: ScriptedVendor) -> None:
    """Neither the kept answer nor that of a read that was under way: a read after the cancel asks anew."""
    vendor.answer("result", send(pending()), later(0.4, send(pending())), send(with_status("CANCELLED")))
    request = GetCallRequestResultRequest(call_request_id=RESULT_ID)
    patient = GetCallRequestResultRequest(call_request_id=RESULT_ID)
    patient.max_age.seconds = 60
    async with started(vendor.url, default_max_age=0.001, final_max_age=60.0) as gateway, connected(gateway) as client:
        await client.GetCallRequestResult(request)
        await asyncio.sleep(0.01)
        under_way = asyncio.ensure_future(client.GetCallRequestResult(request))
        await vendor.until(lambda: len(vendor.requests("result")) == 2)
        await client.CancelCallRequest(CANCEL)
        after = await client.GetCallRequestResult(patient)
        await under_way
        assert after.call_request_result.status == results.CALL_REQUEST_STATUS_CANCELLED
        again = await client.GetCallRequestResult(patient)
        assert again.call_request_result.status == results.CALL_REQUEST_STATUS_CANCELLED


async def test_every_cancel_that_ends_leaves_a_line_and_a_count(vendor: ScriptedVendor) -> None:
    """One for all who share it, one for what nobody waits for any more, one for what the end cut short."""
    lines = Lines()
    other = CancelCallRequestRequest(call_request_id="bcpFuj1ipoBKLz5G")
    access_log = AccessLog("info", lines)
    async with Gateway(settings_for(vendor.url, grace=0.5), access_log) as gateway, connected(gateway) as client:
        await client.CancelCallRequest(CANCEL)
        vendor.answer("cancel", later(0.2, send(cancelled(other.call_request_id))), never())
        left = client.CancelCallRequest(other)
        await vendor.until(lambda: len(vendor.requests("cancel")) == 2)
        left.cancel()
        await vendor.until(lambda: _settled(lines)[1:])
        vendor.answer("result", never())
        cut = asyncio.ensure_future(failure(client.CancelCallRequest(CANCEL)))
        await vendor.until(lambda: len(vendor.requests("cancel")) == 3)
        await gateway.drain()
        assert (await cut).reason == "CANCELLATION_OUTCOME_UNKNOWN"
        metrics = await metrics_of(gateway)
    first, second, third = _settled(lines)
    assert all(line.pop("time") and line.pop("seconds") >= 0 for line in (first, second, third))
    usual = {"level": "info", "event": "cancel_settled", "settled_by": "reply", "outcome": "CANCELLED", "readings": 0}
    assert first == usual | {"call_request_id": RESULT_ID, "posts": 1, "callers_left": 0}
    assert second == usual | {"call_request_id": other.call_request_id, "posts": 1, "callers_left": 1}
    assert (third["level"], third["settled_by"], third["reason"], third["posts"]) == (
        "warning",
        "nothing",
        "CANCELLATION_OUTCOME_UNKNOWN",
        1,
    )
    assert 'cancellations_total{settled_by="reply"} 2.0' in metrics
    assert 'cancellations_total{settled_by="nothing"} 1.0' in metrics
    assert 'cancellations_total{settled_by="refusal"} 0.0' in metrics


def _settled(lines: Lines) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, lines.getvalue().splitlines()) if line["event"] == "cancel_settled"]


async def _while_it_ends(vendor: ScriptedVendor, stack: AsyncExitStack, operation: str, *, twice: bool) -> Failure:
    """How a cancel ends when the gateway does while that operation hangs. twice: the drain is broken off, too."""
    async with started(vendor.url, grace=0.5) as gateway:
        client = await stack.enter_async_context(connected(gateway))
        call = asyncio.ensure_future(failure(client.CancelCallRequest(CANCEL)))
        await vendor.until(lambda: vendor.requests(operation))
        draining = asyncio.ensure_future(gateway.drain())
        if twice:
            await asyncio.sleep(0.1)
            draining.cancel()
        await asyncio.wait({draining})
    return await call


@pytest.mark.parametrize("twice", [pytest.param(False, id="GRACE is over"), pytest.param(True, id="a second signal")])
@pytest.mark.parametrize(
    ("hangs", "reply", "code", "reason"),
    [
        pytest.param("cancel", never(), "UNKNOWN", "CANCELLATION_OUTCOME_UNKNOWN", id="sent"),
        pytest.param("result", refused("no"), "UNKNOWN", "CANCELLATION_OUTCOME_UNKNOWN", id="refused"),
        pytest.param("token", never(), "UNAVAILABLE", "VENDOR_UNAVAILABLE", id="not sent"),
    ],
)
async def test_a_cancel_that_the_end_overtakes_is_answered_before_the_server_cuts_it_off(
    vendor: ScriptedVendor, hangs: str, reply: Answer, code: str, reason: str, twice: bool
) -> None:
    """UNAVAILABLE, which clients repeat by themselves, only when nothing was sent."""
    vendor.answer("cancel", reply)
    vendor.answer("result", never())
    vendor.answer(hangs, never())
    async with AsyncExitStack() as stack:
        got = await _while_it_ends(vendor, stack, hangs, twice=twice)
    assert (got.code, got.reason) == (code, reason)
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
    vendor.answer("cancel", later(0.5, send(cancelled(other.call_request_id))), send(cancelled()))
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
        await client.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=RESULT_ID), timeout=20)
        assert len(vendor.requests("token")) == 2
        for call in hung:
            call.cancel()


async def test_a_cancel_takes_the_time_that_its_caller_has(vendor: ScriptedVendor) -> None:
    """A cancel is not ended by the timeout of reads: that would only bring it into doubt."""
    vendor.answer("cancel", later(0.4, send(cancelled())))
    async with started(vendor.url, vendor_timeout=0.1) as gateway, connected(gateway) as client:
        assert (await client.CancelCallRequest(CANCEL)).cancellation.outcome == pb.CANCELLATION_OUTCOME_CANCELLED
