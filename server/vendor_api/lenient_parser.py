"""Reads one HTTP/1 reply as curl does, where llhttp refuses it: for the last reply on a connection.

Servers and proxies of the field send repeated Content-Length headers, blanks and quotes in chunk extensions, single
line feeds after a chunk's size, blanks before a header's colon. RFC 9110 and 9112 let a recipient read all of that, at
a risk: another recipient may take the reply to end elsewhere. So whoever uses this parser must close the connection
after the reply.
"""

import re
from collections.abc import Callable
from typing import Protocol

_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+(\d{3})(?:[ \t].*)?", re.DOTALL)
_LENGTH = re.compile(rb"0*([0-9]{1,18})")
_CHUNK_SIZE = re.compile(rb"0*([0-9A-Fa-f]{1,15})(?:[ \t;].*)?", re.DOTALL)

_BEGINNING = b"HTTP/"

_UNTIL_CLOSED = 1 << 62  # bytes


def known_status(status: int) -> int:
    """The status of a reply; 500 in place of one that HTTP does not have, as RFC 9110, 15, recommends.

    Without this, one below 100 would pass for an informational reply, after which another one comes.
    """
    return status if 100 <= status <= 599 else 500


class NotHttp(Exception):
    """The reply cannot be read."""


class Callbacks(Protocol):
    """What httptools calls, in the same order."""

    def on_header(self, name: bytes, value: bytes) -> None: ...
    def on_headers_complete(self) -> None: ...
    def on_body(self, data: bytes) -> None: ...
    def on_message_complete(self) -> None: ...


class LenientParser:
    """Has the interface of httptools.HttpResponseParser. What follows the reply is ignored.

    until_closed: from on_headers_complete on, whether the body ends with the connection. It costs no more than the
    reply's length, however the reply is cut into pieces; the caller bounds the bytes of a head.
    """

    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks
        self._buffer = bytearray()
        self._searched = 0  # bytes of the buffer that are known to hold no line feed
        self._read: Callable[[], bool] = self._status_line
        self._status = self._left = 0
        self._headers: list[tuple[bytes, list[bytes]]] = []  # a value in its parts, one for each line
        self.until_closed = False

    def feed_data(self, data: bytes) -> None:
        """Reads what can be read by now. Raises NotHttp."""
        self._buffer += data
        while self._read():
            pass

    def get_status_code(self) -> int:
        return self._status

    def should_keep_alive(self) -> bool:
        return False

    # Each step returns whether the next one may begin: the buffer held all that it needed.

    def _status_line(self) -> bool:
        line = self._line()
        if line is None:
            if not _BEGINNING.startswith(self._buffer[:6].lstrip(b"\r")[:5]):
                raise NotHttp  # what is not HTTP need not have a line feed
            return False
        if not line:
            return True  # servers of old end a reply with one line end too many: it comes before the next
        match = _STATUS_LINE.fullmatch(line)
        if match is None:
            raise NotHttp
        self._status = known_status(int(match[1]))
        self._headers = []
        self._read = self._header
        return True

    def _header(self) -> bool:
        line = self._line()
        if line is None:
            return False
        if not line:
            headers = [(name, b" ".join(parts)) for name, parts in self._headers]
            for name, value in headers:
                self._callbacks.on_header(name, value)
            self._body_begins(headers)
        elif line[:1] in (b" ", b"\t"):
            if self._headers:  # a folded line (RFC 9112, 5.2); before the first header it belongs to nothing
                self._headers[-1][1].append(line.strip())
        else:
            name, colon, value = line.partition(b":")
            if not colon:
                raise NotHttp
            self._headers.append((name.strip(), [value.strip()]))
        return True

    def _body_begins(self, headers: list[tuple[bytes, bytes]]) -> None:
        length = 0 if self._status < 200 or self._status in (204, 304) else _length(headers)
        if self._status == 101:
            raise NotHttp  # what follows is another protocol
        self.until_closed = length == _UNTIL_CLOSED
        self._callbacks.on_headers_complete()
        if length is None:
            self._read = self._chunk_size
        elif length:
            self._left, self._read = length, self._counted
        else:
            self._ends()

    def _counted(self) -> bool:
        if self._take() == 0:
            self._ends()
            return True
        return False

    def _chunk_size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        match = _CHUNK_SIZE.fullmatch(line)
        if match is None:
            raise NotHttp
        self._left = int(match[1], 16)
        self._read = self._chunk if self._left else self._trailer
        return True

    def _chunk(self) -> bool:
        if self._take() == 0:
            self._read = self._chunk_end
            return True
        return False

    def _chunk_end(self) -> bool:
        line = self._line()
        if line:
            raise NotHttp
        self._read = self._chunk_size if line is not None else self._read
        return line is not None

    def _trailer(self) -> bool:
        line = self._line()
        if line == b"":
            self._ends()
        return line is not None

    def _ignored(self) -> bool:
        self._buffer.clear()
        return False

    def _ends(self) -> None:
        self._read = self._status_line if self._status < 200 else self._ignored
        self._callbacks.on_message_complete()

    def _line(self) -> bytes | None:
        """The next line without its end, LF or CRLF; None when it has not arrived."""
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._buffer)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return line.removesuffix(b"\r")

    def _take(self) -> int:
        """Hands over what the buffer has of the body. Returns how many bytes of it are still to come."""
        data = bytes(self._buffer[: self._left])
        if data:
            del self._buffer[: len(data)]
            self._left -= len(data)
            self._callbacks.on_body(data)
        return self._left


def _length(headers: list[tuple[bytes, bytes]]) -> int | None:
    """Bytes of the body (RFC 9112, 6.3); None: chunked, whatever a Content-Length says. Raises NotHttp."""
    codings, lengths = [], set()
    for name, value in headers:
        lower = name.lower()
        if lower == b"transfer-encoding":
            codings += [coding.strip() for coding in value.lower().split(b",")]
        elif lower == b"content-length":
            for each in value.split(b","):
                match = _LENGTH.fullmatch(each.strip())
                lengths.add(int(match[1]) if match else -1)
    codings = [coding for coding in codings if coding not in (b"", b"identity")]
    if codings:
        return None if codings[-1] == b"chunked" else _UNTIL_CLOSED
    if not lengths:
        return _UNTIL_CLOSED
    if len(lengths) > 1 or -1 in lengths:
        raise NotHttp  # nobody can say where the reply ends
    return lengths.pop()
