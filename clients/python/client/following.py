"""Follows a result to its end: hours, restarts of the gateway and broken connections included."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import grpc
from callrequest.v1 import call_request_pb2 as results
from callrequest.v1.call_request_pb2 import CallRequestResult
from callrequest.v1.call_request_service_pb2 import WatchCallRequestResultRequest
from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceStub

from .decision import Decision
from .decisions import Failure

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub

ONE_STREAM = 600.0
"""Seconds after which a stream is opened anew: a gateway that is gone behind a proxy that still answers is noticed by
then, and a connection that is gone sooner, by the channel's pings."""
FIRST_PAUSE, MAX_PAUSE = 0.2, 10.0
"""Seconds: bounds of the pause before the next stream, doubled with each that ended soon and brought no change."""


class _Changes:
    """A new stream begins with the result as it is: only one that differs from the last is a change."""

    def __init__(self) -> None:
        self._last: CallRequestResult | None = None
        self.begin()

    def begin(self) -> None:
        """A stream begins."""
        self._begun, self._in_stream = time.monotonic(), False

    def include(self, result: CallRequestResult) -> bool:
        """Whether it differs in more than when it was read, and is not older: another gateway may know less."""
        last = self._last
        if last is not None and (_is_same(result, last) or _is_older(result, last)):
            return False
        self._last, self._in_stream = result, True
        return True

    def was_good(self) -> bool:
        """Whether the stream brought a change, or lasted: the next one need not wait for longer than at first."""
        return self._in_stream or time.monotonic() - self._begun > MAX_PAUSE


def _is_same(one: CallRequestResult, other: CallRequestResult) -> bool:
    both = CallRequestResult(), CallRequestResult()
    for copy, result in zip(both, (one, other), strict=True):
        copy.CopyFrom(result)
        copy.ClearField("observed_at")
    return both[0] == both[1]


def _is_older(one: CallRequestResult, other: CallRequestResult) -> bool:
    """Whether one was read before the other, and the call request has come further since. The time alone does not tell:
    the clocks of gateways differ.
    """
    is_before = results.CALL_REQUEST_STATUS_PENDING_TO_CALL <= one.status < other.status
    is_known = other.status <= results.CALL_REQUEST_STATUS_CANCELLED
    return is_before and is_known and one.observed_at.ToNanoseconds() < other.observed_at.ToNanoseconds()


def follow(
    gateway: CallRequestServiceStub, call_request_id: str, within: float = float("inf")
) -> Iterator[CallRequestResult]:
    """Yields the result and each change of it; ends after a final one.

    Raises grpc.RpcError when waiting does not help, as when there is no such call request, and when it is not final
    within that many seconds.
    """
    latest = time.monotonic() + within
    request, changes, failures = WatchCallRequestResultRequest(call_request_id=call_request_id), _Changes(), 0
    while True:
        changes.begin()
        watch = gateway.WatchCallRequestResult(request, timeout=max(0, min(ONE_STREAM, latest - time.monotonic())))
        try:
            for response in watch:
                if changes.include(response.call_request_result):
                    yield response.call_request_result
            return
        except grpc.RpcError as error:
            failures = 0 if changes.was_good() else failures
            pause = pause_after(error, failures)
            if time.monotonic() + pause >= latest:
                raise
            time.sleep(pause)
            failures += 1
        finally:
            watch.cancel()  # when the program leaves the loop


async def follow_aio(gateway: "CallRequestServiceAsyncStub", call_request_id: str) -> AsyncIterator[CallRequestResult]:
    """The same for asyncio, where asyncio.timeout ends it. A program that leaves the loop early wraps it in
    contextlib.aclosing.
    """
    request, changes, failures = WatchCallRequestResultRequest(call_request_id=call_request_id), _Changes(), 0
    while True:
        changes.begin()
        watch = gateway.WatchCallRequestResult(request, timeout=ONE_STREAM)
        try:
            async for response in watch:
                if changes.include(response.call_request_result):
                    yield response.call_request_result
            return
        except grpc.RpcError as error:
            failures = 0 if changes.was_good() else failures
            await asyncio.sleep(pause_after(error, failures))
            failures += 1
        finally:
            watch.cancel()


def pause_after(error: grpc.RpcError, failures: int) -> float:
    """Returns the seconds until the next stream, after that many failures in a row.

    Raises the error when waiting does not help.
    """
    failure = Failure.of(error)
    if failure.decide(cancelling=False) is not Decision.RETRY_LATER:
        raise error
    backoff = random.uniform(0, min(FIRST_PAUSE * 2 ** min(failures, 6), MAX_PAUSE))  # noqa: S311 (jitter)
    return max(failure.retry_after.total_seconds() if failure.retry_after else 0.0, backoff)
