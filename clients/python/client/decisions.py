"""What a failed call says, and the one decision that a caller has to make."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Self, TypeVar

import grpc
from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.cancellation_pb2 import CancellationRejected
from callrequest.v1.error_reason_pb2 import ErrorReason
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from grpc_status import rpc_status

DOMAIN = "callrequest.v1"
Detail = TypeVar("Detail", bound=Message)


class Decision(Enum):
    """What to do after a failure."""

    FIX_REQUEST = "It fails again as it is: mend the request."
    WAIT_AND_REPEAT = "Repeat it later, a few times."
    LOOK_AGAIN = "Read the result: it tells what is so now."
    TELL_A_PERSON = "No program can mend it."


DECISIONS: Mapping[ErrorReason.ValueType, Decision] = {
    reasons.ERROR_REASON_INVALID_REQUEST: Decision.FIX_REQUEST,
    reasons.ERROR_REASON_VENDOR_REJECTED_REQUEST: Decision.FIX_REQUEST,
    reasons.ERROR_REASON_CALL_REQUEST_NOT_FOUND: Decision.FIX_REQUEST,
    reasons.ERROR_REASON_VENDOR_UNAVAILABLE: Decision.WAIT_AND_REPEAT,
    reasons.ERROR_REASON_VENDOR_TIMEOUT: Decision.WAIT_AND_REPEAT,
    reasons.ERROR_REASON_VENDOR_RATE_LIMITED: Decision.WAIT_AND_REPEAT,
    reasons.ERROR_REASON_OVERLOADED: Decision.WAIT_AND_REPEAT,
    reasons.ERROR_REASON_WATCH_ENDED: Decision.WAIT_AND_REPEAT,
    reasons.ERROR_REASON_CALLER_RATE_LIMITED: Decision.WAIT_AND_REPEAT,
    reasons.ERROR_REASON_DEADLINE_EXCEEDED: Decision.WAIT_AND_REPEAT,
    reasons.ERROR_REASON_VENDOR_FAILED: Decision.WAIT_AND_REPEAT,
    reasons.ERROR_REASON_VENDOR_MALFORMED_RESPONSE: Decision.WAIT_AND_REPEAT,
    reasons.ERROR_REASON_CANCELLATION_OUTCOME_UNKNOWN: Decision.LOOK_AGAIN,
    reasons.ERROR_REASON_CANCELLATION_NOT_ALLOWED: Decision.LOOK_AGAIN,
    reasons.ERROR_REASON_VENDOR_REJECTED_CREDENTIALS: Decision.TELL_A_PERSON,
    reasons.ERROR_REASON_VENDOR_ERROR: Decision.TELL_A_PERSON,
    reasons.ERROR_REASON_CALLER_UNAUTHENTICATED: Decision.TELL_A_PERSON,
    reasons.ERROR_REASON_CALLER_FORBIDDEN: Decision.TELL_A_PERSON,
    reasons.ERROR_REASON_INTERNAL: Decision.TELL_A_PERSON,
}
BY_CODE: Mapping[grpc.StatusCode, Decision] = {
    grpc.StatusCode.UNAVAILABLE: Decision.WAIT_AND_REPEAT,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Decision.WAIT_AND_REPEAT,
    grpc.StatusCode.DEADLINE_EXCEEDED: Decision.WAIT_AND_REPEAT,
    grpc.StatusCode.INVALID_ARGUMENT: Decision.FIX_REQUEST,
    grpc.StatusCode.NOT_FOUND: Decision.FIX_REQUEST,
}
"""For reasons that are newer than this program, and for failures without one: of a proxy, or of grpc itself."""

UNANSWERED = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})
"""Without a reason: the connection broke, the time was over, the server stopped, or the caller gave the call up."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call, its details decoded. Each is empty or None when the status has none."""

    code: grpc.StatusCode
    text: str
    reason: str = ""
    retry_after: timedelta | None = None
    violations: tuple[tuple[str, str], ...] = ()
    rejected: CancellationRejected | None = None

    @classmethod
    def of(cls, error: grpc.RpcError) -> Self:
        """Decodes the error of a blocking call or of one of asyncio."""
        status = rpc_status.from_call(error)  # type: ignore[arg-type]  # each such error is a call; its types say it not
        packed = status.details if status else ()

        def find(kind: type[Detail]) -> Detail | None:
            detail = kind()
            return next((detail for each in packed if each.Unpack(detail)), None)

        info, retry, request = find(ErrorInfo), find(RetryInfo), find(BadRequest)
        return cls(
            code=error.code(),
            text=error.details() or "",
            reason=info.reason if info and info.domain == DOMAIN else "",
            retry_after=retry.retry_delay.ToTimedelta() if retry else None,
            violations=tuple((each.field, each.description) for each in request.field_violations) if request else (),
            rejected=find(CancellationRejected),
        )

    def decide(self, *, cancelling: bool) -> Decision:
        """The decision. cancelling: whether it was a cancel that failed."""
        if cancelling and self._may_have_been_sent():
            return Decision.LOOK_AGAIN
        reason = ErrorReason.DESCRIPTOR.values_by_name.get(f"ERROR_REASON_{self.reason}")
        if reason is not None and reason.number in DECISIONS:
            return DECISIONS[ErrorReason.ValueType(reason.number)]
        if self.code is grpc.StatusCode.CANCELLED and not self.reason:
            # A server that stops may answer so to a call in the act of arriving (grpc#41785). Whoever gave the call up
            # itself does not ask: asyncio raises CancelledError then, and a future FutureCancelledError.
            return Decision.WAIT_AND_REPEAT
        return BY_CODE.get(self.code, Decision.TELL_A_PERSON)

    def _may_have_been_sent(self) -> bool:
        """Whether a cancel that failed so may have cancelled, where its reason's decision is for reads."""
        if self.reason:
            return self.reason == "INTERNAL"  # a defect, before the cancel was sent or after
        return self.code in UNANSWERED
