"""The gRPC service: checks the request, calls a use case, answers. Errors are the interceptor's."""

from typing import Any, TypeAlias

import grpc

from callrequest.v1 import call_request_service_pb2 as pb
from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceServicer

from ..cancelling.in_progress import CancelsInProgress
from ..deadline import Deadline
from ..reading.results import Results
from ..validation import check_call_request_id, check_duration

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

SERVICE = pb.DESCRIPTOR.services_by_name["CallRequestService"].full_name


class CallRequestService(CallRequestServiceServicer):
    """`callrequest.v1.CallRequestService`; the proto says what each method does and fails with.

    A method gives its response, or the bytes of one that was serialized before.
    """

    def __init__(self, results: Results, cancellations: CancelsInProgress) -> None:
        self._results = results
        self._cancellations = cancellations

    async def GetCallRequestResult(  # type: ignore[override]  # noqa: N802 (the contract's name; so below)
        self,
        request: pb.GetCallRequestResultRequest,
        context: Context,
    ) -> bytes:
        call_request_id = check_call_request_id(request.call_request_id)
        max_age = check_duration(request.max_age, "max_age") if request.HasField("max_age") else None
        return await self._results.get(call_request_id, max_age, Deadline.after(context.time_remaining()))

    async def CancelCallRequest(  # noqa: N802
        self,
        request: pb.CancelCallRequestRequest,
        context: Context,
    ) -> pb.CancelCallRequestResponse:
        call_request_id = check_call_request_id(request.call_request_id)
        cancellation = await self._cancellations.cancel(call_request_id, Deadline.after(context.time_remaining()))
        return pb.CancelCallRequestResponse(cancellation=cancellation)

    async def BatchGetCallRequestResults(  # noqa: N802
        self,
        request: pb.BatchGetCallRequestResultsRequest,
        context: Context,
    ) -> pb.BatchGetCallRequestResultsResponse:
        await context.abort(
            grpc.StatusCode.UNIMPLEMENTED,
            "BatchGetCallRequestResults is not available yet. Call GetCallRequestResult for each id.",
        )

    async def WatchCallRequestResult(  # type: ignore[override]  # noqa: N802 (a stream that only ends)
        self,
        request: pb.WatchCallRequestResultRequest,
        context: Context,
    ) -> None:
        await context.abort(
            grpc.StatusCode.UNIMPLEMENTED,
            "WatchCallRequestResult is not available yet. Call GetCallRequestResult from time to time.",
        )
