"""Starts and stops the sandbox on a socket of its own."""

import asyncio
from typing import Self

from aiohttp import web

from .control import Control
from .listening import open_sockets, url_of
from .own_pages import own_pages_only
from .pushes import Pushes
from .service import Service
from .state import State

CLIENT_ID = "sandbox"
CLIENT_SECRET = "sandbox-secret"  # noqa: S105 (it opens nothing but the sandbox)
TOKEN_LIFETIME = 84400.0
"""Seconds, as in the vendor's example."""
MAX_BYTES = 1 << 18
"""Of a request's body."""

_SHUTDOWN = 0.5  # seconds for requests in progress, after the faults have stopped waiting


class Sandbox:
    """A stand-in for the vendor: `async with Sandbox() as sandbox: … sandbox.url …`.

    port: 0 takes a free one. token_lifetime: seconds. Entering raises OSError when it cannot listen there; leaving
    closes every connection within about a second.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        client_id: str = CLIENT_ID,
        client_secret: str = CLIENT_SECRET,
        token_lifetime: float = TOKEN_LIFETIME,
    ) -> None:
        self._host = host
        self._port = port
        self._closing = asyncio.Event()
        state = State(token_lifetime)
        app = web.Application(client_max_size=MAX_BYTES, middlewares=[own_pages_only(host)])
        self._pushes = Pushes(state)
        app.add_routes(Control(state, self._pushes).routes())
        app.add_routes(Service(state, client_id, client_secret, self._closing).routes())
        # The vendor, too, carries out the request of a client that has left.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN, handler_cancellation=False)

    @property
    def port(self) -> int:
        """The port it listens on, once it does."""
        return self._port

    @property
    def url(self) -> str:
        """Where it is reached from this machine, without a slash at the end."""
        return self._url

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            listeners = open_sockets(self._host, self._port)
        except BaseException:
            await self._runner.cleanup()
            raise
        self._url = url_of(self._host, listeners[0])
        self._port = listeners[0].getsockname()[1]
        for listener in listeners:
            await web.SockSite(self._runner, listener).start()
        await self._pushes.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        await self._pushes.__aexit__()
        await self._runner.cleanup()
