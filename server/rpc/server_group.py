"""Several gRPC servers on one port, used as one."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

import grpc

from ..process.port import CAN_BE_SHARED
from ..settings import Address
from .aio_server import AioServer, Context

DEFAULT_SERVERS = 8
"""How many servers a gateway has. A connection stays with one server: more servers than busy connections are no use."""


class ServerGroup:
    """Several servers with the same handlers on one port; the kernel spreads connections over them (SO_REUSEPORT).

    A server of grpc.aio takes in one call, and asks its core for the next only several turns of the event loop later.
    With several servers the loop takes in several calls in a turn and serves them one after the other with warm caches:
    a quarter less CPU for a call that is passed through.

    number: of servers; one where the kernel lacks SO_REUSEPORT. options: of each server. make: makes a server.
    """

    def __init__(
        self, number: int, options: Sequence[tuple[str, Any]], make: Callable[[Any], AioServer] = AioServer
    ) -> None:
        options = (*options, ("grpc.so_reuseport", int(CAN_BE_SHARED)))
        self._servers = [make(options) for _ in range(number if CAN_BE_SHARED else 1)]
        self._ends: list[asyncio.Future[bool]] = []

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Registers a service's handlers."""
        for server in self._servers:
            server.add_registered_method_handlers(service, dict(handlers))

    def set_unknown_method_handler(self, handler: Callable[[Context], Awaitable[None]]) -> None:
        """Has calls of methods that are not registered ended by `handler(context)`, which must abort them."""
        for server in self._servers:
            server.set_unknown_method_handler(handler)

    def listen(self, address: Address, credentials: Callable[[], grpc.ServerCredentials] | None) -> Address:
        """Listens; returns the address with the port that was taken. Raises RuntimeError.

        credentials: called once for each server; None: plaintext.
        """
        for server in self._servers:
            if credentials is None:
                port = server.add_insecure_port(str(address))
            else:
                port = server.add_secure_port(str(address), credentials())
            address = Address((address[0], port))
        return address

    async def start(self) -> None:
        """Starts serving."""
        for server in self._servers:
            await server.start()
        # These tasks are never cancelled: that would cancel the future that stop() waits for.
        self._ends = [asyncio.ensure_future(server.wait_for_termination()) for server in self._servers]

    async def broken(self) -> None:
        """Returns when one of them ends by itself, as a server of grpc.aio does after an exception of its own."""
        await asyncio.wait(self._ends, return_when=asyncio.FIRST_COMPLETED)

    async def stop(self, grace: float | None, settled: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Accepts no more calls and returns when those in progress have ended.

        grace: seconds after which they are cancelled; None: at once. settled: returns when nothing is left that is
        worth waiting for; calls that are still open then, since their clients do not read, are cancelled.
        """
        # One that has ended by itself raises again; the others are stopped all the same.
        stopping: asyncio.Future[Any] = asyncio.gather(
            *(server.stop(grace) for server in self._servers), return_exceptions=True
        )
        if settled is not None and grace is not None:
            settling: asyncio.Future[Any] = asyncio.ensure_future(settled())
            await asyncio.wait({stopping, settling}, return_when=asyncio.FIRST_COMPLETED)
            settling.cancel()
            await asyncio.gather(settling, return_exceptions=True)
            if not stopping.done():
                await asyncio.gather(*(server.stop(None) for server in self._servers), return_exceptions=True)
        await stopping
        await asyncio.gather(*self._ends, return_exceptions=True)
