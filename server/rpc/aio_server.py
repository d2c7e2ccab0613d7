"""grpc.aio's server with an intake of its own, and without log lines that clients can cause.

grpc.aio takes in calls by one loop for all methods. That loop waits for the next call of every method at once, and
begins to wait anew after each call: an eighth of the CPU of a call that is answered from the cache. And it decodes the
name of a method that is not registered where nothing catches the exception: a name that is not UTF-8 ends the server
and all its calls (grpcio 1.85). Here each method has loops of its own, with the handler at hand; one more refuses the
calls of methods that are not registered without reading their names.

A loop asks the core for its next call only when it has its last, a turn of the event loop later. Several of them take
in several calls in a turn, which are then served one after the other, with warm caches and fewer changes of threads.

grpc.aio also logs a traceback for each value of metadata that is not UTF-8, although it passes such a value on as
Latin-1. This server drops that line: what a caller sends is not an error of the gateway's.

This leans on internals of grpcio, which is pinned; `tests/rpc/test_aio_server.py` fails when they have changed, or when
grpcio no longer needs this.
"""
# ruff: noqa: SLF001 (private members)

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

import grpc
from grpc._cython import cygrpc
from grpc.aio import _server

from .context import Context

INTAKES = 16
"""How many calls of a method are taken in at once.

More of them save more, and calls that come together wait longer for each other. Beside a vendor that takes 50 ms, 64
callers at once: 380 µs a call with one, 305 with 8, 265 with 16, 250 with 24, and 52, 54, 56, 57 ms at the median.
"""


async def refuse(context: Context) -> None:
    """Ends a call of a method that is not registered."""
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, "There is no such method here.")


class _Core(cygrpc.AioServer):  # type: ignore[misc]  # it has no types
    """The server below grpc.aio's. refuse_unknown: ends a call of a method that is not registered."""

    refuse_unknown: Callable[[Context], Awaitable[None]] = staticmethod(refuse)

    def __init__(self, loop: asyncio.AbstractEventLoop, options: Any) -> None:
        super().__init__(loop, None, (), (), options, None)
        self._handlers: dict[str, Any] = {}
        self._calls = set[asyncio.Task[None]]()  # the event loop itself keeps weak references only

    def add_registered_method_handlers(self, handlers: dict[str, Any]) -> None:
        """Registers handlers by the names of their methods, `/service/method`: `stream_unary` and `stream_stream`.

        They read requests by `context.read()`, as bytes: where grpc.aio passes an iterator of requests, they get None.
        """
        assert all(handler.request_streaming for handler in handlers.values())
        super().add_registered_method_handlers(handlers)
        self._handlers |= handlers

    def _make_request_call_future(self, method: bytes | None) -> "asyncio.Future[Any]":
        """Returns what takes in the calls of a method; grpc.aio would have a task for its next call.

        method: None: all that are not registered. It raises when the server stops, as grpc.aio expects.
        """
        if method is None:
            return asyncio.create_task(self._refuse_all())
        return asyncio.gather(*(self._serve_all(method) for _ in range(INTAKES)))

    async def _serve_all(self, method: bytes) -> None:
        loop, name = asyncio.get_running_loop(), method.decode()
        handler = self._handlers[name]
        serializer = handler.response_serializer
        while True:
            state = await self._request_registered_call(method)
            context = cygrpc._ServicerContext(state, None, serializer, loop)
            if handler.response_streaming:
                call = cygrpc._finish_handler_with_stream_responses(state, handler.stream_stream, None, context, loop)
            else:
                call = cygrpc._finish_handler_with_unary_response(
                    state, handler.stream_unary, None, context, serializer, loop
                )
            self._begin(cygrpc._schedule_rpc_coro(call, state, loop, name))

    async def _refuse_all(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            state = await self._request_call()
            self._begin(self._refuse(cygrpc._ServicerContext(state, None, None, loop)))

    def _begin(self, call: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(call)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

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
        arguments = _server._augment_channel_arguments(options, None)
        self._server = _Core(self._loop, arguments)

    def set_unknown_method_handler(self, handler: Callable[[Context], Awaitable[None]]) -> None:
        """Has calls of methods that are not registered ended by `handler(context)`, which must abort them."""
        self._server.refuse_unknown = handler
