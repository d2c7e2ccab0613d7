"""A pool of connections to one server, as an httpx transport.

httpx's own pool loses a connection whenever a waiting request is cancelled (encode/httpcore #830, #1093): callers'
deadlines would use it up within seconds. aiohttp's does not, but a request through it costs as much as all of gRPC. And
a cancel needs to know exactly what was sent.
"""

import asyncio
import math
import random
import ssl
from typing import Self

import httpx

from .connector import Connector
from .http1 import Connection
from .proxy import Proxy

KEEP_IDLE = 15.0
"""Seconds after which an idle connection is closed: servers and proxies seldom close one sooner."""

AGE_JITTER = 0.1
"""The share of max_age by which connections expire at different times, so that not all are made again at once."""


class Http1Transport(httpx.AsyncBaseTransport):
    """Sends each request at most once, to the origin (scheme, host, port), over kept-alive connections.

    Raises httpx.ConnectError, httpx.ConnectTimeout or httpx.PoolTimeout when nothing of the request was sent: no
    connection could be made, or none was free, within the seconds of `request.extensions["timeout"]["connect"]`;
    httpx.ProxyError when that was the proxy's doing. After any other httpx.TransportError the request may have arrived:
    RemoteProtocolError when the reply is not HTTP, ReadTimeout when it is not whole within the seconds of `["read"]`,
    counted from the beginning. A body is cut off somewhere beyond max_bytes.

    The extension "target" takes the place of the URL's path, and "headers" has more of them, as pairs of bytes: so
    requests can share what they have in common.
    Redirects, cookies, compression and the environment's proxies are ignored.

    max_age: seconds after which a connection takes no more requests, however busy it is, so that a change of the
    server's address is followed.
    """

    def __init__(
        self,
        origin: str,
        tls: ssl.SSLContext,
        max_connections: int,
        max_bytes: int,
        keep_idle: float = KEEP_IDLE,
        max_age: float = math.inf,
        proxy: Proxy | None = None,
    ) -> None:
        self._connector = Connector(origin, tls, proxy)
        self._max_bytes = max_bytes
        self._keep_idle = keep_idle
        self._max_age = max_age
        self._places = asyncio.Semaphore(max_connections)
        self._open: set[Connection] = set()
        self._idle: dict[Connection, float] = {}  # since when; the one that was used last is the last
        self._sweep: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        return self

    async def aclose(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self._open):
            connection.close()
        while self._open:  # noqa: ASYNC110 (the event loop ends them in its next turn)
            await asyncio.sleep(0)

    def renew(self, tls: ssl.SSLContext) -> None:
        """Makes new connections with that context from now on; those that are open finish their exchanges."""
        self._connector.tls = tls
        for connection in self._open:
            connection.expires_at = -math.inf
        self._close_idle()

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
        """A connection that can carry an exchange, and one of the places."""
        if not self._places.locked() and (connection := self._idle_one()):
            await self._places.acquire()
            return connection
        loop = asyncio.get_running_loop()
        until = None if seconds is None else loop.time() + seconds
        try:
            async with asyncio.timeout_at(until):
                await self._places.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("not sent") from None
        try:
            return self._idle_one() or await self._connect(until)
        except BaseException:
            self._places.release()
            raise

    def _idle_one(self) -> Connection | None:
        moment = asyncio.get_running_loop().time()
        while self._idle:
            connection, since = self._idle.popitem()
            if connection.usable and since > moment - self._keep_idle and connection.expires_at > moment:
                return connection
            connection.close()
        return None

    async def _connect(self, until: float | None) -> Connection:
        connection = await self._connector.connect(lambda: Connection(self._max_bytes, self._lost), until)
        if not connection.usable:  # the server has closed it already, or spoken first: nothing was sent
            connection.close()
            raise httpx.ConnectError("not sent") from ConnectionResetError()
        jitter = random.uniform(1 - AGE_JITTER, 1)  # noqa: S311
        connection.expires_at = asyncio.get_running_loop().time() + self._max_age * jitter
        self._open.add(connection)
        return connection

    def _give_back(self, connection: Connection) -> None:
        self._places.release()
        if not connection.usable:
            return
        loop = asyncio.get_running_loop()
        moment = loop.time()
        if connection.expires_at <= moment:
            connection.close()
            return
        self._idle[connection] = moment
        if self._sweep is None:
            self._sweep = loop.call_at(moment + self._keep_idle, self._close_idle)

    def _close_idle(self) -> None:
        """Closes what was idle for keep_idle, or has expired; then again when the next one will have been."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        loop = asyncio.get_running_loop()
        moment = loop.time()
        for connection, since in list(self._idle.items()):
            if since + self._keep_idle <= moment or connection.expires_at <= moment:
                del self._idle[connection]
                connection.close()
        if self._idle:
            self._sweep = loop.call_at(next(iter(self._idle.values())) + self._keep_idle, self._close_idle)

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._idle.pop(connection, None)


def _message(request: httpx.Request) -> bytes:
    """The bytes of the request."""
    target = request.extensions.get("target") or request.url.raw_path
    headers = request.headers.raw + request.extensions.get("headers", [])
    lines = [b"%b %b HTTP/1.1" % (request.method.encode(), target), *map(b": ".join, headers)]
    assert isinstance(request.stream, httpx.SyncByteStream)
    head = b"\r\n".join(lines)
    if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
        raise ValueError("a line break in a request's head")  # a defect: nothing that callers send comes here
    return b"%b\r\n\r\n%b" % (head, b"".join(request.stream))
