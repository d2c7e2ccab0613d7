"""HTTP as httpx describes it, to one server, over connections of our own.

httpx's own connection pool loses a place whenever a waiting request is cancelled (encode/httpcore #830, #1093):
callers' deadlines would use it up within seconds. aiohttp's does not, but a request by it costs as much as all of gRPC.
What a cancel needs is exactness about what was sent; that is little code.
"""

import asyncio
import math
import socket
import ssl
from typing import Self

import aiohappyeyeballs
import httpx

from .http1 import Connection

NEXT_ADDRESS = 0.25
"""Seconds after which a host's next address is tried beside one that does not answer (RFC 8305)."""

KEEP_IDLE = 15.0
"""Seconds for which an idle connection is kept: servers and proxies seldom close one sooner."""


class Http1Transport(httpx.AsyncBaseTransport):
    """Sends each request at most once, to the origin (scheme, host, port), over kept-alive connections.

    Raises httpx.ConnectError or httpx.ConnectTimeout when nothing of the request was sent: no connection could be made,
    or none was free within the seconds of `request.extensions["timeout"]["connect"]`. Any other httpx.TransportError:
    it may have arrived; RemoteProtocolError when the reply is no HTTP, ReadTimeout when it is not whole within the
    seconds of `["read"]`, counted from the beginning. A body is cut off somewhere beyond max_bytes.

    The extension "target" takes the place of the URL's path, so that requests can share what they have in common.
    Redirects, cookies, proxies and compression are left alone.
    """

    def __init__(
        self,
        origin: str,
        tls: ssl.SSLContext,
        max_connections: int,
        max_bytes: int,
        keep_idle: float = KEEP_IDLE,
    ) -> None:
        url = httpx.URL(origin)
        self._host, self._port = url.raw_host.decode(), url.port or (443 if url.scheme == "https" else 80)
        self._tls = tls if url.scheme == "https" else None
        self._max_bytes = max_bytes
        self._keep_idle = keep_idle
        self._places = asyncio.Semaphore(max_connections)
        self._open: set[Connection] = set()
        self._idle: dict[Connection, float] = {}  # since when; the last used one is the last

    async def __aenter__(self) -> Self:
        return self

    async def aclose(self) -> None:
        for connection in list(self._open):
            connection.close()
        while self._open:  # noqa: ASYNC110 (the event loop ends them in its next turn)
            await asyncio.sleep(0)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        message, limits = _message(request), request.extensions.get("timeout", {})
        loop = asyncio.get_running_loop()
        until = loop.time() + limits.get("read", math.inf)
        connection = await self._take(limits.get("connect"))
        try:
            status, headers, body = await connection.exchange(message, until - loop.time())
        finally:
            self._give_back(connection)
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))

    async def _take(self, seconds: float | None) -> Connection:
        """A connection that can carry an exchange, and the place that it takes."""
        if not self._places.locked() and (connection := self._idle_one()):
            await self._places.acquire()
            return connection
        try:
            async with asyncio.timeout(seconds):
                await self._places.acquire()
                try:
                    return self._idle_one() or await self._connect()
                except BaseException:
                    self._places.release()
                    raise
        except TimeoutError as error:
            raise httpx.ConnectTimeout("not sent") from error
        except (OSError, UnicodeError) as error:  # or the host is none
            raise httpx.ConnectError("not sent") from error

    def _idle_one(self) -> Connection | None:
        oldest = asyncio.get_running_loop().time() - self._keep_idle
        while self._idle:
            connection, since = self._idle.popitem()
            if connection.usable and since > oldest:
                return connection
            connection.close()
        return None

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        addresses = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        connected = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=NEXT_ADDRESS, loop=loop)
        _, connection = await loop.create_connection(
            lambda: Connection(self._max_bytes, self._lost),
            sock=connected,
            ssl=self._tls,
            server_hostname=self._host if self._tls else None,
        )
        if not connection.usable:  # the server has closed it already, or spoken first: nothing was sent
            connection.close()
            raise ConnectionResetError
        self._open.add(connection)
        return connection

    def _give_back(self, connection: Connection) -> None:
        self._places.release()
        if not connection.usable:
            return
        moment = asyncio.get_running_loop().time()
        self._idle[connection] = moment
        longest, since = next(iter(self._idle.items()))
        if moment - since > self._keep_idle:
            del self._idle[longest]
            longest.close()

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._idle.pop(connection, None)


def _message(request: httpx.Request) -> bytes:
    """The request as it goes over the wire."""
    target = request.extensions.get("target") or request.url.raw_path
    lines = [b"%b %b HTTP/1.1" % (request.method.encode(), target), *map(b": ".join, request.headers.raw)]
    assert isinstance(request.stream, httpx.SyncByteStream)
    head = b"\r\n".join(lines)
    if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
        raise ValueError("a line break in a request's head")  # a defect: nothing that callers send comes here
    return b"%b\r\n\r\n%b" % (head, b"".join(request.stream))
