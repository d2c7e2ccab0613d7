"""grpc.aio's server, without the defect by which any client can end it, and without log lines that clients can cause.

grpc.aio decodes the name of a method that is not registered where nothing catches the exception: a name that is not
UTF-8 ends the server and all its calls (grpcio 1.85). This server refuses such calls without reading their names; every
method that exists is registered (`interceptor.py`).

It also logs a traceback for each value of metadata that is not UTF-8, although it passes such a value on as
Latin-1. This server drops that line: what a caller sends is not an error of the gateway's.

This leans on internals of grpcio, which is pinned; `tests/rpc/test_aio_server.py` fails when they have changed, or when
grpcio no longer needs this.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import grpc
from grpc._cython import cygrpc
from grpc.aio import _server

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


async def refuse(context: Context) -> None:
    """Ends a call of a method that is not registered."""
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, "There is no such method here.")


class _Core(cygrpc.AioServer):  # type: ignore[misc]  # it has no types
    """The server below grpc.aio's. refuse_unknown: ends a call of a method that is not registered."""

    refuse_unknown: Callable[[Context], Awaitable[None]] = staticmethod(refuse)

    def _make_request_call_future(self, method: bytes | None) -> "asyncio.Task[Any]":
        """Returns a task for the next call of that method. None: a method not registered; it ends with the server."""
        if method is not None:
            task: asyncio.Task[Any] = super()._make_request_call_future(method)
            return task
        return asyncio.create_task(self._refuse_all())

    async def _refuse_all(self) -> None:
        loop, refusing = asyncio.get_running_loop(), set[asyncio.Task[None]]()
        while True:
            state = await self._request_call()  # raises when the server stops, as grpc.aio expects
            task = loop.create_task(self._refuse(cygrpc._ServicerContext(state, None, None, loop)))  # noqa: SLF001
            refusing.add(task)
            task.add_done_callback(refusing.discard)

    async def _refuse(self, context: Context) -> None:
        with suppress(grpc.aio.AbortError, grpc.aio.InternalError):  # abort always raises; or the caller is gone
            await self.refuse_unknown(context)


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a line of grpcio's is about the gateway, not about the encoding of a caller's metadata."""
    return not str(record.msg).startswith("Invalid encoding on")


class AioServer(_server.Server):
    """A server as `grpc.aio.server(options=options)` makes it."""

    def __init__(self, options: Sequence[tuple[str, Any]]) -> None:
        logging.getLogger(cygrpc.__name__).addFilter(_is_ours)
        self._loop = cygrpc.get_working_loop()
        arguments = _server._augment_channel_arguments(options, None)  # noqa: SLF001
        self._server = _Core(self._loop, None, (), (), arguments, None)

    def set_unknown_method_handler(self, handler: Callable[[Context], Awaitable[None]]) -> None:
        """Has calls of methods that are not registered ended by `handler(context)`, which must abort them."""
        self._server.refuse_unknown = handler
