"""A client's connection made of frames: it is cheap, and it waits for the server's own answer.

A gRPC library ends a call at its deadline by itself; whether the server keeps the deadline shows only to a client that
waits on.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self, cast

from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from callrequest.v1.call_request_pb2 import CallRequestResult
from callrequest.v1.call_request_service_pb2 import (
    CancelCallRequestRequest,
    GetCallRequestResultRequest,
    GetCallRequestResultResponse,
)
from testkit import http2

SERVICE = "/callrequest.v1.CallRequestService/"
_PATIENCE = 5.0  # seconds that the server may be late before the call counts as never answered


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended. seconds: since it was sent. code: grpc-status; None: cut off or never answered.

    turned_back: the server refused it for its stream limit, before looking at it; gRPC clients repeat it by themselves.
    response: the message that came, serialized.
    """

    code: int | None
    seconds: float
    details: bytes = b""
    turned_back: bool = False
    response: bytes = b""

    @property
    def reason(self) -> str:
        """Its ErrorReason's name; empty without one."""
        info = ErrorInfo()
        status = Status.FromString(self.details.removeprefix(b"\0"))
        return next((info.reason for detail in status.details if detail.Unpack(info)), "")

    @property
    def outcome(self) -> str:
        """OK, else its ErrorReason's name, else `code 14`."""
        return "OK" if self.code == 0 else self.reason or f"code {self.code}"

    @property
    def retry_after(self) -> float:
        """Its RetryInfo in seconds; 0 without one."""
        retry = RetryInfo()
        status = Status.FromString(self.details.removeprefix(b"\0"))
        return next((retry.retry_delay.ToNanoseconds() / 1e9 for each in status.details if each.Unpack(retry)), 0.0)

    @property
    def result(self) -> CallRequestResult:
        """What a read was answered; empty if it failed."""
        return GetCallRequestResultResponse.FromString(self.response).call_request_result


class Connection(asyncio.Protocol):
    """One HTTP/2 connection; `begin` starts a call, `call` waits for its end.

    acknowledges: whether it acknowledges the server's SETTINGS, from which on the server enforces them.
    """

    acknowledges = True

    def __init__(self) -> None:
        self.limit = 100  # streams, until the server sends its limit
        self.open: dict[int, tuple[float, Callable[[Ended], None]]] = {}
        self.closed = False
        self.going_away = False  # the server takes no new calls on it
        self._received = bytearray()
        self._responses: dict[int, bytes] = {}  # with gRPC's prefix of five bytes
        self._next = 1
        self.greeted = asyncio.Event()

    @classmethod
    async def to(cls, port: int, host: str = "127.0.0.1") -> Self:
        """Connects, and waits for the server's settings."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, host, port)
        async with asyncio.timeout(10):
            await connection.greeted.wait()
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self.transport.write(http2.hello())

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        for stream in list(self.open):
            self._end(stream, None)

    def data_received(self, data: bytes) -> None:
        self._received += data
        for kind, flags, stream, payload in http2.frames(self._received):
            if kind == http2.DATA:
                self._responses[stream] = self._responses.get(stream, b"") + payload
            elif kind == http2.HEADERS and flags & http2.END_STREAM:
                code = http2.value_of(payload, b"grpc-status")
                self._end(stream, None if code is None else int(code), payload)
            elif kind == http2.RST_STREAM:
                self._end(stream, None, turned_back=int.from_bytes(payload, "big") == http2.REFUSED_STREAM)
            elif kind == http2.SETTINGS and not flags & http2.ACK:
                self.limit = http2.setting(payload, http2.MAX_CONCURRENT_STREAMS) or self.limit
                if self.acknowledges:
                    self.transport.write(http2.frame(http2.SETTINGS, http2.ACK))
                self.greeted.set()
            elif kind == http2.GOAWAY:
                self.going_away = True
            elif kind == http2.PING and not flags & http2.ACK:
                self.transport.write(http2.frame(http2.PING, http2.ACK, payload=payload))

    def _end(self, stream: int, code: int | None, block: bytes = b"", *, turned_back: bool = False) -> None:
        response = self._responses.pop(stream, b"")[5:]
        if begun := self.open.pop(stream, None):
            details = http2.value_of(block, b"grpc-status-details-bin") or b""
            begun[1](Ended(code, time.monotonic() - begun[0], details, turned_back, response))

    def begin(self, headers: bytes, message: bytes, ended: Callable[[Ended], None]) -> int:
        """Sends a whole call. Returns its stream. Calls `ended` when it has ended."""
        stream, self._next = self._next, self._next + 2
        self.open[stream] = (time.monotonic(), ended)
        self.transport.write(http2.call(stream, headers, message))
        return stream

    def start(self, headers: bytes, ended: Callable[[Ended], None], *, whole: bool = False) -> int:
        """Sends the headers of a call alone; returns its stream. whole: the request ends with them."""
        stream, self._next = self._next, self._next + 2
        self.open[stream] = (time.monotonic(), ended)
        self.transport.write(http2.header_frames(stream, headers, http2.END_STREAM if whole else 0))
        return stream

    async def call(self, headers: bytes, message: bytes, seconds: float) -> Ended:
        """Sends a call and waits for its end; a call without any some seconds after its deadline has code None."""
        future: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        stream = self.begin(headers, message, lambda ended: None if future.done() else future.set_result(ended))
        try:
            async with asyncio.timeout(seconds + _PATIENCE):
                return await future
        except TimeoutError:
            self.open.pop(stream, None)
            return Ended(None, seconds + _PATIENCE)

    async def read(self, call_request_id: str, seconds: float, max_age: float | None = None) -> Ended:
        """Reads a result, with so many seconds of time. max_age: seconds; None: it is not set."""
        request = GetCallRequestResultRequest(call_request_id=call_request_id)
        if max_age is not None:
            request.max_age.FromNanoseconds(int(max_age * 1e9))
        headers = http2.call_headers(SERVICE + "GetCallRequestResult", seconds)
        return await self.call(headers, request.SerializeToString(), seconds)

    async def cancel(self, call_request_id: str, seconds: float) -> Ended:
        """Cancels a call request, with so many seconds of time."""
        message = CancelCallRequestRequest(call_request_id=call_request_id).SerializeToString()
        return await self.call(http2.call_headers(SERVICE + "CancelCallRequest", seconds), message, seconds)


class Connections:
    """Several connections, each call on the one with the fewest under way."""

    def __init__(self, connections: list[Connection]) -> None:
        self._connections = connections

    async def read(self, call_request_id: str, seconds: float, max_age: float | None = None) -> Ended:
        """Reads a result, with so many seconds of time."""
        return await self._idlest().read(call_request_id, seconds, max_age)

    async def cancel(self, call_request_id: str, seconds: float) -> Ended:
        """Cancels a call request, with so many seconds of time."""
        return await self._idlest().cancel(call_request_id, seconds)

    def begin_read(self, call_request_id: str, seconds: float, ended: Callable[[Ended], None]) -> int:
        """Begins to read a result; `ended` is called when the call has ended."""
        message = GetCallRequestResultRequest(call_request_id=call_request_id).SerializeToString()
        return self._idlest().begin(http2.call_headers(SERVICE + "GetCallRequestResult", seconds), message, ended)

    def _idlest(self) -> Connection:
        return min(self._connections, key=lambda connection: len(connection.open))


@asynccontextmanager
async def connected(port: int, number: int = 1) -> AsyncIterator[Connections]:
    """So many connections to the gateway on that port."""
    connections = [await Connection.to(port) for _ in range(number)]
    try:
        yield Connections(connections)
    finally:
        for connection in connections:
            connection.transport.abort()
