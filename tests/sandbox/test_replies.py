"""Replies as the vendor's pages show them, to reads and to cancels."""

import re

import pytest

from tests.sandbox.caller import NOT_ALLOWED, NOT_FOUND, PENDING, Caller


async def test_the_success_example_is_sent_as_published(caller: Caller) -> None:
    """The body of 77b2c4d5e6f7g890 is the page's, corrected only in its commas."""
    reply = await caller.result("77b2c4d5e6f7g890")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json; charset=utf-8")
    assert list(reply.json) == ["success", "callRequestId", "callRequetStatus", "result"]
    assert reply.json == {
        "success": True,
        "callRequestId": "77b2c4d5e6f7g890",
        "callRequetStatus": "COMPLETED",
        "result": {
            "callType": "AUTHORIZATION_VERIFICATION",
            "callStatus": "SUCCESS",
            "outcomeSummary": "Authorization verification successfully",
            "outcomeDetails": "Credit card authorization was verified with the hotel. Guest Iago Aspas's Visa ending "
            "in 1234 was confirmed for charges including room, tax, and parking.",
            "actionRequired": {"action": "", "email": "", "fax": ""},
            "dialTime": "2025-06-03T10:10:00Z",
        },
    }


async def test_the_error_outcome_example_is_sent_as_published(caller: Caller) -> None:
    """The body of bcpFuj1ipoBKLz5G is the page's, without the fields that the page leaves out."""
    assert (await caller.result("bcpFuj1ipoBKLz5G")).json == {
        "success": True,
        "callRequestId": "bcpFuj1ipoBKLz5G",
        "callRequetStatus": "COMPLETED",
        "result": {
            "callType": "AUTHORIZATION_VERIFICATION",
            "callStatus": "ERROR_OUTCOME",
            "statusReasonCategory": "RESERVATION_NOT_FOUND",
            "statusReason": "Front desk agent didnt find a reservation for Leo Messi or with the Booking ID, for that "
            "reason payment couldnt be verify",
            "actionRequired": {"action": "", "email": "", "fax": ""},
            "dialTime": "2025-06-03T10:10:00Z",
        },
    }


async def test_a_pending_call_request_has_no_result(caller: Caller) -> None:
    """The body of a pending one is the page's: id and status, nothing else."""
    expected = {"success": True, "callRequestId": PENDING, "callRequetStatus": "PENDING_TO_CALL"}
    assert (await caller.result(PENDING)).json == expected


async def test_an_unseed_is_not_found_at_status_200(caller: Caller) -> None:
    """The error example of the page, for both operations."""
    for reply in (await caller.result("nobodyKnowsThis1"), await caller.cancel("nobodyKnowsThis1")):
        assert (reply.status, reply.json) == (200, NOT_FOUND)


async def test_a_cancel_is_answered_as_published_and_stays(caller: Caller) -> None:
    """`results` with the id and the time of the sandbox's clock; from then on the status is CANCELLED."""
    reply = await caller.cancel(PENDING)
    cancelled_at = reply.json["results"]["cancelled_at"]
    assert reply.json == {"success": True, "results": {"callRequestId": PENDING, "cancelled_at": cancelled_at}}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", cancelled_at)
    assert (await caller.result(PENDING)).json["callRequetStatus"] == "CANCELLED"
    assert "already cancelled" in (await caller.cancel(PENDING)).json["error"]["message"]


@pytest.mark.parametrize(
    ("call_request_id", "message"),
    [
        ("cancelCheckedIn1", "Call request cannot be cancelled as check in is in the past."),
        ("cancelCompleted1", "Call request cannot be cancelled as it is already completed."),
        ("cancelInProgress", "Call request cannot be cancelled as the call is in progress."),
        ("cancelAgain00001", "Call request cannot be cancelled as it is already cancelled."),
        ("cancelBareWords1", "Cancellation not allowed."),
    ],
)
async def test_a_refusal_says_why(caller: Caller, call_request_id: str, message: str) -> None:
    """CANCELLATION_NOT_ALLOWED with fitting words, at status 200, and nothing changes."""
    before = await caller.status(call_request_id)
    reply = await caller.cancel(call_request_id)
    assert (reply.status, reply.json) == (
        200,
        {"success": False, "error": {"code": NOT_ALLOWED, "message": message}},
    )
    assert await caller.status(call_request_id) == before


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="broken"),
        pytest.param(b"\xff", id="no UTF-8"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'"66a1b2c3d4e5f678"', id="a string"),
        pytest.param(b"{}", id="no id"),
        pytest.param(b'{"callRequestId": 7}', id="a number for an id"),
        pytest.param(b'{"callRequestId": ""}', id="an empty id"),
        pytest.param(b"[" * 100_000, id="too deep"),
        pytest.param(b" " * (1 << 19), id="too long"),
    ],
)
async def test_a_malformed_cancel_is_a_bad_request(caller: Caller, body: bytes) -> None:
    """Anything but an object with a textual callRequestId is BAD_REQUEST in the vendor's words."""
    reply = await caller.send("POST", "/api/v1/call-request/cancel", data=body)
    assert (reply.status, reply.json["success"], reply.json["error"]["code"]) == (200, False, "BAD_REQUEST")
