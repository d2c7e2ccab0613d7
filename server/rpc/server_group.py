"""Several gRPC servers on one port, which are one to everybody else."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc

from ..process.port import CAN_BE_SHARED
from ..settings import Address
from .aio_server import AioServer

DEFAULT_SERVERS = 8
"""How many servers a gateway has. A connection stays with one: more of them than busy connections bring nothing."""


class ServerGroup:
    """A server of gRPC for all who use it: handlers, ports, start, stop.

    grpc.aio takes in one call at a time: it asks its core for the next one only when the event loop has come round to
    it, several turns later. These servers share the handlers and a port, on which the kernel spreads the connections
    (SO_REUSEPORT). So the loop takes in several calls in a turn, and serves them one after the other with warm caches:
    a quarter less CPU for a call that is passed through.

    number: of servers; one where the kernel does not know SO_REUSEPORT. options: of each.
    """

    def __init__(self, number: int, options: Sequence[tuple[str, Any]]) -> None:
        options = (*options, ("grpc.so_reuseport", int(CAN_BE_SHARED)))
        self._servers = [AioServer(options) for _ in range(number if CAN_BE_SHARED else 1)]
        self._ends: list[asyncio.Future[bool]] = []

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Registers a service's handlers."""
        for server in self._servers:
            server.add_registered_method_handlers(service, dict(handlers))

    def listen(self, address: Address, credentials: Callable[[], grpc.ServerCredentials] | None) -> Address:
        """Listens; gives the address with the port that was taken. Raises RuntimeError.

        credentials: gives each server its own; None: plaintext.
        """
        for server in self._servers:
            if credentials is None:
                port = server.add_insecure_port(str(address))
            else:
                port = server.add_secure_port(str(address), credentials())
            address = Address((address[0], port))
        return address

    async def start(self) -> None:
        """Begins to serve."""
        for server in self._servers:
            await server.start()
        # They are never cancelled: that would cancel what stop() waits for.
        self._ends = [asyncio.ensure_future(server.wait_for_termination()) for server in self._servers]

    async def broken(self) -> None:
        """Waits until one of them ends, which grpc.aio does by itself when something unforeseen happens in it."""
        await asyncio.wait(self._ends, return_when=asyncio.FIRST_COMPLETED)

    async def stop(self, grace: float | None) -> None:
        """Takes no more calls; those under way have so many seconds to end. None: they are ended at once."""
        # One that has ended by itself fails once more; the others are stopped all the same.
        await asyncio.gather(*(server.stop(grace) for server in self._servers), return_exceptions=True)
        await asyncio.gather(*self._ends, return_exceptions=True)
