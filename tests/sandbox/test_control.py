"""Control requests: what they change, what they report, and how wrong ones are refused."""

import re
from typing import Any

import pytest

from sandbox import CLIENT_SECRET
from sandbox.seed_data import seeds
from tests.sandbox.caller import NOT_FOUND, PENDING, Caller


async def test_call_requests_are_made_replaced_and_listed(caller: Caller) -> None:
    """PUT creates the id in its path or replaces it; POST creates a new id."""
    shown = await caller.control("PUT", "call-requests/myOwnRequest0001", {"status": "IN_PROGRESS"})
    assert (shown.json["id"], shown.json["status"]) == ("myOwnRequest0001", "IN_PROGRESS")
    await caller.control("PUT", f"call-requests/{PENDING}", {"status": "COMPLETED", "outcome": {"callStatus": 7}})
    assert (await caller.result(PENDING)).json["result"]["callStatus"] == 7
    made = await caller.make()
    assert re.fullmatch("[A-Za-z0-9]{16}", made)
    listed = (await caller.control("GET", "call-requests")).json["call_requests"]
    assert [row["id"] for row in listed][: len(list(seeds()))] == [row.id for row in seeds()]
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
    """Clock, call requests, faults, their counts and the report are as at the start, and tokens if it says so."""
    made = await caller.make()
    await caller.cancel(PENDING)
    await caller.result("unavailableTwice")
    await caller.control("POST", "faults", {"fault": "server_error"})
    await caller.control("POST", "clock", {"advance": 86400})
    await caller.control("POST", "reset", {"keep_tokens": False})
    assert (await caller.control("GET", "requests")).json["requests"] == []
    assert (await caller.control("GET", "faults")).json["planned"] == []
    assert (await caller.result(PENDING)).status == 401
    await caller.renew()
    assert (await caller.result(PENDING)).json["callRequetStatus"] == "PENDING_TO_CALL"
    assert (await caller.result(made)).json == NOT_FOUND
    assert [(await caller.result("unavailableTwice")).status for _ in range(3)] == [503, 503, 200]


@pytest.mark.parametrize("body", [None, {}, {"keep_tokens": True}], ids=["no-body", "empty", "named"])
async def test_a_reset_leaves_tokens_alone(caller: Caller, body: object) -> None:
    """A client goes on without a 401: tests that follow each other do not wait for its next token."""
    await caller.control("POST", "reset", body)
    assert (await caller.result(PENDING)).status == 200


async def test_planned_faults_are_reported_with_how_often_each_applied(caller: Caller) -> None:
    """In their order, as they were planned; one that is used up is among them."""
    await caller.control("POST", "faults", {"fault": "unavailable", "operation": "result", "times": 1})
    await caller.control("POST", "faults", {"fault": "slow", "seconds": 0})
    for _ in range(3):
        await caller.result(PENDING)
    assert (await caller.control("GET", "faults")).json["planned"] == [
        {"fault": "unavailable", "operation": "result", "times": 1, "seconds": None, "taken": 1},
        {"fault": "slow", "operation": "any", "times": None, "seconds": 0, "taken": 2},
    ]


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
    ("path", "body", "sentence"),
    [
        ("faults", {"operation": "result", "fualt": "unavailable"}, 'There is no field "fualt" here.'),
        ("call-requests", {"times": 1, "seconds": 2, "fualt": "slow"}, 'There is no field "fualt" here.'),
        ("call-requests", {"times": 1}, "times goes with fault, which is missing."),
        ("clock", {"advance": 1, "times": 1}, 'There is no field "times" here.'),
    ],
)
async def test_it_is_the_wrong_field_that_is_named(caller: Caller, path: str, body: Any, sentence: str) -> None:
    """One that is misspelt, not those beside it that make no sense without it."""
    assert (await caller.control("POST", path, body)).json == {"error": sentence}


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
