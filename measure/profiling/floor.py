"""The floor: grpc.aio as it comes, with a constant answer, as a process: `python -m measure.profiling.floor PORT`."""

import asyncio
import sys

import grpc
import uvloop

from callrequest.v1.call_request_pb2 import CALL_REQUEST_STATUS_PENDING_TO_CALL, CallRequestResult
from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest, GetCallRequestResultResponse


async def _answer(request: GetCallRequestResultRequest, context: object) -> GetCallRequestResultResponse:
    result = CallRequestResult(call_request_id=request.call_request_id, status=CALL_REQUEST_STATUS_PENDING_TO_CALL)
    return GetCallRequestResultResponse(call_request_result=result)


async def _serve(port: int) -> None:
    server = grpc.aio.server()
    method = grpc.unary_unary_rpc_method_handler(
        _answer, GetCallRequestResultRequest.FromString, GetCallRequestResultResponse.SerializeToString
    )
    handlers = {"GetCallRequestResult": method}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("callrequest.v1.CallRequestService", handlers),)
    )
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
