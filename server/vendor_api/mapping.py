"""The vendor's dialect as tables: under which keys it sends our fields, and which words mean which value.

`translate.py` is the engine over them. A new quirk is a number in quirks.py, its rows here, and a recorded payload.
"""

import dataclasses
from collections.abc import Iterable

from callrequest.v1 import call_request_pb2 as results
from callrequest.v1 import cancellation_pb2 as cancellations
from callrequest.v1 import error_reason_pb2 as reasons

from .document import Keys
from .quirks import Quirk
from .readers import Alias, EnumReader, PhraseFinder, Reader, Text, read_flag, read_object, read_reference
from .times import read_time

STATUS_ENUM = EnumReader(
    {
        results.CALL_REQUEST_STATUS_PENDING_TO_CALL: ("PENDING_TO_CALL",),
        results.CALL_REQUEST_STATUS_IN_PROGRESS: ("IN_PROGRESS",),
        results.CALL_REQUEST_STATUS_COMPLETED: ("COMPLETED", Alias("processed", Quirk.STATUS_IN_ANOTHER_WORD)),
        results.CALL_REQUEST_STATUS_CANCELLED: ("CANCELLED", Alias("CANCELED", Quirk.STATUS_IN_ANOTHER_WORD)),
    }
)
CALL_TYPE_ENUM = EnumReader(
    {
        results.CALL_TYPE_AUTHORIZATION_VERIFICATION: ("AUTHORIZATION_VERIFICATION",),
        results.CALL_TYPE_BOOKING_VERIFICATION: ("BOOKING_VERIFICATION",),
    }
)
CALL_STATUS_ENUM = EnumReader(
    {
        results.CALL_STATUS_SUCCESS: ("SUCCESS",),
        results.CALL_STATUS_ERROR_OUTCOME: ("ERROR_OUTCOME",),
        results.CALL_STATUS_UNABLE_TO_COMPLETE: ("UNABLE_TO_COMPLETE",),
    }
)
CATEGORY_ENUM = EnumReader(
    {
        results.STATUS_REASON_CATEGORY_AUTH_FORM_NOT_FOUND: ("AUTH_FORM_NOT_FOUND",),
        results.STATUS_REASON_CATEGORY_DATA_MISMATCH: (
            "DATA_MISMATCH",
            Alias("Data missmatch", Quirk.ENUM_IN_ANOTHER_SPELLING),
        ),
        results.STATUS_REASON_CATEGORY_RESERVATION_NOT_FOUND: ("RESERVATION_NOT_FOUND",),
        results.STATUS_REASON_CATEGORY_RESERVATION_CANCELLED: (
            "RESERVATION_CANCELLED",
            Alias("RESERVATION_CANCELED", Quirk.ENUM_IN_ANOTHER_SPELLING),
        ),
        results.STATUS_REASON_CATEGORY_INCORRECT_TELEPHONE_NUMBER: ("INCORRECT_TELEPHONE_NUMBER",),
        results.STATUS_REASON_CATEGORY_INVALID_TELEPHONE_NUMBER: ("INVALID_TELEPHONE_NUMBER",),
        results.STATUS_REASON_CATEGORY_NO_ANSWER: ("NO_ANSWER",),
    }
)
ACTION_ENUM = EnumReader(
    {
        results.ACTION_RESEND_RESERVATION: (
            "RESEND_RESERVATION",
            Alias("RESEND_RESERVATION", Quirk.ACTION_IN_ANOTHER_WORD, prefix=True),
        ),
        results.ACTION_RESEND_PAYMENT: (
            "RESEND_PAYMENT",
            Alias("RESEND_PAYMENT", Quirk.ACTION_IN_ANOTHER_WORD, prefix=True),
            Alias("RESEND_AUTHORIZATION", Quirk.ACTION_IN_ANOTHER_WORD, prefix=True),
        ),
    },
    respelled=Quirk.ACTION_IN_ANOTHER_WORD,
)
ERROR_CODES = EnumReader(
    {
        reasons.ERROR_REASON_CALL_REQUEST_NOT_FOUND: ("NOT_FOUND",),
        reasons.ERROR_REASON_CANCELLATION_NOT_ALLOWED: ("CANCELLATION_NOT_ALLOWED",),
        reasons.ERROR_REASON_VENDOR_REJECTED_REQUEST: ("BAD_REQUEST",),
    }
)
REJECTION_PHRASES = {
    cancellations.CANCELLATION_REJECTION_REASON_CHECK_IN_PASSED: PhraseFinder(
        ("check in", "checkin", "checkindate"), ("past", "passed")
    ),
}
"""What the message of CANCELLATION_NOT_ALLOWED contains for a reason. The status of the call request has the others."""

ALREADY_CANCELLED = PhraseFinder(("already", "previously"), ("cancelled", "canceled"))
"""What the code or the message of an error contains when an earlier cancel is the reason of a refusal. It may be
another one, as in "cannot be cancelled, it is already completed": the status shows which."""


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """A key under which the vendor sends a field beside the documented one. quirk: counted when it is met, if any."""

    name: str
    quirk: Quirk | None


@dataclasses.dataclass(frozen=True, slots=True)
class FieldMapping:
    """One field of ours and where the vendor has it.

    key: as documented. also: other keys; the first that is not empty wins. read: how the value is read; rows: the
    fields of a nested object instead. required: the pages call it so (Q11). names: every key in order, with its quirk.
    """

    field: str
    key: str
    read: Reader | None = None
    also: tuple[Key, ...] = ()
    rows: tuple["FieldMapping", ...] = ()
    required: bool = False
    names: tuple[tuple[str, Quirk | None], ...] = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", ((self.key, None), *((each.name, each.quirk) for each in self.also)))


ID = FieldMapping(
    "call_request_id",
    "callRequestId",
    also=(Key("callRequstId", Quirk.ID_UNDER_ANOTHER_KEY), Key("CallRequested", Quirk.ID_UNDER_ANOTHER_KEY)),
)
SUCCESS = FieldMapping("success", "success", read_flag)
ERROR = FieldMapping(
    "error",
    "error",
    rows=(FieldMapping("code", "code", Text(100)), FieldMapping("message", "message", Text(500))),
)

ACTION_REQUIRED = (
    FieldMapping("action", "action", ACTION_ENUM, required=True),
    FieldMapping("email", "email", Text(254)),
    FieldMapping("fax", "fax", Text(21)),
)
OUTCOME = (
    FieldMapping("call_type", "callType", CALL_TYPE_ENUM, required=True),
    FieldMapping("call_status", "callStatus", CALL_STATUS_ENUM, required=True),
    FieldMapping("status_reason_category", "statusReasonCategory", CATEGORY_ENUM),
    FieldMapping("status_reason", "statusReason", Text(200)),
    FieldMapping("outcome_summary", "outcomeSummary", Text(200), required=True),
    FieldMapping("outcome_details", "outcomeDetails", Text(500), required=True),
    FieldMapping("action_required", "actionRequired", rows=ACTION_REQUIRED),
    FieldMapping("dial_time", "dialTime", read_time),
    FieldMapping("recipient_name", "recipientName", Text(100)),
    FieldMapping("hotel_confirmation_id", "hotelConfirmationId", Text(50)),
)
STATUS = FieldMapping(
    "status",
    "callRequestStatus",
    STATUS_ENUM,
    also=(Key("callRequetStatus", Quirk.MISSPELT_STATUS_KEY),),
)
RESULT = (
    STATUS,
    FieldMapping("outcome", "result", also=(Key("results", Quirk.RESULT_OR_RESULTS),), rows=OUTCOME),
)

CANCELLATION = (
    FieldMapping(
        "cancelled_at",
        "cancelled_at",
        read_time,
        also=(
            Key("cancelledAt", Quirk.CANCELLED_AT_UNDER_ANOTHER_KEY),
            Key("canceled_at", Quirk.CANCELLED_AT_UNDER_ANOTHER_KEY),
            Key("canceledAt", Quirk.CANCELLED_AT_UNDER_ANOTHER_KEY),
        ),
    ),
)
# The cancel page has two forms of the reply: fields in an object under `results` in its example, and in its table a
# reference under `result` with the fields beside it.
CANCELLED_OBJECT = FieldMapping("", "results", also=(Key("result", Quirk.RESULT_OR_RESULTS),), rows=CANCELLATION)
REFERENCE = FieldMapping("vendor_reference", "results", read_reference, also=(Key("result", None),))

EVENT_ID = FieldMapping("event_id", "eventId", Text(100))
EVENT_TYPE = FieldMapping("event_type", "eventType", Text(100))
EVENT_TIMES = (FieldMapping("occurred_at", "occurredAt", read_time), FieldMapping("sent_at", "sentAt", read_time))
EVENT_DATA = FieldMapping("data", "data", read_object)
EVENT = (EVENT_ID, EVENT_TYPE, *EVENT_TIMES, EVENT_DATA)
"""The webhook's envelope; `data` has the id, the status, and the outcome in an object of its own or beside them."""


def _keys(rows: Iterable[FieldMapping]) -> set[str]:
    return {name for row in rows for name in (*dict(row.names), *_keys(row.rows))}


KNOWN_KEYS = Keys(_keys((ID, SUCCESS, ERROR, *RESULT, *OUTCOME, CANCELLED_OBJECT, REFERENCE, *EVENT)))
"""Every key that a row names."""


def _paths(rows: Iterable[FieldMapping], path: str = "") -> Iterable[str]:
    for row in rows:
        yield path + row.field
        yield from _paths(row.rows, f"{path}{row.field}.")


UNREADABLE_FIELDS = (*_paths(RESULT), *_paths(CANCELLATION), REFERENCE.field)
"""The paths of all fields whose value may turn out to be unreadable, as in unrecognized_values and the metrics."""
