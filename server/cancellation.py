"""Cancelling: an effect, never in doubt without saying so."""

from google.rpc import code_pb2 as codes

from callrequest.v1 import call_request_pb2 as results
from callrequest.v1 import cancellation_pb2 as cancellations
from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.cancellation_pb2 import Cancellation, CancellationRejected

from .deadline import Deadline
from .errors import GatewayError
from .vendor.client import VendorClient

REASON_BY_STATUS = {
    results.CALL_REQUEST_STATUS_COMPLETED: cancellations.CANCELLATION_REJECTION_REASON_CALL_COMPLETED,
    results.CALL_REQUEST_STATUS_IN_PROGRESS: cancellations.CANCELLATION_REJECTION_REASON_CALL_IN_PROGRESS,
}


class Cancellations:
    """Cancels call requests. OK is only answered when the vendor holds the call request as cancelled."""

    def __init__(self, vendor: VendorClient) -> None:
        self._vendor = vendor

    async def cancel(self, call_request_id: str, deadline: Deadline) -> Cancellation:
        """Cancels. Raises GatewayError, CANCELLATION_OUTCOME_UNKNOWN when the vendor's answer was lost or is none."""
        try:
            return await self._vendor.cancel(call_request_id, deadline)
        except GatewayError as error:
            if error.doubt:
                raise _outcome_unknown(deadline) from error
            if error.rejected is None:
                raise
            return await self._after_refusal(call_request_id, error.rejected, deadline)

    async def _after_refusal(
        self, call_request_id: str, rejected: CancellationRejected, deadline: Deadline
    ) -> Cancellation:
        """Reads why the vendor refused: what is cancelled already is a success, so that the call may be repeated."""
        try:
            result = await self._vendor.read_result(call_request_id, deadline)
        except GatewayError:
            raise _not_allowed(CancellationRejected()) from None
        if result.status == results.CALL_REQUEST_STATUS_CANCELLED:
            return Cancellation(
                call_request_id=call_request_id, outcome=cancellations.CANCELLATION_OUTCOME_ALREADY_CANCELLED
            )
        reason = REASON_BY_STATUS.get(result.status, rejected.reason)
        raise _not_allowed(CancellationRejected(reason=reason, status=result.status))


def _not_allowed(rejected: CancellationRejected) -> GatewayError:
    return GatewayError(reasons.ERROR_REASON_CANCELLATION_NOT_ALLOWED, rejected=rejected)


def _outcome_unknown(deadline: Deadline) -> GatewayError:
    code = codes.DEADLINE_EXCEEDED if deadline.spent() else codes.UNKNOWN
    return GatewayError(reasons.ERROR_REASON_CANCELLATION_OUTCOME_UNKNOWN, code=code)
