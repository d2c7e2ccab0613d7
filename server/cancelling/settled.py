"""How a cancel ended, for the log and the metrics."""

import asyncio

from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.cancellation_pb2 import Cancellation, CancellationOutcome

from ..errors import GatewayError
from ..observability.settled_cancel import SettledCancel
from .cancellation import Cancel

_SETTLED_BY = {
    reasons.ERROR_REASON_CANCELLATION_OUTCOME_UNKNOWN: "nothing",
    reasons.ERROR_REASON_CANCELLATION_NOT_ALLOWED: "refusal",
}
"""What settled a cancel that the gateway's end cut short: all else failed before anything was sent."""


def settled_cancel(
    call_request_id: str, cancel: Cancel, task: "asyncio.Task[Cancellation]", seconds: float, callers_left: int
) -> SettledCancel:
    """Returns the end of a cancel whose task is done, or was cut short. seconds, callers_left: as in SettledCancel."""
    settled_by, outcome, reason = cancel.settled_by, None, None
    if task.cancelled():
        failure = cancel.unsettled(out_of_time=False)
        settled_by, reason = _SETTLED_BY.get(failure.reason, "error"), failure.reason_name
    elif (error := task.exception()) is not None:
        assert isinstance(error, GatewayError), "Cancel.settle raises nothing else"
        reason = error.reason_name
    else:
        outcome = CancellationOutcome.Name(task.result().outcome).removeprefix("CANCELLATION_OUTCOME_")
    return SettledCancel(
        call_request_id,
        settled_by,
        outcome,
        reason,
        cancel.posts.number,
        cancel.read_back.readings,
        seconds,
        callers_left,
    )
