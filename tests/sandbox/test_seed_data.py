"""The seed data covers every word, quirk and fault, and the page for callers lists it."""

import re
from typing import Any

import pytest

from sandbox import describe_seed_data
from sandbox.faults import FAULTS
from sandbox.seed_data import SEED_DATA, seeds
from server.vendor_api.quirks import Quirk
from tests.sandbox.caller import DOCS, NOT_ALLOWED, NOT_FOUND, Caller


def test_known_ids_are_ids() -> None:
    """16 of A–Z, a–z, 0–9, none twice, each with a sentence."""
    ids = [row.id for row in seeds()]
    assert all(re.fullmatch(r"[A-Za-z0-9]{16}", call_request_id, re.ASCII) for call_request_id in ids)
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[^\n|]+\.", row.sentence) for row in seeds())


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
def test_every_word_of_the_pages_has_a_seed(word: str) -> None:
    """Each status and each value of each enum is what some id answers."""
    rows = list(seeds())
    words = [row.plan.status for row in rows] + [value for row in rows for value in _texts(row.plan.outcome)]
    assert word in words


def _texts(value: Any) -> list[Any]:
    return [text for part in value.values() for text in _texts(part)] if hasattr(value, "values") else [value]


def test_every_quirk_has_a_seed() -> None:
    """All that the gateway counts, and no other."""
    assert {row.id[:3] for row in SEED_DATA["Quirks"]} == {quirk.value.lower() for quirk in Quirk}


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
async def test_a_result_is_sent_with_its_quirk(caller: Caller, call_request_id: str, expected: dict[str, Any]) -> None:
    """The envelope is spelt as in the id's sentence."""
    reply = await caller.result(call_request_id)
    assert reply.status == 200
    assert expected.items() <= reply.json.items()


async def test_an_outcome_stands_where_its_quirk_says(caller: Caller) -> None:
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
async def test_a_cancel_is_answered_with_its_quirk(caller: Caller, call_request_id: str, keys: dict[str, Any]) -> None:
    """The reply is spelt as in the id's sentence; the cancel is carried out."""
    document = (await caller.cancel(call_request_id)).json
    for value in document.values():
        if isinstance(value, dict):
            value.pop("cancelled_at")
    assert document == keys
    assert await caller.status(call_request_id) == "CANCELLED"


async def test_the_time_of_a_cancel_is_sent_with_its_quirk(caller: Caller) -> None:
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


async def test_errors_come_at_other_statuses_and_without_a_flag(caller: Caller) -> None:
    """NOT_FOUND at 404, without success, and a refusal at 409."""
    not_found = await caller.result("q10NotFoundAt404")
    assert (not_found.status, not_found.json) == (404, NOT_FOUND)
    assert (await caller.result("q10NoSuccessFlag")).json == {"error": NOT_FOUND["error"]}
    refused = await caller.cancel("cancelRefused409")
    assert (refused.status, refused.json["error"]["code"]) == (409, NOT_ALLOWED)


async def test_every_seed_without_a_fault_answers_its_plan(caller: Caller) -> None:
    """Status 200 and a JSON object, for whatever the table holds."""
    for row in seeds():
        if not row.plan.faults:
            reply = await caller.result(row.id)
            assert (reply.status, type(reply.json)) == (200, dict), row.id


def test_the_description_names_every_id_with_its_sentence() -> None:
    """What --help shows is the table."""
    lines = [line.strip() for line in describe_seed_data().splitlines()]
    assert [line for line in lines if line and not line.endswith(":")] == [
        f"{row.id}  {row.sentence}" for row in seeds()
    ]


def test_the_page_for_callers_lists_exactly_the_known_ids_and_faults() -> None:
    """docs/sandbox.md has a row for each, with the same sentence, and none besides."""
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|$", DOCS.read_text(), re.MULTILINE)
    assert rows == [(name, fault.sentence) for name, fault in FAULTS.items()] + [
        (row.id, row.sentence) for row in seeds()
    ]
