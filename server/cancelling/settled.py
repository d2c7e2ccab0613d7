"""How a cancel ended, for the log and the metrics."""

import asyncio
from typing import NamedTuple, Self

from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.cancellation_pb2 import Cancellation, CancellationOutcome

from ..errors import GatewayError
from .cancellation import Cancel

_SETTLED_BY = {
    reasons.ERROR_REASON_CANCELLATION_OUTCOME_UNKNOWN: "nothing",
    reasons.ERROR_REASON_CANCELLATION_NOT_ALLOWED: "refusal",
}
"""What settled a cancel that the gateway's end cut short: all else failed before anything was sent."""


class Settled(NamedTuple):
    """One cancel that has ended.

    settled_by: one of SETTLED_BY. outcome: a CancellationOutcome's name, or reason: an ErrorReason's name, both without
    the enum's prefix; the other is None. posts: how many the vendor may have received. readings: how many times the
    status was read back. seconds: from its first caller on. callers_left: how many callers were gone, or had no time
    left, before the end.
    """

    call_request_id: str
    settled_by: str
    outcome: str | None
    reason: str | None
    posts: int
    readings: int
    seconds: float
    callers_left: int

    @classmethod
    def of(
        cls,
        call_request_id: str,
        cancel: Cancel,
        task: "asyncio.Task[Cancellation]",
        seconds: float,
        callers_left: int,
    ) -> Self:
        """The end of a cancel whose task is done, or was cut short."""
        settled_by, outcome, reason = cancel.settled_by, None, None
        if task.cancelled():
            failure = cancel.unsettled(out_of_time=False)
            settled_by, reason = _SETTLED_BY.get(failure.reason, "error"), failure.reason_name
        elif (error := task.exception()) is not None:
            assert isinstance(error, GatewayError), "Cancel.settle raises nothing else"
            reason = error.reason_name
        else:
            outcome = CancellationOutcome.Name(task.result().outcome).removeprefix("CANCELLATION_OUTCOME_")
        return cls(
            call_request_id,
            settled_by,
            outcome,
            reason,
            cancel.posts.number,
            cancel.read_back.readings,
            seconds,
            callers_left,
        )
