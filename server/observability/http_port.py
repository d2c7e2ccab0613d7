"""An HTTP port that its clients cannot exhaust: few connections at once, and few seconds for each."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Coroutine
from typing import Any, cast

from aiohttp import web
from aiohttp.typedefs import Handler

from ..settings import Address, cannot_listen
from .listening import open_sockets
from .logs import describe, get_log

MAX_CONNECTIONS = 64
"""At once. One more ends the oldest: who sends a request at once is answered, however many others do not."""
CONNECTION_TIMEOUT = 5.0
"""Seconds from the connection to the end of its one response. A request that is not whole by then ends with it."""

ACCEPT_PAUSE = 0.1
"""Seconds before the next connection is accepted after one could not be."""


class HttpPort:
    """Serves the application: `address = await port.start("GATEWAY_…", address)`, … `await port.aclose()`.

    Each connection carries one request.
    """

    def __init__(
        self,
        app: web.Application,
        max_connections: int = MAX_CONNECTIONS,
        connection_timeout: float = CONNECTION_TIMEOUT,
    ) -> None:
        app.middlewares.append(_closing)
        # Its lines are about what clients send: a traceback for each request that is not HTTP.
        silent = logging.getLogger(__name__)
        silent.disabled = True
        self._runner = web.AppRunner(app, access_log=None, logger=silent, shutdown_timeout=1)
        self._max_connections = max_connections
        self._connection_timeout = connection_timeout
        self._connections: dict[_Connection | _Handshake, None] = {}
        self._servers: list[asyncio.Server] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._tls: ssl.SSLContext | None = None

    async def start(
        self, setting: str, address: Address, *, tls: ssl.SSLContext | None = None, shared: bool = False
    ) -> Address:
        """Listens, for a wildcard on both families. Returns the address with the port that was taken.

        tls: None: plaintext. shared: other workers listen there, too. Raises SettingsError, which names the setting.
        """
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        try:
            sockets = open_sockets(address, shared=shared)
        except OSError as error:
            raise cannot_listen(setting, address, error) from None
        port = sockets[0].getsockname()[1]
        self._tls = tls
        if tls is None:
            self._servers = [await loop.create_server(self._accept, sock=each) for each in sockets]
        else:
            self._accepting = [asyncio.create_task(self._accept_tls(each)) for each in sockets]
        return Address((address[0], port))

    def renew_tls(self, tls: ssl.SSLContext) -> None:
        """Has new connections use it, where the port has TLS."""
        self._tls = tls

    async def aclose(self) -> None:
        """Ends all connections, and listens no more."""
        for server in self._servers:
            server.close()
        for accepting in self._accepting:
            accepting.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        await self._runner.cleanup()
        for connection in list(self._connections):
            connection.abort()

    async def _accept_tls(self, listener: socket.socket) -> None:
        """Accepts connections. An asyncio.Server neither bounds nor shows those in their handshake."""
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        with listener:
            while True:
                try:
                    accepted, _ = await loop.sock_accept(listener)
                except OSError:  # the client has left, or no descriptor is free
                    await asyncio.sleep(ACCEPT_PAUSE)
                    continue
                connecting = loop.connect_accepted_socket(
                    self._accept, accepted, ssl=self._tls, ssl_handshake_timeout=self._connection_timeout
                )
                self._connections[_Handshake(connecting, accepted, self._connections)] = None
                if len(self._connections) > self._max_connections:
                    next(iter(self._connections)).abort()

    def _accept(self) -> "_Connection":
        assert self._runner.server is not None
        return _Connection(self._runner.server(), self._connections, self._max_connections, self._connection_timeout)


@web.middleware
async def _closing(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.force_close()
        raise
    except (web.RequestPayloadError, ConnectionError):  # the client left, or its body is not what its head says
        response = web.Response(status=400)
    except Exception as error:
        get_log().error("unexpected", **describe(error))
        response = web.Response(status=500)
    response.force_close()
    return response


class _Handshake:
    """A connection until its TLS handshake has ended."""

    def __init__(
        self,
        connecting: Coroutine[Any, Any, object],
        accepted: socket.socket,
        connections: "dict[_Connection | _Handshake, None]",
    ) -> None:
        self._accepted = accepted
        self._connections = connections
        self._task = asyncio.create_task(connecting, name="handshake")
        self._task.add_done_callback(self._ended)

    def abort(self) -> None:
        """Ends it."""
        self._connections.pop(self, None)
        self._task.cancel()

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._connections.pop(self, None)
        if task.cancelled() or task.exception() is not None:  # whatever the client sent: it is no TLS
            self._accepted.close()


class _Connection(asyncio.Protocol):
    """Passes one connection on to aiohttp's handler, which has no bound of time for a request's head."""

    def __init__(
        self, handler: asyncio.Protocol, connections: "dict[_Connection | _Handshake, None]", most: int, timeout: float
    ) -> None:
        self._handler = handler
        self._connections = connections
        self._most = most
        self._timeout = timeout
        # What aiohttp's handler does with a connection, it does with its transport.
        self.data_received = handler.data_received  # type: ignore[method-assign]
        self.eof_received = handler.eof_received  # type: ignore[method-assign]
        self.pause_writing = handler.pause_writing  # type: ignore[method-assign]
        self.resume_writing = handler.resume_writing  # type: ignore[method-assign]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._timer = asyncio.get_running_loop().call_later(self._timeout, self.abort)
        self._connections[self] = None
        if len(self._connections) > self._most:
            next(iter(self._connections)).abort()
        self._handler.connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._timer.cancel()
        self._connections.pop(self, None)
        self._handler.connection_lost(error)

    def abort(self) -> None:
        """Ends it, whatever is still to be read or written."""
        self._connections.pop(self, None)  # now: the loop may take in more before it is lost
        self._transport.abort()
