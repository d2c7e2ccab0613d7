"""Watches made of frames: thousands of them cost a process little, and some that do not read can be among them."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Self, cast

from callrequest.v1.call_request_pb2 import CallRequestResult
from callrequest.v1.call_request_service_pb2 import WatchCallRequestResultRequest, WatchCallRequestResultResponse
from testkit import http2
from testkit.http2_connection import SERVICE, Ended

_HEADERS = http2.call_headers(SERVICE + "WatchCallRequestResult")


class WatchConnection(asyncio.Protocol):
    """One connection of watches. reads: whether it ever takes a message. answers_pings: else it is as good as gone."""

    def __init__(self, *, reads: bool = True, answers_pings: bool = True) -> None:
        self.messages = Counter[int]()  # by stream
        self.latest = 0.0  # when a message came, by time.monotonic
        self.ended: dict[int, Ended] = {}
        self.closed = False
        self.going_away = False  # the server takes no new watches on it
        self._window = 1 << 24 if reads else 0
        self._answers_pings = answers_pings
        self._begun: dict[int, float] = {}
        self._followers: dict[int, tuple[Callable[[CallRequestResult], None], Callable[[Ended], None]]] = {}
        self._received = bytearray()
        self._next = 1
        self.greeted = asyncio.Event()

    @classmethod
    async def to(cls, port: int, *, host: str = "127.0.0.1", reads: bool = True, answers_pings: bool = True) -> Self:
        """Connects, and waits for the server's settings."""
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: cls(reads=reads, answers_pings=answers_pings), host, port)
        async with asyncio.timeout(30):
            await connection.greeted.wait()
        return connection

    def watch(self, call_request_id: str) -> int:
        """Begins a watch; returns its stream."""
        stream, self._next = self._next, self._next + 2
        self._begun[stream] = time.monotonic()
        message = WatchCallRequestResultRequest(call_request_id=call_request_id).SerializeToString()
        self.transport.write(http2.call(stream, _HEADERS, message))
        return stream

    def follow(
        self, call_request_id: str, received: Callable[[CallRequestResult], None], ended: Callable[[Ended], None]
    ) -> None:
        """Begins a watch. received: called with each result; ended: once, when the connection breaks, too."""
        self._followers[self.watch(call_request_id)] = received, ended

    @property
    def open(self) -> int:
        """How many watches have not ended."""
        return len(self._begun) - len(self.ended)

    def close(self) -> None:
        """Closes it at once."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(http2.hello(self._window))

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        for stream in list(self._followers):
            self._end(stream, None, b"")

    def data_received(self, data: bytes) -> None:
        self._received += data
        for kind, flags, stream, payload in http2.frames(self._received):
            if kind == http2.DATA and payload:  # a message of some 100 bytes is one frame
                self.messages[stream] += 1
                self.latest = time.monotonic()
                if stream in self._followers:
                    self._followers[stream][0](
                        WatchCallRequestResultResponse.FromString(payload[5:]).call_request_result
                    )
            elif kind == http2.HEADERS and flags & http2.END_STREAM:
                code = http2.value_of(payload, b"grpc-status")
                details = http2.value_of(payload, b"grpc-status-details-bin") or b""
                self._end(stream, None if code is None else int(code), details)
            elif kind == http2.RST_STREAM:
                self._end(stream, None, b"")
            elif kind == http2.GOAWAY:
                self.going_away = True
            elif kind == http2.SETTINGS and not flags & http2.ACK:
                self.transport.write(http2.frame(http2.SETTINGS, http2.ACK))
                self.greeted.set()
            elif kind == http2.PING and not flags & http2.ACK and self._answers_pings:
                self.transport.write(http2.frame(http2.PING, http2.ACK, payload=payload))

    def _end(self, stream: int, code: int | None, details: bytes) -> None:
        self.ended[stream] = ended = Ended(code, time.monotonic() - self._begun[stream], details)
        if stream in self._followers:
            self._followers.pop(stream)[1](ended)
