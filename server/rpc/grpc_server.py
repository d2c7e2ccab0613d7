"""The gRPC server of a gateway: where it listens, and how it ends."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

import grpc

from ..process.port import CAN_BE_SHARED
from ..settings import Address
from .aio_server import AioServer
from .context import Context


class GrpcServer:
    """A server on one port, which workers of one gateway share (SO_REUSEPORT). make: makes the server of grpc.aio's."""

    def __init__(self, options: Sequence[tuple[str, Any]], make: Callable[[Any], AioServer] = AioServer) -> None:
        self._server = make((*options, ("grpc.so_reuseport", int(CAN_BE_SHARED))))
        self._end: asyncio.Future[bool] | None = None

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Registers a service's handlers."""
        self._server.add_registered_method_handlers(service, dict(handlers))

    def set_unknown_method_handler(self, handler: Callable[[Context], Awaitable[None]]) -> None:
        """Has calls of methods that are not registered ended by `handler(context)`, which must abort them."""
        self._server.set_unknown_method_handler(handler)

    def listen(self, address: Address, credentials: grpc.ServerCredentials | None) -> Address:
        """Listens, in plaintext without credentials. Returns the address with the port that was taken.

        Raises RuntimeError.
        """
        if credentials is None:
            port = self._server.add_insecure_port(str(address))
        else:
            port = self._server.add_secure_port(str(address), credentials)
        return Address((address[0], port))

    async def start(self) -> None:
        """Starts serving."""
        await self._server.start()
        # Never cancelled: that would cancel the future that stop() waits for.
        self._end = asyncio.ensure_future(self._server.wait_for_termination())

    async def broken(self) -> None:
        """Returns when it ends by itself, as a server of grpc.aio does after an exception of its own."""
        assert self._end is not None
        await asyncio.wait({self._end})

    async def stop(self, grace: float | None, settled: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Accepts no more calls and returns when those in progress have ended.

        grace: seconds after which they are cancelled; None: at once. settled: returns when nothing is left that is
        worth waiting for; calls that are still open then, since their clients do not read, are cancelled.
        """
        stopping = asyncio.ensure_future(self._server.stop(grace))
        ends: list[asyncio.Future[Any]] = [stopping] if self._end is None else [stopping, self._end]
        if settled is not None and grace is not None:
            settling: asyncio.Future[Any] = asyncio.ensure_future(settled())
            await asyncio.wait({stopping, settling}, return_when=asyncio.FIRST_COMPLETED)
            settling.cancel()
            ends.append(settling)
            if not stopping.done():
                ends.append(asyncio.ensure_future(self._server.stop(None)))
        await asyncio.gather(*ends, return_exceptions=True)  # one that has ended by itself raises again
