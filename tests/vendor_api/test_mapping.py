"""The translation's tables are complete, and every value that the vendor's pages print comes out right."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor

from callrequest.v1 import call_request_pb2 as pb
from callrequest.v1.cancellation_pb2 import Cancellation
from server.vendor_api import mapping as rows
from server.vendor_api.mapping import FieldMapping
from server.vendor_api.quirks import Observations, UnreadableValue
from server.vendor_api.readers import EnumReader

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
