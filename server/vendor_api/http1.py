"""One HTTP/1.1 connection: a request goes out, its whole reply comes in; then, if the server lets it, the next.

The syntax is llhttp's, Node's parser, by httptools. What is ours is to know what was sent, at the least cost.
"""

import asyncio
import math
from collections.abc import Callable
from typing import NamedTuple, cast

import httptools
import httpx

MAX_HEAD_BYTES = 64 << 10
"""What a reply may send before its body, and between two parts of it."""

Headers = list[tuple[bytes, bytes]]


class HttpReply(NamedTuple):
    """A reply; its body is cut off somewhere beyond the connection's max_bytes."""

    status: int
    headers: Headers
    body: bytes


class Connection(asyncio.Protocol):
    """A connection that carries one exchange at a time.

    usable: whether it can carry an exchange now. max_bytes: no more of a body is waited for. lost: is told when the
    connection is gone.
    """

    def __init__(self, max_bytes: int, lost: "Callable[[Connection], None]") -> None:
        self.usable = False
        self._max_bytes = max_bytes
        self._lost = lost
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._expected: asyncio.Future[HttpReply] | None = None
        self._begin()

    async def exchange(self, request: bytes, seconds: float) -> HttpReply:
        """Sends a request, waits for its whole reply for so many seconds at most; may be math.inf.

        Raises httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError: the request may have arrived. Left early,
        by cancellation too, it closes the connection.
        """
        self.usable, self._head_bytes = False, 0
        loop = asyncio.get_running_loop()
        expected: asyncio.Future[HttpReply] = loop.create_future()
        self._expected = expected
        late = httpx.ReadTimeout("sent, no whole reply in time")
        timer = None if seconds == math.inf else loop.call_later(max(seconds, 0), self._failed, late)
        self._transport.write(request)
        try:
            return await expected
        finally:
            if timer is not None:
                timer.cancel()
            self._expected = None
            if not self.usable:
                self.close()

    def close(self) -> None:
        """Closes the connection at once."""
        self.usable = self._until_closed = False  # a body that we cut off is not whole
        self._transport.abort()

    # The event loop and the parser call what follows.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclasses
        self.usable = True

    def eof_received(self) -> None:
        self.usable = False  # the connection is closed next

    def connection_lost(self, error: Exception | None) -> None:
        self.usable = False
        self._lost(self)
        if error is None and self._until_closed:
            self._arrived()
        else:
            self._failed(httpx.ReadError("sent, no whole reply"))

    def data_received(self, data: bytes) -> None:
        if self._expected is None or self._expected.done():
            self.close()  # nothing was asked: what comes now must not pass for the reply to what is asked next
            return
        self._head_bytes += len(data)
        broken = False
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            broken = True  # perhaps only after the reply
        if self._complete or len(self._body) > self._max_bytes:
            self.usable = self._complete and self._keep_alive and not broken
            self._arrived()
        elif broken or self._head_bytes > MAX_HEAD_BYTES:
            self._failed(httpx.RemoteProtocolError("sent, reply is no HTTP"))

    def on_message_begin(self) -> None:
        if self._complete:
            raise ValueError("a second reply to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        self._keep_alive = self._parser.should_keep_alive()
        framed = any(name.lower() in {b"content-length", b"transfer-encoding"} for name, _ in self._headers)
        self._until_closed = not framed and self._status >= 200

    def on_body(self, data: bytes) -> None:
        self._head_bytes = 0
        self._body += data

    def on_message_complete(self) -> None:
        if self._status >= 200:
            self._complete = True
        else:
            self._begin()  # it is informational, and the reply is still to come

    def _begin(self) -> None:
        """As before a reply. A connection that waits keeps nothing of the last one: it is large, and a guest's."""
        self._status = 0
        self._headers: Headers = []
        self._body = bytearray()
        self._keep_alive = self._until_closed = self._complete = False

    def _arrived(self) -> None:
        if self._expected is not None and not self._expected.done():
            self._expected.set_result(HttpReply(self._status, self._headers, bytes(self._body)))
        self._begin()

    def _failed(self, error: httpx.TransportError) -> None:
        if self._expected is not None and not self._expected.done():
            self._expected.set_exception(error)
        self._begin()
