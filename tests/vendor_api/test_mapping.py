"""The translation's tables are complete, and every value that the vendor's pages print comes out right."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor

from callrequest.v1 import call_request_pb2 as pb
from callrequest.v1.cancellation_pb2 import Cancellation
from server.vendor_api import mapping as rows
from server.vendor_api.document import parse
from server.vendor_api.mapping import FieldMapping
from server.vendor_api.quirks import Observations, Quirk, UnreadableValue
from server.vendor_api.readers import Alias, EnumReader, letters_and_digits
from server.vendor_api.translate import read_cancellation, read_envelope, read_result
from testkit.scripted_vendor import RESULT_ID

NOT_THE_VENDORS = {
    pb.CallRequestResult.DESCRIPTOR: {"call_request_id", "observed_at", "unrecognized_values"},
    Cancellation.DESCRIPTOR: {"call_request_id", "outcome"},
}
"""Fields that the gateway fills by itself."""


def _tables() -> Iterator[tuple[Descriptor, tuple[FieldMapping, ...]]]:
    yield pb.CallRequestResult.DESCRIPTOR, rows.RESULT
    yield pb.CallOutcome.DESCRIPTOR, rows.OUTCOME
    yield pb.ActionRequired.DESCRIPTOR, rows.ACTION_REQUIRED
    yield Cancellation.DESCRIPTOR, (*rows.CANCELLATION, rows.REFERENCE)


@pytest.mark.parametrize(("message", "table"), [pytest.param(*pair, id=pair[0].name) for pair in _tables()])
def test_every_field_has_a_row(message: Descriptor, table: tuple[FieldMapping, ...]) -> None:
    """A field of the contract without a row would never be set; a row without a field would fail at run time."""
    assert {row.field for row in table} == set(message.fields_by_name) - NOT_THE_VENDORS.get(message, set())


@pytest.mark.parametrize(("message", "table"), [pytest.param(*pair, id=pair[0].name) for pair in _tables()])
def test_every_enum_value_has_a_documented_word(message: Descriptor, table: tuple[FieldMapping, ...]) -> None:
    """Each enum value but UNSPECIFIED is reached by its own name, the word that the vendor documents."""
    for row in table:
        enum: EnumDescriptor | None = message.fields_by_name[row.field].enum_type
        if enum is None:
            continue
        assert isinstance(row.read, EnumReader), f"{row.field} is an enum and needs words"
        assert set(row.read.words) == {value.number for value in enum.values if value.number}
        prefix = "".join(f"_{letter}" if letter.isupper() else letter for letter in enum.name).upper()[1:]
        for value in enum.values:
            if value.number:
                assert row.read(value.name.removeprefix(f"{prefix}_"), Observations()) == value.number


def test_every_nested_row_walks_the_rows_of_its_message() -> None:
    """A nested object is read by the rows of the message that it becomes."""
    nested = {row.field: row.rows for _, table in _tables() for row in table if row.rows}
    assert nested == {"outcome": rows.OUTCOME, "action_required": rows.ACTION_REQUIRED}


OUTCOME: dict[str, Any] = {
    "callType": "BOOKING_VERIFICATION",
    "callStatus": "ERROR_OUTCOME",
    "statusReasonCategory": "NO_ANSWER",
    "statusReason": "R",
    "outcomeSummary": "S",
    "outcomeDetails": "D",
    "actionRequired": {"action": "RESEND_PAYMENT", "email": "desk@example.com", "fax": "+34932952800"},
    "dialTime": "2025-06-03T10:10:00Z",
    "recipientName": "Sam",
    "hotelConfirmationId": "123456A",
}
REPLIES: dict[str, dict[str, Any]] = {
    "result": {
        "success": True,
        "callRequestId": RESULT_ID,
        "callRequestStatus": "COMPLETED",
        "result": OUTCOME,
    },
    "cancel": {"success": True, "results": {"callRequestId": RESULT_ID, "cancelled_at": "2025-06-03T09:31:00Z"}},
    "failure": {"success": False, "error": {"code": "NOT_FOUND", "message": "M"}},
}
"""A reply of each kind that has every field, each under its documented key."""


def _renamed(value: Any, key: str, name: str) -> Any:
    if not isinstance(value, dict):
        return value
    return {name if each == key else each: _renamed(item, key, name) for each, item in value.items()}


def _quirks(reply: dict[str, Any], kind: str) -> set[Quirk]:
    observations = Observations()
    document = parse(json.dumps(reply).encode(), rows.KNOWN_KEYS)
    envelope = read_envelope(document, 404 if kind == "failure" else 200, observations)
    assert envelope.failed == (kind == "failure")
    if not envelope.failed:
        (read_result if kind == "result" else read_cancellation)(document, RESULT_ID, observations)
    return observations.quirks


def _rows() -> dict[str, tuple[FieldMapping, ...]]:
    """All rows by the kind of reply that they read."""
    return {
        "result": (rows.SUCCESS, rows.ID, *rows.RESULT, *rows.OUTCOME, *rows.ACTION_REQUIRED),
        "cancel": (rows.SUCCESS, rows.ID, rows.CANCELLED_OBJECT, *rows.CANCELLATION),
        "failure": (rows.SUCCESS, rows.ERROR, *rows.ERROR.rows),
    }


KEYS = [
    pytest.param(kind, row.key, name, quirk, id=f"{kind}-{name}")
    for kind, table in _rows().items()
    for row in table
    for name, quirk in row.names
]


@pytest.mark.parametrize(("kind", "key", "name", "quirk"), KEYS)
def test_a_key_counts_its_own_quirk_and_no_other(kind: str, key: str, name: str, quirk: Quirk | None) -> None:
    """A reply of documented keys has no quirk; with one of them under another key it has that key's."""
    reply = _renamed(REPLIES[kind], key, name)
    assert name in json.dumps(reply)
    assert _quirks(reply, kind) == ({quirk} - {None})


@pytest.mark.parametrize(("kind", "key", "name", "quirk"), KEYS)
def test_a_key_in_another_case_counts_that_as_well(kind: str, key: str, name: str, quirk: Quirk | None) -> None:
    """In capitals and with spaces around it, a key is read alike."""
    reply = _renamed(REPLIES[kind], key, f" {name.upper()} ")
    assert _quirks(reply, kind) == ({quirk} - {None}) | {Quirk.KEY_IN_ANOTHER_CASE}


def test_no_two_keys_are_read_alike() -> None:
    """Two documented keys that differ only in letter case would be one key in another case."""
    folded = [key.lower() for key in rows.KNOWN_KEYS.spellings]
    assert len(folded) == len(set(folded))


ENUMS = {name: each for name, each in vars(rows).items() if isinstance(each, EnumReader)}
WORDS = [
    pytest.param(enum, value, spelling, id=f"{name}-{spelling if isinstance(spelling, str) else spelling.word}")
    for name, enum in ENUMS.items()
    for value, spellings in enum.words.items()
    for spelling in spellings
]


@pytest.mark.parametrize(("enum", "value", "spelling"), WORDS)
def test_a_word_counts_its_own_quirk_and_no_other(enum: EnumReader, value: int, spelling: str | Alias) -> None:
    """A documented word has no quirk; in another spelling it has its enum's, and another word has its own."""
    if isinstance(spelling, str):
        respelled = Quirk.ACTION_IN_ANOTHER_WORD if enum is rows.ACTION_ENUM else Quirk.ENUM_IN_ANOTHER_SPELLING
        cases: dict[str, set[Quirk]] = {spelling: set(), f" {spelling.lower()}": {respelled}}
        cases[spelling.replace("_", " ").title()] = {respelled}
    else:
        cases = {f"{spelling.word}_BY_MAIL" if spelling.prefix else spelling.word: {spelling.quirk}}
    for word, quirks in cases.items():
        observations = Observations()
        assert enum(word, observations) == value
        assert observations.quirks == quirks, word


@pytest.mark.parametrize("enum", [pytest.param(enum, id=name) for name, enum in ENUMS.items()])
def test_no_two_words_of_an_enum_are_read_alike(enum: EnumReader) -> None:
    """Else the later one would take the earlier one's value or quirk."""
    words = [spelling for spellings in enum.words.values() for spelling in spellings]
    loose = [letters_and_digits(word if isinstance(word, str) else word.word) for word in words if not _is_prefix(word)]
    assert len(loose) == len(set(loose))
    starts = [letters_and_digits(word.word) for word in words if isinstance(word, Alias) and word.prefix]
    assert not [(one, two) for one in starts for two in starts if one != two and one.startswith(two)]


def _is_prefix(word: str | Alias) -> bool:
    return isinstance(word, Alias) and word.prefix


def test_the_quirks_are_numbered_in_order() -> None:
    """Q01, Q02 and so on, each with a sentence of what the vendor does."""
    assert [quirk.value for quirk in Quirk] == [f"Q{number:02}" for number in range(1, len(Quirk) + 1)]
    assert all(quirk.sentence.startswith(("sends ", "leaves out ")) for quirk in Quirk)


PRINTED = [
    # The result page: the Format column, the words of the Description column, the Example column and the examples.
    *[("status", word, word) for word in ("CANCELLED", "IN_PROGRESS", "PENDING_TO_CALL", "COMPLETED")],
    ("status", "Call was completed", None),
    ("status", "processed", "COMPLETED"),
    ("call_type", "AUTHORIZATION_ VERIFICATION", "AUTHORIZATION_VERIFICATION"),
    ("call_type", "AUTHORIZATION_VERIFICATION", "AUTHORIZATION_VERIFICATION"),
    ("call_type", "BOOKING_VERIFICATION", "BOOKING_VERIFICATION"),
    ("call_type", "authorizationVerification", "AUTHORIZATION_VERIFICATION"),
    ("call_type", "bookingVerification", "BOOKING_VERIFICATION"),
    *[("call_status", word, word) for word in ("ERROR_OUTCOME", "SUCCESS", "UNABLE_TO_COMPLETE")],
    ("call_status", "errorOutcome", "ERROR_OUTCOME"),
    ("call_status", "error Outcome", "ERROR_OUTCOME"),
    ("call_status", "error_outcome", "ERROR_OUTCOME"),
    ("call_status", "success", "SUCCESS"),
    ("call_status", "unableToComplete", "UNABLE_TO_COMPLETE"),
    ("call_status", "unable to complete", "UNABLE_TO_COMPLETE"),
    *[
        ("status_reason_category", word, word)
        for word in (
            "AUTH_FORM_NOT_FOUND",
            "DATA_MISMATCH",
            "RESERVATION_NOT_FOUND",
            "RESERVATION_CANCELLED",
            "INCORRECT_TELEPHONE_NUMBER",
            "INVALID_TELEPHONE_NUMBER",
            "NO_ANSWER",
        )
    ],
    ("status_reason_category", "Auth form not found", "AUTH_FORM_NOT_FOUND"),
    ("status_reason_category", "Data missmatch", "DATA_MISMATCH"),
    ("status_reason_category", "Reservation not found", "RESERVATION_NOT_FOUND"),
    ("status_reason_category", "Reservation cancelled", "RESERVATION_CANCELLED"),
    ("status_reason_category", "Incorrect telephone number", "INCORRECT_TELEPHONE_NUMBER"),
    ("status_reason_category", "Invalid telephone number", "INVALID_TELEPHONE_NUMBER"),
    ("status_reason_category", "No answer", "NO_ANSWER"),
    ("action", "RESEND_RESERVATION", "RESEND_RESERVATION"),
    ("action", "RESEND_PAYMENT_", "RESEND_PAYMENT"),
    ("action", "RESEND_PAYMENT", "RESEND_PAYMENT"),
    ("action", "resend_authorization_via_email", "RESEND_PAYMENT"),
]


@pytest.mark.parametrize(("field", "word", "value"), [pytest.param(*row, id=f"{row[0]}-{row[1]}") for row in PRINTED])
def test_every_word_of_the_pages_means_what_it_says(field: str, word: str, value: str | None) -> None:
    """Each enum word that the pages print, in whichever column, is the value it stands for; no other is."""
    reads = {row.field: row.read for _, table in _tables() for row in table}
    read = reads[field]
    assert isinstance(read, EnumReader)
    enums: dict[str, Any] = {
        "status": pb.CallRequestStatus,
        "call_type": pb.CallType,
        "call_status": pb.CallStatus,
        "status_reason_category": pb.StatusReasonCategory,
        "action": pb.Action,
    }
    if value is None:
        with pytest.raises(UnreadableValue):
            read(word, Observations())
    else:
        assert enums[field].Name(read(word, Observations())).endswith(f"_{value}")
