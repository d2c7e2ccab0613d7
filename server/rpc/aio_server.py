"""grpc.aio's server, without what lets any client end it.

It keeps one request open for calls of methods that are not registered, and decodes their names where nothing catches:
a name that is no UTF-8 ends the server and all its calls (grpcio 1.85). Here such calls are refused without a look at
their names; every method that there is, is registered (`interceptor.py`).

This leans on grpcio's inside, which is pinned; `tests/rpc/test_aio_server.py` fails when that has changed, or when
grpcio no longer needs this.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import grpc
from grpc._cython import cygrpc
from grpc.aio import _server


class _Core(cygrpc.AioServer):  # type: ignore[misc]  # it has no types
    """The server below grpc.aio's."""

    def _make_request_call_future(self, method: bytes | None) -> "asyncio.Task[Any]":
        """A task that gives the next call of that method. None: of no known one; it only ends when the server does."""
        if method is not None:
            task: asyncio.Task[Any] = super()._make_request_call_future(method)
            return task
        return asyncio.create_task(self._refuse_all())

    async def _refuse_all(self) -> None:
        loop, refusing = asyncio.get_running_loop(), set[asyncio.Task[None]]()
        while True:
            state = await self._request_call()  # raises when the server stops, as grpc.aio expects
            task = loop.create_task(_refuse(cygrpc._ServicerContext(state, None, None, loop)))  # noqa: SLF001
            refusing.add(task)
            task.add_done_callback(refusing.discard)


async def _refuse(context: "grpc.aio.ServicerContext[Any, Any]") -> None:
    with suppress(grpc.aio.AbortError, grpc.aio.InternalError):  # it always raises; or the caller is gone
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "There is no such method here.")


class AioServer(_server.Server):
    """A server as `grpc.aio.server(options=options)` makes it."""

    def __init__(self, options: Sequence[tuple[str, Any]]) -> None:
        self._loop = cygrpc.get_working_loop()
        arguments = _server._augment_channel_arguments(options, None)  # noqa: SLF001
        self._server = _Core(self._loop, None, (), (), arguments, None)
