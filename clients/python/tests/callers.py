"""A program that calls, blocking or by asyncio: each check is written once and runs both ways."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import grpc
from callrequest.v1.call_request_pb2 import CallRequestResult
from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceStub
from callrequest.v1.cancellation_pb2 import Cancellation

from client.calls import READ_WITHIN, cancel, cancel_aio, read, read_aio, read_many, read_many_aio
from client.channel import Gateway
from client.decisions import Failure
from client.following import follow, follow_aio

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub


class Caller(Protocol):
    """All calls over one channel. Each raises grpc.RpcError."""

    def read(self, call_request_id: str, within: float = READ_WITHIN) -> CallRequestResult: ...

    def cancel(self, call_request_id: str) -> Cancellation: ...

    def read_many(self, call_request_ids: list[str]) -> list[CallRequestResult | Failure]: ...

    def follow(self, call_request_id: str) -> list[CallRequestResult]:
        """All results until the final one."""


class _Blocking:
    def __init__(self, stub: CallRequestServiceStub) -> None:
        self._stub = stub

    def read(self, call_request_id: str, within: float = READ_WITHIN) -> CallRequestResult:
        return read(self._stub, call_request_id, within)

    def cancel(self, call_request_id: str) -> Cancellation:
        return cancel(self._stub, call_request_id)

    def read_many(self, call_request_ids: list[str]) -> list[CallRequestResult | Failure]:
        return read_many(self._stub, call_request_ids)

    def follow(self, call_request_id: str) -> list[CallRequestResult]:
        return list(follow(self._stub, call_request_id))


class _Aio:
    def __init__(self, stub: "CallRequestServiceAsyncStub", runner: asyncio.Runner) -> None:
        self._stub, self._run = stub, runner.run

    def read(self, call_request_id: str, within: float = READ_WITHIN) -> CallRequestResult:
        return self._run(read_aio(self._stub, call_request_id, within))

    def cancel(self, call_request_id: str) -> Cancellation:
        return self._run(cancel_aio(self._stub, call_request_id))

    def read_many(self, call_request_ids: list[str]) -> list[CallRequestResult | Failure]:
        return self._run(read_many_aio(self._stub, call_request_ids))

    def follow(self, call_request_id: str) -> list[CallRequestResult]:
        async def results() -> list[CallRequestResult]:
            return [result async for result in follow_aio(self._stub, call_request_id)]

        return self._run(results())


@contextmanager
def blocking(gateway: Gateway) -> Iterator[Caller]:
    """By grpc.Channel."""
    with gateway.channel() as channel:
        yield _Blocking(CallRequestServiceStub(channel))


@contextmanager
def aio(gateway: Gateway) -> Iterator[Caller]:
    """By grpc.aio.Channel, in a loop of its own."""
    with asyncio.Runner() as runner:

        async def connect() -> grpc.aio.Channel:
            return gateway.aio_channel()

        channel = runner.run(connect())
        try:
            yield _Aio(CallRequestServiceStub(channel), runner)
        finally:
            runner.run(channel.close())
