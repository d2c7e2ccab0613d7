"""Faults: the effect of each on a read and on a cancel, and whether the cancel takes effect."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.faults import FAULTS
from sandbox.seed_data import seeds
from tests.sandbox.caller import NOT_FOUND, PENDING, Caller, Reply

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
        ("forbidden_page", 403),
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
    """Retry-After is 1 second, or the `seconds` of the fault."""
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
    made = await caller.make(fault="slow", seconds=1.5)
    begun = time.monotonic()
    cancelling = asyncio.create_task(caller.cancel(made))
    await asyncio.sleep(0.1)
    assert await caller.status(made) == "CANCELLED"
    assert not cancelling.done()
    assert (await cancelling).json["success"] is True
    assert time.monotonic() - begun >= 1.5


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


async def test_an_error_comes_though_the_cancel_is_done(caller: Caller) -> None:
    """A code that no page names, at the status that the call request has for its errors; the cancel is carried out."""
    read, cancelled, after = await fails(caller, "error_though_done")
    for reply in (read, cancelled):
        assert isinstance(reply, Reply)
        assert (reply.status, reply.json["success"], reply.json["error"]["code"]) == (200, False, "SYSTEM_ERROR")
    assert after == "CANCELLED"


def test_every_fault_is_tested_and_has_a_seed() -> None:
    """The table of faults, the seed data and the tests above name the same faults."""
    planned = {fault.name for row in seeds() for fault in row.plan.faults}
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
