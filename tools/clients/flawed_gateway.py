"""A gateway that breaks the contract, or a proxy does: python -m tools.clients.flawed_gateway 127.0.0.1:PORT.

A stream ends UNAVAILABLE, until the result is COMPLETED.

    badDetails000001    the first stream ends with details of the status that cannot be read
    olderResult00001    IN_PROGRESS; the second stream begins with PENDING_TO_CALL, read half a minute before
    endsAndEnds00001    each stream ends after PENDING_TO_CALL; the first one after 4 s is COMPLETED, or NOT_FOUND for
                        who opened more than 20 until then
    waitTooLong00001    each stream ends after PENDING_TO_CALL, a read with INTERNAL; RetryInfo: 10 000 years
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import grpc
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from callrequest.v1 import call_request_pb2 as results
from callrequest.v1.call_request_service_pb2 import (
    GetCallRequestResultRequest,
    GetCallRequestResultResponse,
    WatchCallRequestResultRequest,
    WatchCallRequestResultResponse,
)

from .scripted import SERVICE, serve

PENDING, IN_PROGRESS = results.CALL_REQUEST_STATUS_PENDING_TO_CALL, results.CALL_REQUEST_STATUS_IN_PROGRESS
COMPLETED = results.CALL_REQUEST_STATUS_COMPLETED
ENDS_AFTER, MAX_STREAMS = 4.0, 20
OLDER = 30.0
TEXT, DETAILS = "It ended.", "grpc-status-details-bin"
FOR_EVER = 315_576_000_000
"""Seconds: the longest google.protobuf.Duration."""


class Stream(NamedTuple):
    """Results by their status and age in seconds; then, unless the last is COMPLETED, the code that it ends with."""

    sent: list[tuple["results.CallRequestStatus.ValueType", float]]
    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    details: bytes = b""


class FlawedGateway:
    """Answers by the id of the call request. An id is for one program at a time, from its first stream to COMPLETED."""

    def __init__(self) -> None:
        self._streams = Counter[str]()
        self._begun: dict[str, float] = {}

    def handlers(self) -> grpc.GenericRpcHandler:
        """Serves reads and watches; the other methods are UNIMPLEMENTED."""
        read = grpc.unary_unary_rpc_method_handler(
            self._read, GetCallRequestResultRequest.FromString, GetCallRequestResultResponse.SerializeToString
        )
        watch = grpc.unary_stream_rpc_method_handler(
            self._watch, WatchCallRequestResultRequest.FromString, WatchCallRequestResultResponse.SerializeToString
        )
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "GetCallRequestResult": read,
            "WatchCallRequestResult": watch,
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def _read(self, _: GetCallRequestResultRequest, context: "grpc.aio.ServicerContext[Any, Any]") -> None:
        await context.abort(grpc.StatusCode.INTERNAL, TEXT, ((DETAILS, wait_for_ever(grpc.StatusCode.INTERNAL)),))

    async def _watch(
        self, request: WatchCallRequestResultRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> AsyncIterator[WatchCallRequestResultResponse]:
        id_ = request.call_request_id
        number, begun = self._streams[id_], self._begun.setdefault(id_, time.monotonic())
        self._streams[id_] += 1
        stream = script(id_, number, time.monotonic() - begun)
        for status, age in stream.sent:
            yield message(id_, status, age)
        if stream.sent and stream.sent[-1][0] == COMPLETED:
            del self._streams[id_], self._begun[id_]
            return
        await context.abort(stream.code, TEXT, ((DETAILS, stream.details),) if stream.details else ())


def script(call_request_id: str, number: int, seconds: float) -> Stream:
    """The stream of that number, from 0, which was opened so many seconds after the first."""
    match call_request_id:
        case "badDetails000001":
            return Stream([(COMPLETED, 0)]) if number else Stream([(PENDING, 0)], details=b"\xff\xff")
        case "olderResult00001":
            return Stream([(PENDING, OLDER), (COMPLETED, 0)] if number else [(IN_PROGRESS, 0)])
        case "waitTooLong00001":
            return Stream([(PENDING, 0)], details=wait_for_ever(grpc.StatusCode.UNAVAILABLE))
        case "endsAndEnds00001" if seconds < ENDS_AFTER:
            return Stream([(PENDING, 0)])
        case "endsAndEnds00001" if number <= MAX_STREAMS:
            return Stream([(COMPLETED, 0)])
        case _:
            return Stream([], grpc.StatusCode.NOT_FOUND)


def wait_for_ever(code: grpc.StatusCode) -> bytes:
    """The details of a status with that code."""
    status, retry = Status(code=code.value[0], message=TEXT), RetryInfo()
    retry.retry_delay.seconds = FOR_EVER
    status.details.add().Pack(retry)
    return bytes(status.SerializeToString())


def message(
    call_request_id: str, status: "results.CallRequestStatus.ValueType", age: float
) -> WatchCallRequestResultResponse:
    """A result that was read so many seconds ago."""
    response = WatchCallRequestResultResponse()
    result = response.call_request_result
    result.call_request_id, result.status = call_request_id, status
    result.observed_at.FromMilliseconds(int((time.time() - age) * 1000))
    if status == COMPLETED:
        result.outcome.call_status = results.CALL_STATUS_SUCCESS
    return response


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], FlawedGateway().handlers()))
