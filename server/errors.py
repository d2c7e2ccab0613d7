"""The catalogue of failures: everything a call can fail with, as one table.

Use cases and the vendor's client raise GatewayError; interceptor.py turns it into a status. A new failure is a value
of ErrorReason in the contract and a row here.
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from enum import Enum
from typing import TypeAlias

from google.rpc import code_pb2 as codes

from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.cancellation_pb2 import CancellationRejected
from callrequest.v1.error_reason_pb2 import ErrorReason

Reason: TypeAlias = ErrorReason.ValueType

MIN_WAIT, MAX_WAIT, DEFAULT_WAIT = 0.1, 300.0, 1.0
"""Bounds of RetryInfo and what it says when nothing better is known, in seconds."""


class VendorState(Enum):
    """What a failed read shows of the vendor as a whole; the throttle counts by it."""

    DOWN = "it does not cope with its load, or cannot be reached"
    DOUBTFUL = "it fails, perhaps for this call request only"
    REFUSES = "it answers, and refuses our credentials, perhaps for this call request only"
    UP = "it answers"
    NOT_SEEN = "nothing: it was not asked, or its answer was not waited for"


class Decision(Enum):
    """What a caller does after a failed call: who must act, and whether the same call may succeed later."""

    FIX_REQUEST = "The request is wrong and fails again as it is: change it."
    RETRY_LATER = "Repeat the call a few times with back-off, after RetryInfo where there is one."
    READ_RESULT = "Read the result: it shows whether the cancel took effect."
    ALERT_OPERATORS = "No program can correct it: a person must, mostly an operator of the gateway."


@dataclass(frozen=True, slots=True)
class ErrorSpec:
    """One failure: how callers see it, and what a read does about it.

    code: a google.rpc.Code. text: ours alone, for people, at most 256 bytes. decision: for callers; `make generate`
    writes it into the clients and docs/errors.md. wait: whether RetryInfo is sent.
    retries: how often a read that fails like this may be tried again. about_the_id: whether other call requests can be
    read all the same, so that the failure is cached for its id. vendor: what it shows of the vendor as a whole.
    """

    code: int
    text: str
    decision: Decision
    _: KW_ONLY
    vendor: VendorState
    wait: bool = False
    retries: int = 0
    about_the_id: bool = False


CATALOGUE: Mapping[Reason, ErrorSpec] = {
    reasons.ERROR_REASON_INVALID_REQUEST: ErrorSpec(
        codes.INVALID_ARGUMENT, "The request is not valid.", Decision.FIX_REQUEST, vendor=VendorState.NOT_SEEN
    ),
    reasons.ERROR_REASON_CALL_REQUEST_NOT_FOUND: ErrorSpec(
        codes.NOT_FOUND,
        "The vendor knows no such call request.",
        Decision.FIX_REQUEST,
        about_the_id=True,
        vendor=VendorState.UP,
    ),
    reasons.ERROR_REASON_CANCELLATION_NOT_ALLOWED: ErrorSpec(
        codes.FAILED_PRECONDITION,
        "The call request cannot be cancelled any more.",
        Decision.READ_RESULT,
        about_the_id=True,
        vendor=VendorState.UP,
    ),
    reasons.ERROR_REASON_VENDOR_REJECTED_REQUEST: ErrorSpec(
        codes.INVALID_ARGUMENT,
        "The vendor calls the request bad.",
        Decision.FIX_REQUEST,
        about_the_id=True,
        vendor=VendorState.UP,
    ),
    reasons.ERROR_REASON_VENDOR_REJECTED_CREDENTIALS: ErrorSpec(
        codes.INTERNAL,
        "The vendor refuses the gateway's credentials. Its operators must renew them.",
        Decision.ALERT_OPERATORS,
        about_the_id=True,  # while the vendor accepts them for others
        vendor=VendorState.REFUSES,
    ),
    reasons.ERROR_REASON_VENDOR_UNAVAILABLE: ErrorSpec(
        codes.UNAVAILABLE,
        "The vendor is not available.",
        Decision.RETRY_LATER,
        wait=True,
        retries=2,
        vendor=VendorState.DOWN,
    ),
    reasons.ERROR_REASON_VENDOR_RATE_LIMITED: ErrorSpec(
        codes.RESOURCE_EXHAUSTED,
        "The vendor takes no more calls for now.",
        Decision.RETRY_LATER,
        wait=True,
        retries=2,
        vendor=VendorState.DOWN,
    ),
    reasons.ERROR_REASON_VENDOR_FAILED: ErrorSpec(
        codes.INTERNAL,
        "The vendor failed.",
        Decision.RETRY_LATER,
        retries=2,
        about_the_id=True,
        vendor=VendorState.DOUBTFUL,
    ),
    reasons.ERROR_REASON_VENDOR_MALFORMED_RESPONSE: ErrorSpec(
        codes.INTERNAL,
        "The vendor's reply is not one that its API describes.",
        Decision.RETRY_LATER,
        retries=1,
        about_the_id=True,
        vendor=VendorState.DOUBTFUL,
    ),
    reasons.ERROR_REASON_VENDOR_ERROR: ErrorSpec(
        codes.UNKNOWN,
        "The vendor answered with an unknown error.",
        Decision.ALERT_OPERATORS,
        about_the_id=True,
        vendor=VendorState.UP,
    ),
    reasons.ERROR_REASON_DEADLINE_EXCEEDED: ErrorSpec(
        codes.DEADLINE_EXCEEDED,
        "The deadline was over before an answer.",
        Decision.RETRY_LATER,
        vendor=VendorState.NOT_SEEN,
    ),
    reasons.ERROR_REASON_VENDOR_TIMEOUT: ErrorSpec(
        codes.UNAVAILABLE,
        "The vendor did not answer in time.",
        Decision.RETRY_LATER,
        wait=True,
        retries=2,
        vendor=VendorState.DOWN,
    ),
    reasons.ERROR_REASON_CANCELLATION_OUTCOME_UNKNOWN: ErrorSpec(
        codes.UNKNOWN,
        "The vendor may or may not have cancelled the call request. Read its result, or cancel again.",
        Decision.READ_RESULT,
        vendor=VendorState.NOT_SEEN,
    ),
    reasons.ERROR_REASON_OVERLOADED: ErrorSpec(
        codes.UNAVAILABLE, "Too many calls are in flight.", Decision.RETRY_LATER, wait=True, vendor=VendorState.NOT_SEEN
    ),
    reasons.ERROR_REASON_CALLER_UNAUTHENTICATED: ErrorSpec(
        codes.UNAUTHENTICATED, "The caller is not known.", Decision.ALERT_OPERATORS, vendor=VendorState.NOT_SEEN
    ),
    reasons.ERROR_REASON_CALLER_FORBIDDEN: ErrorSpec(
        codes.PERMISSION_DENIED,
        "The caller may not call this method.",
        Decision.ALERT_OPERATORS,
        vendor=VendorState.NOT_SEEN,
    ),
    reasons.ERROR_REASON_INTERNAL: ErrorSpec(
        codes.INTERNAL, "The gateway failed.", Decision.ALERT_OPERATORS, vendor=VendorState.NOT_SEEN
    ),
    reasons.ERROR_REASON_WATCH_ENDED: ErrorSpec(
        codes.UNAVAILABLE,
        "The gateway ended this watch. Watch the call request again.",
        Decision.RETRY_LATER,
        wait=True,
        vendor=VendorState.NOT_SEEN,
    ),
    reasons.ERROR_REASON_CALLER_RATE_LIMITED: ErrorSpec(
        codes.RESOURCE_EXHAUSTED,
        "The caller sends more calls than it may.",
        Decision.RETRY_LATER,
        wait=True,
        vendor=VendorState.NOT_SEEN,
    ),
}


class Delivery(Enum):
    """What a failure means for the effect of the request. It matters for a cancel, which has one."""

    NOT_SENT = "nothing of the request was sent, or the vendor could read none of it"
    REJECTED = "the vendor received the request and rejected it in known words: it had no effect"
    UNKNOWN_CODE = "the vendor answered with its error body and a code that is not in our table"
    UNKNOWN = "the request may have arrived and had its effect"


@dataclass(frozen=True, slots=True)
class Violation:
    """A field of the request and, for people, what is wrong with it. field: "" for the request as a whole."""

    field: str
    description: str

    @property
    def text(self) -> str:
        """Both, for people."""
        return f"{self.field}: {self.description}" if self.field else self.description


class GatewayError(Exception):
    """A failure of the catalogue.

    reason: its row. code: the row's, unless given. delivery: whether the request reached the vendor. token_refused:
    a new token may help. retry_after: seconds, brought within MIN_WAIT and MAX_WAIT; wait_is_known: they were said, not
    supposed. vendor_code: the vendor's unknown error code, `[A-Z0-9_]{1,100}`. already_cancelled: the vendor's words
    say so; whether it is, its status shows. The text of the exception holds nothing that the vendor or a caller sent.
    """

    def __init__(
        self,
        reason: Reason,
        *,
        code: int | None = None,
        delivery: Delivery = Delivery.NOT_SENT,
        token_refused: bool = False,
        retry_after: float | None = None,
        violations: tuple[Violation, ...] = (),
        rejected: CancellationRejected | None = None,
        vendor_code: str | None = None,
    ) -> None:
        self.reason = reason
        self.spec = CATALOGUE[reason]
        self.code = self.spec.code if code is None else code
        self.delivery = delivery
        self.token_refused = token_refused
        self.wait_is_known = retry_after is not None
        self.retry_after = min(max(DEFAULT_WAIT if retry_after is None else retry_after, MIN_WAIT), MAX_WAIT)
        self.violations = violations
        self.rejected = rejected
        self.vendor_code = vendor_code
        self.already_cancelled = False
        super().__init__(self.reason_name)

    def copy(self) -> "GatewayError":
        """The same failure as another exception, without the traceback of this one."""
        error = GatewayError(self.reason)
        error.__dict__.update(self.__dict__)
        return error

    @property
    def text(self) -> str:
        """What callers read, at most 256 bytes: the row's text and what is wrong with the request."""
        return " ".join([self.spec.text, *(part.text for part in self.violations)])[:256]

    @property
    def reason_name(self) -> str:
        """The name of the reason as callers read it in ErrorInfo, without its enum's prefix."""
        return ErrorReason.Name(self.reason).removeprefix("ERROR_REASON_")


def invalid(field: str, description: str) -> GatewayError:
    """INVALID_REQUEST for one field. Neither text may repeat what the caller sent."""
    return GatewayError(reasons.ERROR_REASON_INVALID_REQUEST, violations=(Violation(field, description),))


def deadline_exceeded() -> GatewayError:
    """DEADLINE_EXCEEDED: the caller's time is over, and nothing was changed at the vendor."""
    return GatewayError(reasons.ERROR_REASON_DEADLINE_EXCEEDED)
