"""The status of a failed call, decoded, and the decision that follows from it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Self, TypeVar

import grpc
from callrequest.v1.call_request_service_pb2 import BatchError
from callrequest.v1.cancellation_pb2 import CancellationRejected
from callrequest.v1.error_reason_pb2 import ErrorReason
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from grpc_status import rpc_status

from .decision import Decision
from .decision_table import DECISIONS

DOMAIN = "callrequest.v1"
Detail = TypeVar("Detail", bound=Message)


BY_CODE: Mapping[grpc.StatusCode, Decision] = {
    grpc.StatusCode.UNAVAILABLE: Decision.RETRY_LATER,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Decision.RETRY_LATER,
    grpc.StatusCode.DEADLINE_EXCEEDED: Decision.RETRY_LATER,
    grpc.StatusCode.INVALID_ARGUMENT: Decision.FIX_REQUEST,
    grpc.StatusCode.NOT_FOUND: Decision.FIX_REQUEST,
}
"""For reasons that are newer than this program, and for failures without one: of a proxy, or of grpc itself."""

MAX_RETRY_AFTER = timedelta(minutes=5)
"""What the gateway asks for at most: a longer one is another's, or a mistake."""

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
        packed = _details(error)

        def find(kind: type[Detail]) -> Detail | None:
            detail = kind()
            with suppress(DecodeError):  # what cannot be read is as good as nothing
                return next((detail for each in packed if each.Unpack(detail)), None)
            return None

        info, retry, request = find(ErrorInfo), find(RetryInfo), find(BadRequest)
        return cls(
            code=error.code(),
            text=error.details() or "",
            reason=info.reason if info and info.domain == DOMAIN else "",
            retry_after=_bounded(retry.retry_delay) if retry else None,
            violations=tuple((each.field, each.description) for each in request.field_violations) if request else (),
            rejected=find(CancellationRejected),
        )

    @classmethod
    def of_item(cls, error: BatchError) -> Self:
        """The failure of one item of a batch. A reason that is newer than these stubs is left empty."""
        reason = ErrorReason.DESCRIPTOR.values_by_number.get(error.reason)
        code = next((code for code in grpc.StatusCode if code.value[0] == error.code), grpc.StatusCode.UNKNOWN)
        return cls(code, error.message, reason.name.removeprefix("ERROR_REASON_") if reason else "")

    def decide(self, *, cancelling: bool) -> Decision:
        """The decision. cancelling: whether it was a cancel that failed."""
        if cancelling and self._may_have_been_sent():
            return Decision.READ_RESULT
        if self.reason in DECISIONS:
            return DECISIONS[self.reason]
        if self.code is grpc.StatusCode.CANCELLED and not self.reason:
            # A server that stops may answer so to a call in the act of arriving (grpc#41785). Whoever gave the call up
            # itself does not ask: asyncio raises CancelledError then, and a future FutureCancelledError.
            return Decision.RETRY_LATER
        return BY_CODE.get(self.code, Decision.ALERT_OPERATORS)

    def _may_have_been_sent(self) -> bool:
        """Whether a cancel that failed like this may have taken effect."""
        if self.reason:
            return self.reason == "INTERNAL"  # a defect, before the cancel was sent or after
        return self.code in UNANSWERED


def _details(error: grpc.RpcError) -> Sequence[Any]:
    """None when they cannot be read, or are of another status: then they are not the gateway's."""
    try:
        status = rpc_status.from_call(error)  # type: ignore[arg-type]  # each such error is a call, which its types lack
    except (DecodeError, ValueError):
        return ()
    return status.details if status else ()


def _bounded(delay: Duration) -> timedelta:
    seconds = min(max(delay.seconds + delay.nanos / 1e9, 0), MAX_RETRY_AFTER.total_seconds())
    return timedelta(seconds=seconds)
