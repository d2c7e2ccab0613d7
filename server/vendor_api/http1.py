"""One HTTP/1.1 connection: sends a request, receives its whole reply; then, if the server keeps it open, the next.

llhttp, Node's parser, reads replies, through httptools. This module adds what a cancel needs, at the least cost: it
knows what was sent, and it never takes bytes for the reply to a request that was sent after them.
"""

import asyncio
import math
from collections.abc import Callable
from typing import NamedTuple, cast

import httptools
import httpx

from .lenient_parser import LenientParser, NotHttp, known_status

MAX_HEAD_BYTES = 64 << 10
"""Bytes that a reply may have before its body, and between two parts of it."""

Headers = list[tuple[bytes, bytes]]


class HttpReply(NamedTuple):
    """A whole reply. A body longer than the connection's max_bytes is cut off somewhere beyond that."""

    status: int
    headers: Headers
    body: bytes


class Connection(asyncio.Protocol):
    """A connection that carries one exchange at a time.

    usable: whether it can carry an exchange now. expires_at: the owner's, a moment on the event loop's clock.
    max_bytes: the rest of a longer body is not read. lost: is called once the connection is closed.
    """

    def __init__(self, max_bytes: int, lost: "Callable[[Connection], None]") -> None:
        self.usable = False
        self.expires_at = math.inf
        self._max_bytes = max_bytes
        self._lost = lost
        self._transport: asyncio.Transport
        self._expected: asyncio.Future[HttpReply] | None = None
        self._parser: httptools.HttpResponseParser | LenientParser = httptools.HttpResponseParser(self)
        # Blanks after a chunk's size and a lone line feed leave no doubt about where a reply ends. Whatever else llhttp
        # refuses is left to LenientParser, and then the connection is closed after the reply.
        self._parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True, lenient_optional_cr_before_lf=True)
        self._forget()

    async def exchange(self, request: bytes, seconds: float) -> HttpReply:
        """Sends a request and returns its whole reply. seconds: how long it waits, may be math.inf.

        Raises httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError: the request may have arrived. When it
        raises anything, CancelledError included, the connection is closed.
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

    # The event loop and the parser call the methods below.

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
            broken = httpx.ReadError("sent, no whole reply")
            broken.__cause__ = error
            self._failed(broken)

    def data_received(self, data: bytes) -> None:
        if self._expected is None or self._expected.done():
            self.close()  # nothing was asked: these bytes must not pass for the reply to the next request
            return
        self._head_bytes += len(data)
        broken = False
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, NotHttp):
            broken = self._complete or not self._read_leniently(data)
        if self._complete or len(self._body) > self._max_bytes:
            self.usable = self._complete and self._keep_alive and not broken
            self._arrived()
        elif broken or self._head_bytes > MAX_HEAD_BYTES:
            self._failed(httpx.RemoteProtocolError("sent, reply is not HTTP"))
        elif self._may_be_refused:
            self._keep(data)

    def on_message_begin(self) -> None:
        if self._complete:
            raise ValueError("a second reply to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._status = known_status(self._parser.get_status_code())
        self._keep_alive = self._parser.should_keep_alive()
        counted, coding = False, b""
        for name, value in self._headers:
            lower = name.lower()
            if lower == b"content-length":
                counted = True
            elif lower == b"transfer-encoding":
                coding = value.strip().lower()
        chunked = coding.rpartition(b",")[2].strip() == b"chunked"
        if isinstance(self._parser, LenientParser):
            self._until_closed = self._parser.until_closed
            return
        self._until_closed = not (counted or chunked) and self._status >= 200
        self._may_be_refused = chunked
        if coding and (coding != b"chunked" or self._parser.get_http_version() != "1.1"):
            self._keep_alive = False  # others may take the reply to end elsewhere (RFC 9112, 6.1)

    def on_body(self, data: bytes) -> None:
        self._head_bytes = 0
        self._body += data

    def on_message_complete(self) -> None:
        if self._status >= 200:
            self._complete = True
        else:
            self._begin()  # it is informational, the reply is still to come

    def _keep(self, data: bytes) -> None:
        """Keeps what was received of a reply while llhttp may still refuse it, up to a bound."""
        self._received.append(data)
        self._received_bytes += len(data)
        if self._received_bytes > MAX_HEAD_BYTES + 2 * self._max_bytes:
            self._received.clear()
            self._may_be_refused = False

    def _read_leniently(self, data: bytes) -> bool:
        """Reads the reply from its beginning, after llhttp has refused it. Returns whether that is possible."""
        if isinstance(self._parser, LenientParser) or not self._may_be_refused:
            return False
        received = [*self._received, data]
        self._forget()
        self._parser = LenientParser(self)
        try:
            for each in received:
                self._parser.feed_data(each)
        except NotHttp:
            return False
        return True

    def _begin(self) -> None:
        """Forgets a reply, which may be large and holds a guest's data, and waits for the next."""
        self._status = 0
        self._headers: Headers = []
        self._body = bytearray()
        self._keep_alive = self._until_closed = self._complete = False
        self._may_be_refused = True

    def _forget(self) -> None:
        self._begin()
        self._received: list[bytes] = []
        self._received_bytes = 0

    def _arrived(self) -> None:
        if self._expected is not None and not self._expected.done():
            self._expected.set_result(HttpReply(self._status, self._headers, bytes(self._body)))
        self._forget()

    def _failed(self, error: httpx.TransportError) -> None:
        if self._expected is not None and not self._expected.done():
            self._expected.set_exception(error)
        self._forget()
