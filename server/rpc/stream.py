"""A stream of responses, as the methods that write to it see it."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc

from .context import Context


class ResponseStream:
    """Stands in for gRPC's context where a method writes its responses itself; `watching.watcher.Stream`.

    check_caller: raises when the caller may not call this method, or not any more.
    """

    __slots__ = ("_context", "check_caller")

    def __init__(self, context: Context, check_caller: Callable[[], None]) -> None:
        self._context = context
        self.check_caller = check_caller

    def connection(self) -> str:
        """The caller's address and port."""
        return str(self._context.peer())

    def time_remaining(self) -> float | None:
        """Seconds until the caller's deadline; None without one."""
        return self._context.time_remaining()

    async def begin(self) -> None:
        """Sends the headers."""
        await self._send(self._context.send_initial_metadata(()))

    async def write(self, message: bytes) -> None:
        """Sends a serialized response; waits as long as the caller does not read."""
        await self._send(self._context.write(message))

    async def _send(self, sending: Any) -> None:
        try:
            await sending
        except grpc.aio.InternalError:
            # The caller has left, and gRPC is about to cancel this task, or has forgotten to (grpc#43360).
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)
