"""Seed call requests that show the vendor's quirks. The first three characters of an id are the quirk's number."""

from typing import Any

from .call_requests import Plan
from .dialect import Dialect, Status
from .fault_queue import FaultPlan
from .seed import Seed, completed, pending
from .vendor_examples import ERROR_OUTCOME_EXAMPLE, REFERENCE, SUCCESS_EXAMPLE


def _success(**changed: Any) -> Plan:
    return completed({**SUCCESS_EXAMPLE, **changed})


def _failure(**changed: Any) -> Plan:
    return completed({**ERROR_OUTCOME_EXAMPLE, **changed})


def _error(status: int = 200, **spellings: Any) -> Plan:
    return Plan(error_status=status, dialect=Dialect(**spellings), faults=(FaultPlan("not_found"),))


def _spaced(key: str) -> str:
    return f" {key} "


QUIRKS = (
    Seed(
        "q01StatusKey0001",
        "The status under callRequestStatus, as in the page's table; all others have the misspelt key (Q01).",
        completed(status_key="callRequestStatus"),
    ),
    Seed("q02ResultsKey001", "The outcome under results.", completed(result_key="results")),
    Seed("q02ResultKey0001", "Can be cancelled; the reply has result.", pending(cancellation_key="result")),
    Seed("q03RequestIdKey1", "Can be cancelled; the id under callRequstId.", pending(id_key="callRequstId")),
    Seed("q03RequestIdKey2", "Can be cancelled; the id under CallRequested.", pending(id_key="CallRequested")),
    Seed("q04CancelledAt01", "Can be cancelled; the time under cancelledAt.", pending(cancelled_at_key="cancelledAt")),
    Seed("q04CanceledAt001", "Can be cancelled; the time under canceled_at.", pending(cancelled_at_key="canceled_at")),
    Seed("q04CanceledAt002", "Can be cancelled; the time under canceledAt.", pending(cancelled_at_key="canceledAt")),
    Seed(
        "q05CamelCase0001",
        "Enums in camel case: errorOutcome, reservationNotFound.",
        _failure(
            callType="authorizationVerification", callStatus="errorOutcome", statusReasonCategory="reservationNotFound"
        ),
    ),
    Seed(
        "q05StraySpace001",
        "Enums with stray spaces: AUTHORIZATION_ VERIFICATION, error Outcome.",
        _failure(callType="AUTHORIZATION_ VERIFICATION", callStatus="error Outcome"),
    ),
    Seed("q05LowerCase0001", "An enum in lower case: success.", _success(callStatus="success")),
    Seed("q05Misspelt00001", "A misspelt enum: Data missmatch.", _failure(statusReasonCategory="Data missmatch")),
    Seed("q06Processed0001", "The status processed.", completed(status_words={Status.COMPLETED: "processed"})),
    Seed(
        "q06Canceled00001",
        "The status CANCELED, with one L.",
        Plan(status=Status.CANCELLED, dialect=Dialect(status_words={Status.CANCELLED: "CANCELED"})),
    ),
    Seed(
        "q07EmptyStrings1",
        "Empty text or null for all that is optional.",
        _success(statusReasonCategory="", statusReason="", recipientName=None, hotelConfirmationId="", dialTime=None),
    ),
    Seed(
        "q08ViaEmail00001",
        "The action resend_authorization_via_email.",
        _failure(actionRequired={"action": "resend_authorization_via_email", "email": "hotelbarcelona@gmail.com"}),
    ),
    Seed(
        "q08CutOff0000001",
        "The action RESEND_PAYMENT_, cut off as on the page.",
        _failure(actionRequired={"action": "RESEND_PAYMENT_", "fax": "+34932952800"}),
    ),
    Seed("q09SuccessTRUE01", 'Can be cancelled; success is the text "TRUE".', pending(true="TRUE")),
    Seed("q09SuccessFalse1", 'NOT_FOUND, where success is the text "False".', _error(false="False")),
    Seed("q10NotFoundAt404", "NOT_FOUND at HTTP status 404.", _error(404)),
    Seed("q10NoSuccessFlag", "NOT_FOUND, where the error stands without success.", _error(false=None)),
    Seed("q10SuccessIsTrue", "NOT_FOUND, where the error stands beside success: true.", _error(false=True)),
    Seed(
        "q11FieldsMissing",
        "An outcome of nothing but its call status.",
        completed({"callStatus": "SUCCESS"}),
    ),
    Seed("q12NoZone0000001", "A dialTime without a zone.", _success(dialTime="2025-06-03T10:10:00")),
    Seed("q12Fraction00001", "A dialTime with :123 for a fraction.", _success(dialTime="2025-06-03T10:10:00:123Z")),
    Seed("q12NoSeconds0001", "A dialTime without seconds, as Java sends it.", _success(dialTime="2025-06-03T10:10Z")),
    Seed(
        "q12ZoneName00001",
        "A dialTime with the name of its zone, as Java sends it.",
        _success(dialTime="2025-06-03T12:10:00+02:00[Europe/Paris]"),
    ),
    Seed("q12DotNetDate001", "A dialTime as .NET sent it.", _success(dialTime="/Date(1748945400000+0200)/")),
    Seed("q12Offset0000001", "A dialTime at +02:00.", _success(dialTime="2025-06-03T12:10:00.5+02:00")),
    Seed(
        "q12CancelledAt01",
        "Can be cancelled; the time has :000 for a fraction.",
        pending(cancelled_at_form="%Y-%m-%dT%H:%M:%S:000Z"),
    ),
    Seed(
        "q13Reference0001",
        "Can be cancelled; result is a reference, the fields stand beside it.",
        pending(cancellation_key="result", id_key="callRequstId", reference=REFERENCE),
    ),
    Seed(
        "q14NewStatus0001",
        "A status that no page names, ON_HOLD; can be cancelled.",
        pending(status_words={Status.PENDING_TO_CALL: "ON_HOLD"}),
    ),
    Seed(
        "q14NewWords00001",
        "Call type, call status, reason and action that no page names.",
        completed(
            {
                "callType": "GROUP_VERIFICATION",
                "callStatus": "CALL_BACK_LATER",
                "statusReasonCategory": "HOTEL_CLOSED",
                "actionRequired": {"action": "SEND_A_PIGEON", "email": "hotelbarcelona@gmail.com"},
            }
        ),
    ),
    Seed(
        "q15TextTooLong01",
        "Texts longer than the page's maximum.",
        _success(outcomeSummary="summary " * 100, outcomeDetails="details " * 200, recipientName="Sam " * 100),
    ),
    Seed(
        "q16EarlyResult01",
        "IN_PROGRESS, with an outcome.",
        Plan(
            status=Status.IN_PROGRESS,
            outcome=SUCCESS_EXAMPLE,
            dialect=Dialect(result_with=frozenset({Status.IN_PROGRESS})),
        ),
    ),
    Seed("q16NoResult00001", "COMPLETED, without an outcome.", completed(result_with=frozenset())),
    Seed("q17KeysUpper0001", "All keys in capitals.", completed(spell_key=str.upper)),
    Seed("q17KeysSpaced001", "Can be cancelled; spaces around all keys.", pending(spell_key=_spaced)),
    Seed("q18NoIdInReply01", "Can be cancelled; no reply names the id.", pending(id_key=None)),
    Seed(
        "q19Numbers000001",
        "Numbers, a list and an object where text is due.",
        _success(recipientName=42, hotelConfirmationId=123456, outcomeSummary=["yes"], outcomeDetails={"a": 1}),
    ),
    Seed("q19EpochSeconds1", "A dialTime as a number, without a unit.", _success(dialTime=1748945400)),
    Seed("q19NoSuchDate001", "A dialTime that no calendar has.", _success(dialTime="2025-02-30T10:10:00Z")),
)
