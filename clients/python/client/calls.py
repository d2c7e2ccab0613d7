"""The unary calls, blocking and for asyncio, and what their answers mean."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from callrequest.v1 import call_request_pb2 as results
from callrequest.v1 import cancellation_pb2 as cancellations
from callrequest.v1.call_request_service_pb2 import (
    BatchGetCallRequestResultsRequest,
    BatchGetCallRequestResultsResponse,
    CancelCallRequestRequest,
    GetCallRequestResultRequest,
)
from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceStub
from google.protobuf.descriptor import EnumDescriptor

from .decisions import Failure

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub

READ_WITHIN, CANCEL_WITHIN = 5.0, 10.0
"""Deadlines in seconds, repetitions by the channel included. A cancel needs longer: it may have to be read back."""


def read(
    gateway: CallRequestServiceStub, call_request_id: str, within: float = READ_WITHIN
) -> results.CallRequestResult:
    """Raises grpc.RpcError."""
    request = GetCallRequestResultRequest(call_request_id=call_request_id)
    return gateway.GetCallRequestResult(request, timeout=within).call_request_result


async def read_aio(
    gateway: "CallRequestServiceAsyncStub", call_request_id: str, within: float = READ_WITHIN
) -> results.CallRequestResult:
    """Raises grpc.RpcError."""
    request = GetCallRequestResultRequest(call_request_id=call_request_id)
    return (await gateway.GetCallRequestResult(request, timeout=within)).call_request_result


def read_many(
    gateway: CallRequestServiceStub, call_request_ids: Sequence[str], within: float = READ_WITHIN
) -> list[results.CallRequestResult | Failure]:
    """A result or a failure for each of 1 to 100 ids, in their order. Raises grpc.RpcError when all of it fails."""
    request = BatchGetCallRequestResultsRequest(call_request_ids=call_request_ids)
    return _items(gateway.BatchGetCallRequestResults(request, timeout=within))


async def read_many_aio(
    gateway: "CallRequestServiceAsyncStub", call_request_ids: Sequence[str], within: float = READ_WITHIN
) -> list[results.CallRequestResult | Failure]:
    """The same for asyncio."""
    request = BatchGetCallRequestResultsRequest(call_request_ids=call_request_ids)
    return _items(await gateway.BatchGetCallRequestResults(request, timeout=within))


def _items(response: BatchGetCallRequestResultsResponse) -> list[results.CallRequestResult | Failure]:
    return [
        item.call_request_result if item.HasField("call_request_result") else Failure.of_item(item.error)
        for item in response.items
    ]


def cancel(
    gateway: CallRequestServiceStub, call_request_id: str, within: float = CANCEL_WITHIN
) -> cancellations.Cancellation:
    """Raises grpc.RpcError."""
    request = CancelCallRequestRequest(call_request_id=call_request_id)
    return gateway.CancelCallRequest(request, timeout=within).cancellation


async def cancel_aio(
    gateway: "CallRequestServiceAsyncStub", call_request_id: str, within: float = CANCEL_WITHIN
) -> cancellations.Cancellation:
    """Raises grpc.RpcError."""
    request = CancelCallRequestRequest(call_request_id=call_request_id)
    return (await gateway.CancelCallRequest(request, timeout=within)).cancellation


def describe(result: results.CallRequestResult) -> str:
    """A result in words. Every switch has a branch for what a later version of the contract may send."""
    match result.status:
        case results.CALL_REQUEST_STATUS_PENDING_TO_CALL:
            lines = ["The hotel is not phoned yet."]
        case results.CALL_REQUEST_STATUS_IN_PROGRESS:
            lines = ["The hotel is being phoned."]
        case results.CALL_REQUEST_STATUS_COMPLETED:
            lines = ["The hotel was phoned."]
        case results.CALL_REQUEST_STATUS_CANCELLED:
            lines = ["The call request is cancelled."]
        case _:
            lines = [f"The status is new to this program: {result.status}."]
    if result.HasField("outcome"):
        lines += _outcome(result.outcome)
    lines += [f"The gateway does not know this {value.field}: {value.value}" for value in result.unrecognized_values]
    return "\n".join(lines)


def _outcome(outcome: results.CallOutcome) -> list[str]:
    kind = name(results.CallType.DESCRIPTOR, outcome.call_type)
    match outcome.call_status:
        case results.CALL_STATUS_SUCCESS:
            lines = [f"{kind}: verified."]
        case results.CALL_STATUS_ERROR_OUTCOME:
            reason = name(results.StatusReasonCategory.DESCRIPTOR, outcome.status_reason_category)
            lines = [f"{kind}: not verified, {reason}."]
        case results.CALL_STATUS_UNABLE_TO_COMPLETE:
            lines = [f"{kind}: the agent could not complete it."]
        case _:
            lines = [f"{kind}: whether it was verified is not known."]
    if outcome.HasField("action_required"):
        action = outcome.action_required
        to = action.email or action.fax or "an address that the hotel did not give"
        lines.append(f"To do: {name(results.Action.DESCRIPTOR, action.action)} to {to}.")
    return lines


def describe_cancellation(cancellation: cancellations.Cancellation) -> str:
    """A cancellation in words. Whatever its outcome, the hotel is not phoned."""
    match cancellation.outcome:
        case cancellations.CANCELLATION_OUTCOME_CANCELLED:
            return "It is cancelled."
        case cancellations.CANCELLATION_OUTCOME_ALREADY_CANCELLED:
            return "It had been cancelled before."
        case _:
            return "It is cancelled, in a way that is new to this program."


def describe_rejection(rejected: cancellations.CancellationRejected) -> str:
    """Why a call request cannot be cancelled any more, in words."""
    match rejected.reason:
        case cancellations.CANCELLATION_REJECTION_REASON_CHECK_IN_PASSED:
            return "The check-in is past."
        case cancellations.CANCELLATION_REJECTION_REASON_CALL_IN_PROGRESS:
            return "The hotel is being phoned."
        case cancellations.CANCELLATION_REJECTION_REASON_CALL_COMPLETED:
            return "The hotel was phoned."
        case _:
            return f"No known reason, with status {name(results.CallRequestStatus.DESCRIPTOR, rejected.status)}."


def name(enum: EnumDescriptor, number: int) -> str:
    """The name of a value. The enum's own Name raises ValueError for a value that is newer than these stubs."""
    known = enum.values_by_number.get(number)
    return known.name if known else str(number)
