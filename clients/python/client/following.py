"""Follows a result to its end: hours, restarts of the gateway and broken connections included."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import grpc
from callrequest.v1.call_request_pb2 import CallRequestResult
from callrequest.v1.call_request_service_pb2 import WatchCallRequestResultRequest
from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceStub

from .decision import Decision
from .decisions import Failure

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub

ONE_STREAM = 600.0
"""Seconds after which a stream is opened anew: a connection that is gone without a word is noticed by then."""
FIRST_PAUSE, MAX_PAUSE = 0.2, 10.0
"""Seconds: bounds of the pause before the next stream, doubled with each one that brought nothing."""


def follow(gateway: CallRequestServiceStub, call_request_id: str) -> Iterator[CallRequestResult]:
    """Yields the result, each change, and after a gap the result again; ends after a final one.

    Raises grpc.RpcError when waiting does not help, as when there is no such call request.
    """
    request, failures = WatchCallRequestResultRequest(call_request_id=call_request_id), 0
    while True:
        watch = gateway.WatchCallRequestResult(request, timeout=ONE_STREAM)
        try:
            for response in watch:
                failures = 0
                yield response.call_request_result
            return
        except grpc.RpcError as error:
            time.sleep(_pause(error, failures))
            failures += 1
        finally:
            watch.cancel()  # when the program leaves the loop


async def follow_aio(gateway: "CallRequestServiceAsyncStub", call_request_id: str) -> AsyncIterator[CallRequestResult]:
    """The same for asyncio. A program that leaves the loop early wraps it in contextlib.aclosing."""
    request, failures = WatchCallRequestResultRequest(call_request_id=call_request_id), 0
    while True:
        watch = gateway.WatchCallRequestResult(request, timeout=ONE_STREAM)
        try:
            async for response in watch:
                failures = 0
                yield response.call_request_result
            return
        except grpc.RpcError as error:
            await asyncio.sleep(_pause(error, failures))
            failures += 1
        finally:
            watch.cancel()


def _pause(error: grpc.RpcError, failures: int) -> float:
    """Seconds until the next stream. Raises the error when there shall be none."""
    failure = Failure.of(error)
    if failure.decide(cancelling=False) is not Decision.RETRY_LATER:
        raise error
    backoff = random.uniform(0, min(FIRST_PAUSE * 2**failures, MAX_PAUSE))  # noqa: S311 (jitter)
    return max(failure.retry_after.total_seconds() if failure.retry_after else 0.0, backoff)
