"""The sandbox keeps to the vendor's pages, to its clock, and to the faults it is told to make."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox import CLIENT_ID, CLIENT_SECRET, Sandbox, describe_known
from sandbox.call_requests import Plan
from sandbox.clock import Clock
from sandbox.fault_queue import FaultPlan, FaultQueue
from sandbox.faults import FAULTS
from sandbox.request_log import MAX_REQUESTS, Asked
from sandbox.seed_data import KNOWN, known
from sandbox.state import MAX_CALL_REQUESTS, MAX_FAULTS, Full, World
from sandbox.tokens import MAX_TOKENS, Tokens
from server.vendor_api.quirks import Quirk

DOCS = Path(__file__).parents[2] / "docs" / "sandbox.md"
PENDING = "66a1b2c3d4e5f678"
NOT_ALLOWED = "CANCELLATION_NOT_ALLOWED"
NOT_FOUND = {
    "success": False,
    "error": {
        "code": "NOT_FOUND",
        "message": "Can not found the corresponding call request base on the call request id.",
    },
}


@dataclass(frozen=True)
class Reply:
    """A reply as it came. text: undecoded JSON, or whatever it is."""

    status: int
    text: str
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Caller:
    """A client of the vendor over a real socket, with a token once it has asked for one."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url
        self.token = ""

    async def send(self, method: str, path: str, **options: Any) -> Reply:
        options.setdefault("headers", {"Authorization": f"Bearer {self.token}"})
        async with self.session.request(method, self.url + path, allow_redirects=False, **options) as response:
            text = await response.text()
            return Reply(response.status, text, dict(response.headers))

    async def ask_for_token(self, method: str = "POST", **changed: str) -> Reply:
        said = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "grant_type": "client_credentials"}
        return await self.send(method, "/authorizer/token", params=said | changed, headers={})

    async def renew(self) -> str:
        self.token = (await self.ask_for_token()).json["access_token"]
        return self.token

    async def result(self, call_request_id: str) -> Reply:
        return await self.send("GET", f"/api/v1/call-request/{call_request_id}/result")

    async def cancel(self, call_request_id: str) -> Reply:
        return await self.send("POST", "/api/v1/call-request/cancel", json={"callRequestId": call_request_id})

    async def status(self, call_request_id: str) -> str:
        """The status as the control endpoint shows it: no fault stands in the way."""
        shown = (await self.control("GET", "call-requests")).json["call_requests"]
        return next(str(row["status"]) for row in shown if row["id"] == call_request_id)

    async def control(self, method: str, path: str, body: Any = None) -> Reply:
        return await self.send(method, f"/sandbox/{path}", json=body, headers={})

    async def make(self, **plan: Any) -> str:
        return str((await self.control("POST", "call-requests", plan)).json["id"])


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    async with Sandbox() as sandbox, aiohttp.ClientSession() as session:
        caller = Caller(session, sandbox.url)
        # Else aiohttp asks again by itself when a connection is closed, and a fault seems to have happened less often.
        session._retry_connection = False  # noqa: SLF001 (there is no public way)
        await caller.renew()
        yield caller


# Published bodies


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


async def test_an_unknown_id_is_not_found_at_status_200(caller: Caller) -> None:
    """The error example of the page, for both operations."""
    for reply in (await caller.result("nobodyKnowsThis1"), await caller.cancel("nobodyKnowsThis1")):
        assert (reply.status, reply.json) == (200, NOT_FOUND)


# Cancelling


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


# Life on the clock


async def test_a_call_request_lives_on_the_clock(caller: Caller) -> None:
    """Pending until the hotel is phoned, in progress while that takes, then completed with its outcome."""
    outcome = {"callType": "BOOKING_VERIFICATION", "callStatus": "SUCCESS"}
    made = await caller.make(call_in=3 * 86400, call_takes=120, outcome=outcome)
    assert (await caller.result(made)).json["callRequetStatus"] == "PENDING_TO_CALL"
    await caller.control("POST", "clock", {"advance": 3 * 86400 + 1})
    await caller.renew()  # the old token has expired meanwhile
    in_progress = (await caller.result(made)).json
    assert in_progress == {"success": True, "callRequestId": made, "callRequetStatus": "IN_PROGRESS"}
    assert "in progress" in (await caller.cancel(made)).json["error"]["message"]
    await caller.control("POST", "clock", {"advance": 120})
    completed = (await caller.result(made)).json
    assert completed["callRequetStatus"] == "COMPLETED"
    assert completed["result"].pop("dialTime") > time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    assert completed["result"] == {**outcome, "actionRequired": {"action": "", "email": "", "fax": ""}}
    assert "completed" in (await caller.cancel(made)).json["error"]["message"]


async def test_a_cancelled_call_request_is_never_phoned(caller: Caller) -> None:
    """CANCELLED is final, whatever the clock says."""
    made = await caller.make(call_in=60)
    assert (await caller.cancel(made)).json["success"] is True
    await caller.control("POST", "clock", {"advance": 3600})
    assert await caller.status(made) == "CANCELLED"


async def test_a_check_in_passes_on_the_clock(caller: Caller) -> None:
    """Once it has, a pending call request cannot be cancelled."""
    made = await caller.make(call_in=7200, check_in_in=3600)
    await caller.control("POST", "clock", {"advance": 3600})
    assert "check in is in the past" in (await caller.cancel(made)).json["error"]["message"]


async def test_the_known_life_begins_anew_with_a_reset(caller: Caller) -> None:
    """What is planned for ten minutes on is completed after eleven, and pending after a reset."""
    await caller.control("POST", "clock", {"advance": 660})
    assert await caller.status("callInTenMinutes") == "COMPLETED"
    await caller.control("POST", "reset")
    assert await caller.status("callInTenMinutes") == "PENDING_TO_CALL"


# Tokens


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_token_is_given_for_the_credentials(caller: Caller, method: str) -> None:
    """By either method; it is a Bearer token for as long as the vendor says."""
    said = (await caller.ask_for_token(method)).json
    caller.token = said.pop("access_token")
    assert said == {"expires_in": 84400, "token_type": "Bearer"}
    assert (await caller.result(PENDING)).status == 200


@pytest.mark.parametrize("wrong", ["client_id", "client_secret"])
async def test_wrong_credentials_are_refused(caller: Caller, wrong: str) -> None:
    """401 with the vendor's error body, which does not repeat what was sent."""
    reply = await caller.ask_for_token(**{wrong: "naïve"})
    assert (reply.status, reply.json["success"], reply.json["error"]["code"]) == (401, False, "UNAUTHORIZED")
    assert "na" not in reply.json["error"]["message"]


async def test_another_grant_is_a_bad_request(caller: Caller) -> None:
    """Only client_credentials is known, as in RFC 6749: status 400."""
    reply = await caller.ask_for_token(grant_type="password")
    assert (reply.status, reply.json["error"]["code"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Bearer nobody-issued-this", "Basic c2FuZGJveDo="])
async def test_calls_without_a_valid_token_are_refused(caller: Caller, value: str) -> None:
    """401 with the vendor's error body, for both operations, and nothing is carried out."""
    for method, path in (("GET", f"{PENDING}/result"), ("POST", "cancel")):
        reply = await caller.send(
            method, f"/api/v1/call-request/{path}", headers={"Authorization": value}, json={"callRequestId": PENDING}
        )
        assert (reply.status, reply.json["error"]["code"]) == (401, "UNAUTHORIZED")
    assert await caller.status(PENDING) == "PENDING_TO_CALL"


async def test_several_tokens_are_valid_until_each_expires(caller: Caller) -> None:
    """A new token does not end the old one; its time on the clock does."""
    old = caller.token
    await caller.control("POST", "clock", {"advance": 50_000})
    await caller.renew()
    new, caller.token = caller.token, old
    assert (await caller.result(PENDING)).status == 200
    await caller.control("POST", "clock", {"advance": 50_000})
    assert (await caller.result(PENDING)).status == 401
    caller.token = new
    assert (await caller.result(PENDING)).status == 200


async def test_all_tokens_can_be_revoked(caller: Caller) -> None:
    """Whatever was issued is refused, until a new one is asked for."""
    assert (await caller.control("POST", "tokens/revoke")).json == {"revoked": 1}
    assert (await caller.result(PENDING)).status == 401
    await caller.renew()
    assert (await caller.result(PENDING)).status == 200


async def test_credentials_and_lifetime_are_settings() -> None:
    """They are what the sandbox was made with; a lifetime may be a part of a second."""
    async with (
        Sandbox(client_id="me", client_secret="mine", token_lifetime=0.5) as sandbox,
        aiohttp.ClientSession() as session,
    ):
        caller = Caller(session, sandbox.url)
        assert (await caller.ask_for_token()).status == 401
        reply = await caller.ask_for_token(client_id="me", client_secret="mine")
        assert reply.json["expires_in"] == 0.5


# Faults: what each does to a result and to a cancel, and whether the cancel takes effect

SHORT = {"slow": 0.2, "hang": 0.2}  # seconds, so that the tests do not wait


async def fails(caller: Caller, name: str) -> tuple[Reply | Exception, Reply | Exception, str]:
    """What a read and a cancel of a pending call request come to, and its status thereafter."""
    made = await caller.make(status="PENDING_TO_CALL", fault=name, seconds=SHORT.get(name))
    replies: list[Reply | Exception] = []
    for operation in (caller.result, caller.cancel):
        try:
            replies.append(await operation(made))
        except aiohttp.ClientError as error:
            replies.append(error)
    return replies[0], replies[1], await caller.status(made)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("html_page", 200),
        ("too_many_requests", 429),
        ("unavailable", 503),
        ("server_error", 500),
        ("not_found_page", 404),
        ("redirect", 302),
    ],
)
async def test_a_page_comes_instead_of_the_reply(caller: Caller, name: str, status: int) -> None:
    """HTML at a status, and a cancel is not carried out."""
    read, cancelled, after = await fails(caller, name)
    for reply in (read, cancelled):
        assert isinstance(reply, Reply)
        assert (reply.status, reply.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
        assert reply.text.startswith("<!DOCTYPE html>")
    assert after == "PENDING_TO_CALL"


async def test_too_many_requests_says_when_to_come_again(caller: Caller) -> None:
    """Retry-After is 1 second, or what the fault was told."""
    assert (await caller.result("faultTooMany0429")).headers["Retry-After"] == "1"
    made = await caller.make(fault="too_many_requests", seconds=30)
    assert (await caller.result(made)).headers["Retry-After"] == "30"


async def test_a_redirect_leads_to_a_page(caller: Caller) -> None:
    """Whoever follows it gets no JSON."""
    location = (await caller.result("faultRedirect302")).headers["Location"]
    assert (await caller.send("GET", location)).status == 404


@pytest.mark.parametrize("name", ["cut_off", "lost_reply", "hang"])
async def test_the_connection_closes_without_a_reply(caller: Caller, name: str) -> None:
    """Nothing comes back; only lost_reply carries the cancel out before."""
    read, cancelled, after = await fails(caller, name)
    assert isinstance(read, aiohttp.ServerDisconnectedError)
    assert isinstance(cancelled, aiohttp.ServerDisconnectedError)
    assert after == ("CANCELLED" if name == "lost_reply" else "PENDING_TO_CALL")


async def test_the_connection_closes_in_the_middle_of_the_body(caller: Caller) -> None:
    """The length that was promised does not come, and the cancel is carried out."""
    read, cancelled, after = await fails(caller, "cut_off_in_body")
    assert isinstance(read, aiohttp.ClientPayloadError)
    assert isinstance(cancelled, aiohttp.ClientPayloadError)
    assert after == "CANCELLED"


async def test_a_reply_is_empty(caller: Caller) -> None:
    """Status 200, no body, and the cancel is carried out."""
    read, cancelled, after = await fails(caller, "empty_body")
    for reply in (read, cancelled):
        assert isinstance(reply, Reply)
        assert (reply.status, reply.text) == (200, "")
    assert after == "CANCELLED"


async def test_a_reply_is_truncated(caller: Caller) -> None:
    """Half of the JSON as a complete reply, and the cancel is carried out."""
    read, cancelled, after = await fails(caller, "truncated_json")
    for reply in (read, cancelled):
        assert isinstance(reply, Reply)
        assert reply.text.startswith('{"success": true')
        with pytest.raises(json.JSONDecodeError):
            reply.json  # noqa: B018
    assert after == "CANCELLED"


async def test_a_reply_names_another_id(caller: Caller) -> None:
    """All else in it is right, and the cancel is carried out."""
    read, cancelled, after = await fails(caller, "another_id")
    assert isinstance(read, Reply)
    assert isinstance(cancelled, Reply)
    assert read.json["callRequestId"] == cancelled.json["results"]["callRequestId"] == "anotherRequestId"
    assert after == "CANCELLED"


async def test_a_reply_is_too_long(caller: Caller) -> None:
    """More than 1 MiB, though it would be right, and the cancel is carried out."""
    read, cancelled, after = await fails(caller, "too_long")
    for reply in (read, cancelled):
        assert isinstance(reply, Reply)
        assert len(reply.text) > 1 << 20
        assert reply.json["success"] is True
    assert after == "CANCELLED"


async def test_a_reply_is_slow(caller: Caller) -> None:
    """It is the right one, not before its time; a cancel has taken effect by then."""
    made = await caller.make(fault="slow", seconds=0.4)
    begun = time.monotonic()
    cancelling = asyncio.create_task(caller.cancel(made))
    await asyncio.sleep(0.1)
    assert await caller.status(made) == "CANCELLED"
    assert time.monotonic() - begun < 0.4
    assert (await cancelling).json["success"] is True
    assert time.monotonic() - begun >= 0.4


async def test_a_valid_token_is_refused(caller: Caller) -> None:
    """401 as for a wrong one, and the cancel is not carried out."""
    read, cancelled, after = await fails(caller, "unauthorized")
    for reply in (read, cancelled):
        assert isinstance(reply, Reply)
        assert (reply.status, reply.json["error"]["code"]) == (401, "UNAUTHORIZED")
    assert after == "PENDING_TO_CALL"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("not_found", NOT_FOUND),
        (
            "bad_request",
            {"success": False, "error": {"code": "BAD_REQUEST", "message": "The request is invalid."}},
        ),
        (
            "unknown_error",
            {
                "success": False,
                "error": {"code": "HOTEL_ON_STRIKE", "message": "The hotel can not be called at the moment."},
            },
        ),
        ("no_error", {"success": False}),
    ],
)
async def test_the_vendor_says_no_in_other_words(caller: Caller, name: str, body: Any) -> None:
    """At the status that the call request has for its errors, and the cancel is not carried out."""
    read, cancelled, after = await fails(caller, name)
    for reply in (read, cancelled):
        assert isinstance(reply, Reply)
        assert (reply.status, reply.json) == (200, body)
    assert after == "PENDING_TO_CALL"
    made = await caller.make(fault=name, error_status=422)
    assert ((await caller.result(made)).status, (await caller.result(made)).json) == (422, body)


def test_every_fault_is_tested_and_has_a_known_id() -> None:
    """The table of faults, the known ids and the tests above name the same faults."""
    planned = {fault.name for row in known() for fault in row.plan.faults}
    source = Path(__file__).read_text()
    assert planned == set(FAULTS)
    assert all(f'"{name}"' in source for name in FAULTS)


async def test_a_fault_happens_so_many_times(caller: Caller) -> None:
    """With `times`, only the next requests meet it."""
    made = await caller.make(fault="unavailable", times=2)
    assert [(await caller.result(made)).status for _ in range(3)] == [503, 503, 200]
    assert [(await caller.result("unavailableTwice")).status for _ in range(3)] == [503, 503, 200]


async def test_a_fault_happens_to_one_operation(caller: Caller) -> None:
    """A cancel whose reply is lost can be read back."""
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await caller.cancel("faultLostReply01")
    assert (await caller.result("faultLostReply01")).json["callRequetStatus"] == "CANCELLED"
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await caller.cancel("lostReplyAndRead")
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await caller.result("lostReplyAndRead")
    assert await caller.status("lostReplyAndRead") == "CANCELLED"


async def test_faults_for_whatever_id_are_met_in_order(caller: Caller) -> None:
    """One is used up before the next begins, and the call request's own come last."""
    for name in ("unavailable", "server_error"):
        await caller.control("POST", "faults", {"operation": "result", "fault": name, "times": 1})
    await caller.control("POST", "faults", {"operation": "cancel", "fault": "not_found_page", "times": None})
    statuses = [(await caller.result("faultTooMany0429")).status for _ in range(3)]
    assert statuses == [503, 500, 429]
    assert (await caller.cancel(PENDING)).status == 404
    assert (await caller.control("DELETE", "faults")).json == {"faults": 0}
    assert (await caller.cancel(PENDING)).status == 200


async def test_the_token_endpoint_has_faults_too(caller: Caller) -> None:
    """Those for "token" and for "any" happen to it."""
    await caller.control("POST", "faults", {"operation": "token", "fault": "unavailable", "times": 1})
    await caller.control("POST", "faults", {"fault": "html_page", "times": 1})
    assert (await caller.ask_for_token()).status == 503
    assert (await caller.ask_for_token()).text.startswith("<!DOCTYPE html>")
    assert "access_token" in (await caller.ask_for_token()).json


async def test_a_request_without_a_token_uses_up_no_fault(caller: Caller) -> None:
    """The 401 comes first, so that a token that expired does not spoil a test."""
    await caller.control("POST", "faults", {"operation": "result", "fault": "server_error", "times": 1})
    token, caller.token = caller.token, "expired"
    assert (await caller.result(PENDING)).status == 401
    caller.token = token
    assert (await caller.result(PENDING)).status == 500


# Control


async def test_call_requests_are_made_replaced_and_listed(caller: Caller) -> None:
    """PUT makes the id it names, also in the place of a known one; POST makes an id of its own."""
    shown = await caller.control("PUT", "call-requests/myOwnRequest0001", {"status": "IN_PROGRESS"})
    assert (shown.json["id"], shown.json["status"]) == ("myOwnRequest0001", "IN_PROGRESS")
    await caller.control("PUT", f"call-requests/{PENDING}", {"status": "COMPLETED", "outcome": {"callStatus": 7}})
    assert (await caller.result(PENDING)).json["result"]["callStatus"] == 7
    made = await caller.make()
    assert re.fullmatch("[A-Za-z0-9]{16}", made)
    listed = (await caller.control("GET", "call-requests")).json["call_requests"]
    assert [row["id"] for row in listed][: len(list(known()))] == [row.id for row in known()]
    assert {"myOwnRequest0001", made} < {row["id"] for row in listed}
    assert all(row["sentence"] for row in listed)


async def test_errors_come_at_the_status_that_was_set(caller: Caller) -> None:
    """error_status is that of the vendor's error bodies for this call request, not of its successes."""
    made = await caller.make(status="COMPLETED", error_status=409)
    assert (await caller.result(made)).status == 200
    assert (await caller.cancel(made)).status == 409


async def test_requests_are_reported_without_secrets(caller: Caller) -> None:
    """Method, path, operation, id and time of each; no token, no secret, no control request."""
    await caller.result(PENDING)
    await caller.cancel("nobodyKnowsThis1")
    await caller.send("GET", "/api/v2/other?token=abc")
    report = await caller.control("GET", "requests")
    assert report.json["counts"] == {"result": 1, "cancel": 1, "token": 1, "other": 1}
    asked = [(row["method"], row["path"], row["operation"], row["call_request_id"]) for row in report.json["requests"]]
    assert asked == [
        ("POST", "/authorizer/token", "token", None),
        ("GET", f"/api/v1/call-request/{PENDING}/result", "result", PENDING),
        ("POST", "/api/v1/call-request/cancel", "cancel", "nobodyKnowsThis1"),
        ("GET", "/api/v2/other", "other", None),
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", row["time"]) for row in report.json["requests"])
    assert not [secret for secret in (CLIENT_SECRET, caller.token, "abc") if secret in report.text]


async def test_a_reset_brings_everything_back(caller: Caller) -> None:
    """Clock, call requests, faults, their counts, tokens and the report are as at the start."""
    made = await caller.make()
    await caller.cancel(PENDING)
    await caller.result("unavailableTwice")
    await caller.control("POST", "faults", {"fault": "server_error"})
    await caller.control("POST", "clock", {"advance": 86400})
    await caller.control("POST", "reset")
    assert (await caller.control("GET", "requests")).json["requests"] == []
    assert (await caller.result(PENDING)).status == 401
    await caller.renew()
    assert (await caller.result(PENDING)).json["callRequetStatus"] == "PENDING_TO_CALL"
    assert (await caller.result(made)).json == NOT_FOUND
    assert [(await caller.result("unavailableTwice")).status for _ in range(3)] == [503, 503, 200]


async def test_a_reset_can_leave_tokens_alone(caller: Caller) -> None:
    """With keep_tokens, a client goes on without a 401, so that a test may count its requests."""
    await caller.control("POST", "reset", {"keep_tokens": True})
    assert (await caller.result(PENDING)).status == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "call-requests/tooShort", {}),
        ("PUT", "call-requests/not-alphanumeric", {}),
        ("PUT", "call-requests/sixteenLetters16%0A", {}),
        ("POST", "call-requests", {"status": "DONE"}),
        ("POST", "call-requests", {"status": ["COMPLETED"]}),
        ("POST", "call-requests", {"call_in": "soon"}),
        ("POST", "call-requests", {"call_in": 1e300}),
        ("POST", "call-requests", {"call_in": True}),
        ("POST", "call-requests", {"call_takes": -1}),
        ("POST", "call-requests", {"outcome": "SUCCESS"}),
        ("POST", "call-requests", {"fault": "earthquake"}),
        ("POST", "call-requests", {"times": 1}),
        ("POST", "call-requests", {"fault": "slow", "times": 0}),
        ("POST", "call-requests", {"fault": "slow", "seconds": -1}),
        ("POST", "call-requests", {"fault": "slow", "operation": "read"}),
        ("POST", "call-requests", {"error_status": 100}),
        ("POST", "call-requests", {"colour": "red"}),
        ("POST", "call-requests", []),
        ("POST", "clock", {}),
        ("POST", "clock", {"advance": -1}),
        ("POST", "faults", {}),
        ("POST", "faults", {"fault": "hang", "id": PENDING}),
        ("POST", "reset", {"keep_tokens": "yes"}),
        ("POST", "tokens/revoke", {"one": 1}),
    ],
)
async def test_wrong_control_input_is_refused_in_one_sentence(
    caller: Caller, method: str, path: str, body: Any
) -> None:
    """400 with a sentence, and nothing is changed."""
    before = (await caller.control("GET", "call-requests")).json
    reply = await caller.control(method, path, body)
    assert reply.status == 400
    assert re.fullmatch(r"[^\n]+\.", reply.json["error"])
    assert (await caller.control("GET", "call-requests")).json == before


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("faults", {"operation": "result", "fualt": "unavailable"}, 'There is no field "fualt" here.'),
        ("call-requests", {"times": 1, "seconds": 2, "fualt": "slow"}, 'There is no field "fualt" here.'),
        ("call-requests", {"times": 1}, "times goes with fault, which is missing."),
        ("clock", {"advance": 1, "times": 1}, 'There is no field "times" here.'),
    ],
)
async def test_it_is_the_wrong_field_that_is_named(caller: Caller, path: str, body: Any, said: str) -> None:
    """One that is misspelt, not those beside it that make no sense without it."""
    assert (await caller.control("POST", path, body)).json == {"error": said}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="broken"),
        pytest.param(b"\xff", id="no UTF-8"),
        pytest.param(b"[" * 100_000, id="too deep"),
        pytest.param(b'{"outcome": {"a": NaN}}', id="NaN"),
        pytest.param(b'{"outcome": {"a": 1e999}}', id="infinite"),
        pytest.param(b" " * (1 << 19), id="too long"),
    ],
)
async def test_what_is_no_json_is_refused(caller: Caller, body: bytes) -> None:
    """400 as for any wrong input: nothing gets in that could not be sent out again as JSON."""
    reply = await caller.send("POST", "/sandbox/call-requests", data=body, headers={})
    assert reply.status == 400
    assert reply.json["error"].startswith("The body is ")


async def test_the_clock_has_an_end(caller: Caller) -> None:
    """It is advanced by 1e9 seconds in all: no date of the sandbox is beyond what can be written."""
    assert (await caller.control("POST", "clock", {"advance": 1e9})).status == 200
    assert (await caller.control("POST", "clock", {"advance": 1})).status == 400
    await caller.renew()
    assert (await caller.cancel(PENDING)).json["success"] is True


async def test_unknown_paths_are_not_found(caller: Caller) -> None:
    """Under /sandbox/ in JSON, elsewhere as a proxy's page; a wrong method is no path either."""
    assert (await caller.control("GET", "reset")).status == 404
    assert "error" in (await caller.control("GET", "nothing")).json
    reply = await caller.send("GET", "/api/v1/call-request/cancel")
    assert (reply.status, reply.headers["Content-Type"]) == (404, "text/html; charset=utf-8")


# Bounds and the end


def test_what_is_remembered_is_bounded() -> None:
    """Call requests, faults, tokens and requests cannot grow without end; the counts go on."""
    world = World(token_lifetime=60)
    for number in range(MAX_CALL_REQUESTS):
        world.make(f"{number:016}", Plan())
    world.make(PENDING, Plan())  # in the place of another
    with pytest.raises(Full):
        world.make("oneRequestToMany", Plan())
    for _ in range(MAX_FAULTS):
        world.plan_fault(FaultPlan("slow"))
    with pytest.raises(Full):
        world.plan_fault(FaultPlan("slow"))
    asked = Asked(Clock())
    for _ in range(MAX_REQUESTS + 5):
        asked.note("GET", "/" * 10_000, "result", "x" * 10_000)
    assert len(asked.report()["requests"]) == MAX_REQUESTS
    assert len(str(asked.report())) < MAX_REQUESTS * 1000
    assert asked.report()["counts"]["result"] == MAX_REQUESTS + 5
    tokens = Tokens(Clock(), 60)
    first = tokens.issue()
    for _ in range(MAX_TOKENS):
        last = tokens.issue()
    assert not tokens.accepts(f"Bearer {first}")
    assert tokens.accepts(f"Bearer {last}")


def test_a_queue_gives_each_operation_its_faults() -> None:
    """In order, each so many times, and those for any operation to all."""
    queue = FaultQueue((FaultPlan("slow", "cancel", 1), FaultPlan("hang", times=2), FaultPlan("cut_off", "result")))
    taken = [queue.take(operation) for operation in ("result", "cancel", "cancel", "cancel", "result")]
    assert [plan and plan.name for plan in taken] == ["hang", "slow", "hang", None, "cut_off"]


@pytest.mark.parametrize("name", ["hang", "slow"])
async def test_the_end_waits_for_nobody(name: str) -> None:
    """Requests that hang, and connections kept alive, delay it by a second at most."""
    sandbox = Sandbox()
    async with aiohttp.ClientSession() as session:
        async with sandbox:
            caller = Caller(session, sandbox.url)
            session._retry_connection = False  # noqa: SLF001 (there is no public way)
            await caller.renew()
            made = await caller.make(fault=name, seconds=60)
            waiting = [asyncio.create_task(caller.result(made)) for _ in range(5)]
            await asyncio.sleep(0.2)
            assert (await caller.control("GET", "requests")).json["counts"]["result"] == len(waiting)
            begun = time.monotonic()
        assert time.monotonic() - begun < 1
        await asyncio.wait(waiting, timeout=1)
        assert all(task.done() for task in waiting)
        for task in waiting:
            task.exception()


async def test_a_taken_port_is_an_error() -> None:
    """OSError, and nothing is left open."""
    async with Sandbox() as first:
        with pytest.raises(OSError, match="in use"):
            await Sandbox(port=first.port).__aenter__()


# The table of known ids


def test_known_ids_are_ids() -> None:
    """16 of A–Z, a–z, 0–9, none twice, each with a sentence."""
    ids = [row.id for row in known()]
    assert all(re.fullmatch(r"[A-Za-z0-9]{16}", call_request_id, re.ASCII) for call_request_id in ids)
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[^\n|]+\.", row.sentence) for row in known())


@pytest.mark.parametrize(
    "word",
    [
        *("PENDING_TO_CALL", "IN_PROGRESS", "COMPLETED", "CANCELLED"),
        *("AUTHORIZATION_VERIFICATION", "BOOKING_VERIFICATION", "SUCCESS", "ERROR_OUTCOME", "UNABLE_TO_COMPLETE"),
        *("AUTH_FORM_NOT_FOUND", "DATA_MISMATCH", "RESERVATION_NOT_FOUND", "RESERVATION_CANCELLED"),
        *("INCORRECT_TELEPHONE_NUMBER", "INVALID_TELEPHONE_NUMBER", "NO_ANSWER"),
        *("RESEND_RESERVATION", "RESEND_PAYMENT"),
    ],
)
def test_every_word_of_the_pages_has_a_known_id(word: str) -> None:
    """Each status and each value of each enum is what some id answers."""
    rows = list(known())
    said = [row.plan.status for row in rows] + [value for row in rows for value in _texts(row.plan.outcome)]
    assert word in said


def _texts(value: Any) -> list[Any]:
    return [text for part in value.values() for text in _texts(part)] if hasattr(value, "values") else [value]


def test_every_quirk_has_a_known_id() -> None:
    """All that the gateway counts, and no other."""
    assert {row.id[:3] for row in KNOWN["Quirks"]} == {quirk.value.lower() for quirk in Quirk}


@pytest.mark.parametrize(
    ("call_request_id", "expected"),
    [
        ("q01StatusKey0001", {"callRequestStatus": "COMPLETED"}),
        ("q03RequestIdKey2", {"CallRequested": "q03RequestIdKey2"}),
        ("q06Processed0001", {"callRequetStatus": "processed"}),
        ("q06Canceled00001", {"callRequetStatus": "CANCELED"}),
        ("q09SuccessTRUE01", {"success": "TRUE"}),
        ("q09SuccessFalse1", {"success": "False", "error": NOT_FOUND["error"]}),
        ("q14NewStatus0001", {"callRequetStatus": "ON_HOLD"}),
        ("q17KeysUpper0001", {"SUCCESS": True, "CALLREQUETSTATUS": "COMPLETED"}),
        ("q17KeysSpaced001", {" success ": True, " callRequetStatus ": "PENDING_TO_CALL"}),
    ],
)
async def test_a_quirk_of_a_result(caller: Caller, call_request_id: str, expected: dict[str, Any]) -> None:
    """The envelope is spelt as the id's sentence says."""
    reply = await caller.result(call_request_id)
    assert reply.status == 200
    assert expected.items() <= reply.json.items()


async def test_quirks_of_where_the_outcome_is(caller: Caller) -> None:
    """Under results, with a status that is not final, nowhere, or in capitals all through."""
    assert "results" in (await caller.result("q02ResultsKey001")).json
    assert "result" in (await caller.result("q16EarlyResult01")).json
    assert "result" not in (await caller.result("q16NoResult00001")).json
    assert "ACTION" in (await caller.result("q17KeysUpper0001")).json["RESULT"]["ACTIONREQUIRED"]
    assert "callRequestId" not in (await caller.result("q18NoIdInReply01")).json


@pytest.mark.parametrize(
    ("call_request_id", "keys"),
    [
        ("q02ResultKey0001", {"success": True, "result": {"callRequestId": "q02ResultKey0001"}}),
        ("q03RequestIdKey1", {"success": True, "results": {"callRequstId": "q03RequestIdKey1"}}),
        ("q09SuccessTRUE01", {"success": "TRUE", "results": {"callRequestId": "q09SuccessTRUE01"}}),
        ("q18NoIdInReply01", {"success": True, "results": {}}),
        ("cancelBareYes001", {"success": True}),
    ],
)
async def test_a_quirk_of_a_cancel(caller: Caller, call_request_id: str, keys: dict[str, Any]) -> None:
    """The reply is spelt as the id's sentence says; the cancel is carried out."""
    document = (await caller.cancel(call_request_id)).json
    for value in document.values():
        if isinstance(value, dict):
            value.pop("cancelled_at")
    assert document == keys
    assert await caller.status(call_request_id) == "CANCELLED"


async def test_quirks_of_the_time_of_a_cancel(caller: Caller) -> None:
    """Under other keys, and with a fraction behind a colon."""
    for call_request_id, key in (
        ("q04CancelledAt01", "cancelledAt"),
        ("q04CanceledAt001", "canceled_at"),
        ("q04CanceledAt002", "canceledAt"),
    ):
        assert key in (await caller.cancel(call_request_id)).json["results"]
    assert (await caller.cancel("q12CancelledAt01")).json["results"]["cancelled_at"].endswith(":000Z")


async def test_a_reference_stands_for_the_result_of_a_cancel(caller: Caller) -> None:
    """Text in the object's place, the fields beside it."""
    document = (await caller.cancel("q13Reference0001")).json
    assert list(document) == ["success", "result", "callRequstId", "cancelled_at"]
    assert document["result"] == "bc8f34aO-d6d8-4575-a70a-f78453761214"


async def test_errors_at_other_statuses_and_without_a_flag(caller: Caller) -> None:
    """NOT_FOUND at 404, without success, and a refusal at 409."""
    not_found = await caller.result("q10NotFoundAt404")
    assert (not_found.status, not_found.json) == (404, NOT_FOUND)
    assert (await caller.result("q10NoSuccessFlag")).json == {"error": NOT_FOUND["error"]}
    refused = await caller.cancel("cancelRefused409")
    assert (refused.status, refused.json["error"]["code"]) == (409, NOT_ALLOWED)


async def test_every_known_id_without_a_fault_answers_its_plan(caller: Caller) -> None:
    """Status 200 and a JSON object, for whatever the table holds."""
    for row in known():
        if not row.plan.faults:
            reply = await caller.result(row.id)
            assert (reply.status, type(reply.json)) == (200, dict), row.id


def test_the_description_names_every_id_with_its_sentence() -> None:
    """What --help shows is the table."""
    lines = [line.strip() for line in describe_known().splitlines()]
    assert [line for line in lines if line and not line.endswith(":")] == [
        f"{row.id}  {row.sentence}" for row in known()
    ]


def test_the_page_for_callers_lists_exactly_the_known_ids_and_faults() -> None:
    """docs/sandbox.md has a row for each, with the same sentence, and none besides."""
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|$", DOCS.read_text(), re.MULTILINE)
    assert rows == [(name, fault.sentence) for name, fault in FAULTS.items()] + [
        (row.id, row.sentence) for row in known()
    ]
