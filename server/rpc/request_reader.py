"""Reads the messages of requests, each within a bound of time.

grpc.aio waits for a message without a bound, and neither answers nor ends a call that ends without one: such a call
would hold one of its connection's streams for as long as the connection lives, and the drain until the end of GRACE.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from callrequest.v1 import error_reason_pb2 as reasons

from ..errors import GatewayError, Violation
from .context import Context

MAX_SECONDS = 29.0
"""Seconds for one message to arrive whole; with the way to the client the call has ended within 30 s."""
MAX_SECONDS_IN_DRAIN = 3.0
"""The same once the drain has closed the port: enough for what is on its way to a busy process."""


class ServerEndsError(Exception):
    """The drain did not wait any longer for a request's message. The call may be repeated elsewhere."""


class RequestReader:
    """Reads requests from the contexts of calls, as bytes.

    One timer serves all calls, since all have the same bound: a timer for each would cost more than the reading.
    """

    def __init__(self) -> None:
        self._bound, self._drains = MAX_SECONDS, False
        self._reading: dict[asyncio.Task[Any], float] = {}  # when each began, the oldest first
        self._overdue: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def read(self, context: Context) -> bytes:
        """Returns the next message. Raises INVALID_REQUEST when none arrives whole in time or before the end.

        In the drain one that is not in time raises ServerEndsError.
        """
        task: asyncio.Task[Any] = asyncio.current_task()  # type: ignore[assignment]  # a handler runs in a task
        loop = task.get_loop()
        self._reading[task] = now = loop.time()
        if self._timer is None:
            self._timer = loop.call_at(now + self._bound, self._check)
        try:
            message = await context.read()
        except asyncio.CancelledError:
            if task in self._overdue and not task.uncancel():
                raise (ServerEndsError if self._drains else _IncompleteError) from None
            raise
        finally:
            del self._reading[task]
            if self._overdue:
                self._overdue.discard(task)
        if message is grpc.aio.EOF:
            raise _EndedError
        return message  # type: ignore[no-any-return]  # its deserializer is None

    async def each(self, context: Context) -> AsyncIterator[bytes]:
        """Yields a stream's messages until the client ends it, or is silent for the bound after a message.

        Raises INVALID_REQUEST when the bound passes before the first.
        """
        received = False
        while True:
            try:
                message = await self.read(context)
            except _EndedError:
                return
            except (_IncompleteError, ServerEndsError):
                if received:
                    return
                raise
            received = True
            yield message

    def hurry(self) -> None:
        """From now on messages have MAX_SECONDS_IN_DRAIN, those that are waited for included."""
        self._bound, self._drains = MAX_SECONDS_IN_DRAIN, True
        if self._timer is not None:
            self._timer.cancel()
            self._check()

    def _check(self) -> None:
        """Ends what is overdue, and sets the timer for the oldest of the rest; none when nothing is waited for."""
        self._timer = None
        loop = asyncio.get_running_loop()
        for task, begun in self._reading.items():
            if begun + self._bound > loop.time():
                self._timer = loop.call_at(begun + self._bound, self._check)
                return
            if task not in self._overdue:
                self._overdue.add(task)
                task.cancel()


class _IncompleteError(GatewayError):
    """INVALID_REQUEST: no message arrived whole."""

    def __init__(self) -> None:
        violation = Violation("", "The request ended, or its time was over, before its message was whole.")
        super().__init__(reasons.ERROR_REASON_INVALID_REQUEST, violations=(violation,))


class _EndedError(_IncompleteError):
    """The client ended its side."""
