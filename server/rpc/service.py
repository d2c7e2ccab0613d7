"""The gRPC service: checks the request, calls a use case, answers. Errors are the interceptor's."""

from callrequest.v1 import call_request_service_pb2 as pb
from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceServicer

from ..cancelling.in_progress import CancelsInProgress
from ..deadline import Deadline
from ..reading.batch import Batches
from ..reading.results import Results
from ..validation import check_call_request_id, check_duration, check_heartbeat_interval, check_number_of_ids
from ..watching.watches import Watches
from .context import Context
from .stream import ResponseStream

SERVICE = pb.DESCRIPTOR.services_by_name["CallRequestService"].full_name


class CallRequestService(CallRequestServiceServicer):
    """`callrequest.v1.CallRequestService`; the proto describes each method and its errors.

    A method returns its response, or the bytes of one that was serialized before.
    """

    def __init__(self, results: Results, cancellations: CancelsInProgress, batches: Batches, watches: Watches) -> None:
        self._results = results
        self._cancellations = cancellations
        self._batches = batches
        self._watches = watches

    async def GetCallRequestResult(  # type: ignore[override]  # noqa: N802 (the contract's name; so below)
        self,
        request: pb.GetCallRequestResultRequest,
        context: Context,
    ) -> bytes:
        call_request_id = check_call_request_id(request.call_request_id)
        max_age = check_duration(request.max_age, "max_age") if request.HasField("max_age") else None
        reading = self._results.cached(call_request_id, max_age)
        if reading is None:  # else no deadline is needed
            reading = await self._results.ask(call_request_id, max_age, Deadline.after(context.time_remaining()))
        return reading.answer

    async def CancelCallRequest(  # noqa: N802
        self,
        request: pb.CancelCallRequestRequest,
        context: Context,
    ) -> pb.CancelCallRequestResponse:
        call_request_id = check_call_request_id(request.call_request_id)
        cancellation = await self._cancellations.cancel(call_request_id, Deadline.after(context.time_remaining()))
        return pb.CancelCallRequestResponse(cancellation=cancellation)

    async def BatchGetCallRequestResults(  # type: ignore[override]  # noqa: N802
        self,
        request: pb.BatchGetCallRequestResultsRequest,
        context: Context,
    ) -> bytes:
        check_number_of_ids(len(request.call_request_ids))
        max_age = check_duration(request.max_age, "max_age") if request.HasField("max_age") else None
        deadline = Deadline.after(context.time_remaining())
        return await self._batches.read(request.call_request_ids, max_age, deadline)

    async def WatchCallRequestResult(  # type: ignore[override]  # noqa: N802
        self,
        request: pb.WatchCallRequestResultRequest,
        context: ResponseStream,
    ) -> None:
        call_request_id = check_call_request_id(request.call_request_id)
        heartbeat = None
        if request.HasField("heartbeat_interval"):
            heartbeat = check_heartbeat_interval(request.heartbeat_interval)
        await self._watches.follow(call_request_id, heartbeat, context)
