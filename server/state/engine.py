"""The connection to the engine: one task owns it, runs scripts in batches, and finds out when the engine is down.

A caller's own task never talks to the engine: a task that is cancelled in the midst of a command closes redis-py's
connection, and callers leave all the time.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from redis.exceptions import (
    BusyLoadingError,
    MasterDownError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from ..observability.logs import get_log
from ..observability.outage_log import OutageLog
from .connecting import Client
from .scripts import Script
from .values import EngineError

MAX_BATCH = 128
"""Scripts sent at once: a batch must be answered within connecting.TIMEOUT."""
MAX_QUEUED = 20_000
"""Scripts that wait. Beyond that the engine counts as too slow, and callers go on without it."""
PROBE_EVERY = 0.5
"""Seconds between two PINGs while the engine is down."""
PROBE_TIMEOUT = 0.4
"""Seconds for such a PING, its connection included: with connecting.TIMEOUT less than 1 s of delay in all."""
LATE = 0.2
"""Seconds by which a timer may fire late on an event loop that is not busy."""

# RuntimeError: uvloop raises it when a transport is closed already.
FAILURES = (RedisError, OSError, RuntimeError, TimeoutError, EOFError)
_NOT_USABLE = (ReadOnlyError, BusyLoadingError, MasterDownError)
"""Replies of a server that is not, or no longer, the one to talk to: after a failover, while it starts."""


@dataclass(slots=True)
class _Call:
    script: Script
    arguments: tuple[bytes | str | int, ...]
    reply: "asyncio.Future[Any]"


class Engine:
    """Runs scripts on the engine: `async with Engine(…) as engine: await engine.run(script, *keys, *arguments)`.

    make_client: makes a client with connections of its own. returned: awaited when the engine is back, before anybody
    else's script is run again; it may run scripts by `run_now`. up_changed: receives whether it is up, for metrics.
    """

    def __init__(
        self,
        make_client: Callable[[], Client],
        returned: Callable[[], Awaitable[None]],
        up_changed: Callable[[bool], None],
    ) -> None:
        self._make_client = make_client
        self._returned = returned
        self._up_changed = up_changed
        self._client: Client | None = None
        self._queue: deque[_Call] = deque()
        self._wake = asyncio.Event()
        self._is_known_down = False
        self._refusals = OutageLog("shared state refused a script", resolved="shared state takes scripts again")
        self.is_up = False

    async def __aenter__(self) -> Self:
        self._owner = asyncio.create_task(self._own(), name="state")
        return self

    async def __aexit__(self, *error: object) -> None:
        self._owner.cancel()
        with suppress(asyncio.CancelledError):
            await self._owner
        self._fail(list(self._queue))
        await self._disconnect()

    def run(self, script: Script, *arguments: bytes | str | int) -> "asyncio.Future[Any]":
        """Returns the script's reply to come. Raises EngineError, at once while the engine is down.

        arguments: the keys, then the rest. The reply is a future of its own: to leave it alone costs nothing.
        """
        if not self.is_up or len(self._queue) >= MAX_QUEUED:
            raise EngineError
        call = _Call(script, arguments, asyncio.get_running_loop().create_future())
        self._queue.append(call)
        self._wake.set()
        return call.reply

    async def run_now(self, script: Script, *arguments: bytes | str | int) -> Any:
        """Runs a script past the queue: for `returned`, while the engine does not count as up yet. Raises FAILURES."""
        call = _Call(script, arguments, asyncio.get_running_loop().create_future())
        (reply,) = await self._execute([call])
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def _own(self) -> None:
        while True:
            await self._until_back()
            while self.is_up:
                await self._wake.wait()
                self._wake.clear()
                while self._queue and self.is_up:
                    await self._run([self._queue.popleft() for _ in range(min(len(self._queue), MAX_BATCH))])

    async def _run(self, calls: list[_Call]) -> None:
        """Runs a batch; once more after a failure, if the engine answers on a new connection; else it is down."""
        try:
            replies = await self._execute(calls)
        except FAILURES as failure:
            await self._disconnect()
            try:
                await self._ping()
                replies = await self._execute(calls)
            except FAILURES:
                self._fail(calls)
                self._down(failure)
                return
        for call, reply in zip(calls, replies, strict=True):
            if call.reply.done():
                continue  # its caller has left
            if isinstance(reply, Exception):
                self._fail([call])
                self._refusals.occurred(type(reply).__name__)
            else:
                call.reply.set_result(reply)

    async def _execute(self, calls: list[_Call]) -> list[Any]:
        """The replies of a batch, errors of single scripts among them. Raises FAILURES."""
        replies = await self._send(calls, by_text=False)
        first = next((number for number, reply in enumerate(replies) if isinstance(reply, NoScriptError)), None)
        if first is not None:
            # A new engine, or SCRIPT FLUSH: the texts are sent once, and stay there. All that follows is repeated, too,
            # since the order matters: what is asked after a change must not be answered from before it.
            replies[first:] = await self._send(calls[first:], by_text=True)
        for reply in replies:
            if isinstance(reply, _NOT_USABLE) or (
                isinstance(reply, RedisError) and not isinstance(reply, ResponseError)
            ):
                raise reply
        return replies

    async def _send(self, calls: list[_Call], *, by_text: bool) -> list[Any]:
        if self._client is None:
            self._client = self._make_client()
        pipeline = self._client.pipeline(transaction=False)
        for call in calls:
            command, script = ("EVAL", call.script.text) if by_text else ("EVALSHA", call.script.sha)
            pipeline.execute_command(command, script, call.script.keys, *call.arguments)
        replies: list[Any] = await pipeline.execute(raise_on_error=False)
        return replies

    async def _until_back(self) -> None:
        """Waits for the engine; at the start it is tried at once."""
        while True:
            try:
                await self._disconnect()
                await self._ping()
                await self._returned()
            except FAILURES as failure:
                self._down(failure)
                await asyncio.sleep(PROBE_EVERY)
            else:
                self.is_up, self._is_known_down = True, False
                self._up_changed(True)
                get_log().info("shared state is up")
                return

    async def _ping(self) -> None:
        """Raises FAILURES when the engine does not answer on a new connection."""
        loop = asyncio.get_running_loop()
        for last in (False, False, False, True):
            begun = loop.time()
            try:
                async with asyncio.timeout(PROBE_TIMEOUT):
                    self._client = self._client or self._make_client()
                    await self._client.ping()
            except FAILURES:
                await self._disconnect()
                # A timer that fires late: this process was busy, which says nothing of the engine.
                if last or loop.time() - begun < PROBE_TIMEOUT + LATE:
                    raise
            else:
                return

    def _down(self, failure: BaseException) -> None:
        self.is_up = False
        self._up_changed(False)
        self._fail(list(self._queue))
        self._queue.clear()
        if not self._is_known_down:
            self._is_known_down = True
            get_log().warning("shared state is down: this process goes on by itself", error=type(failure).__name__)

    def _fail(self, calls: list[_Call]) -> None:
        for call in calls:
            if not call.reply.done():
                call.reply.set_exception(EngineError())
                call.reply.exception()  # read: nobody may be waiting for it any more

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(*FAILURES):
                async with asyncio.timeout(PROBE_TIMEOUT):
                    await client.aclose()
