"""The engine: one task owns the connection, runs scripts in batches, and finds out when the engine is down.

A caller's own task never talks to the engine: a task that is cancelled in the midst of a command closes redis-py's
connection, and callers leave all the time.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Self

from redis.exceptions import TimeoutError as RedisTimeoutError

from ..observability import spans
from ..observability.logs import get_log
from ..observability.outage_log import OutageLog
from ..observability.spans import Span
from .connecting import TIMEOUT, Client
from .connection import FAILURES, Call, Connection
from .scripts import Script
from .values import EngineError

MAX_BATCH = 128
"""Scripts sent at once: a batch must be answered within connecting.TIMEOUT."""
MAX_QUEUED = 20_000
"""Scripts that wait. Beyond that the engine counts as too slow, and callers go on without it."""
JOIN_TURNS = 2
"""Turns of the event loop without another script after which a batch is sent."""
MAX_DEFERRAL = 0.002
"""Seconds for which a script that nobody waits for may wait for others: a batch costs more than a script."""
PROBE_EVERY, MAX_PROBE_EVERY = 0.5, 4.0
"""Seconds between two PINGs while the engine is down; the longer one for an engine that fails again and again."""
STEADY = 10.0
"""Seconds: an engine that fails sooner after it was back is tried again half as often each time."""


_ATTRIBUTES = {"db.system.name": "redis", "db.operation.name": "EVALSHA"}


class Engine:
    """Runs scripts on the engine: `async with Engine(…) as engine: await engine.run(script, *keys, *arguments)`.

    make_client: makes a client with connections of its own. returned: awaited when the engine is back, or another one
    may have taken its place, before anybody else's script is run again; it may run scripts by `run_now`. up_changed:
    receives whether it is up, for metrics.
    """

    def __init__(
        self,
        make_client: Callable[[], Client],
        returned: Callable[[], Awaitable[None]],
        up_changed: Callable[[bool], None],
    ) -> None:
        self._connection = Connection(make_client, self._noticed_cut)
        self._is_cut = False
        self._cut_at = float("-inf")
        self._returned = returned
        self._up_changed = up_changed
        self._queue: deque[Call] = deque()
        self._wake = asyncio.Event()
        self._deferral: asyncio.TimerHandle | None = None
        self._last_deferred: asyncio.Future[Any] | None = None
        self._is_known_down = False
        self._up_at = float("-inf")
        self._probe_every = PROBE_EVERY
        self._cuts = OutageLog("the connection to the shared state was cut")
        self._refusals = OutageLog("shared state refused a script", resolved="shared state takes scripts again")
        self.is_up = False

    async def __aenter__(self) -> Self:
        self._owner = asyncio.create_task(self._own(), name="state")
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._send_deferred()
        self.is_up = False
        while not self._owner.done():
            self._owner.cancel()  # again, should the client's library swallow it
            await asyncio.wait([self._owner], timeout=1)
        self._fail(list(self._queue))
        await self._connection.disconnect()

    def run(self, script: Script, *arguments: bytes | str | int) -> "asyncio.Future[Any]":
        """Returns the future of the script's reply. Raises EngineError, at once while the engine is down.

        arguments: the keys, then the rest. A caller may leave the future unread, or cancel it.
        """
        reply = self._enqueue(script, arguments)
        self._wake.set()
        return reply

    def run_deferred(self, script: Script, *arguments: bytes | str | int) -> None:
        """Runs a script together with the next one, or after MAX_DEFERRAL. Raises as run() does.

        Its place among the others is kept: what is run later comes after it.
        """
        self._last_deferred = self._enqueue(script, arguments)
        if self._deferral is None:
            self._deferral = asyncio.get_running_loop().call_later(MAX_DEFERRAL, self._end_deferral)

    def _enqueue(self, script: Script, arguments: tuple[bytes | str | int, ...]) -> "asyncio.Future[Any]":
        if not self.is_up or len(self._queue) >= MAX_QUEUED:
            raise EngineError
        call = Call(script, arguments, asyncio.get_running_loop().create_future())
        span = spans.child(f"EVALSHA {script.name}", _ATTRIBUTES, is_client=True)
        if span is not None:
            call.reply.add_done_callback(partial(_end, span))
        self._queue.append(call)
        return call.reply

    def _end_deferral(self) -> None:
        self._deferral = None
        self._wake.set()

    async def _send_deferred(self) -> None:
        """At the end, and waits for it: for a result that is not stored others would wait until its lease ends."""
        if self._deferral is not None:
            self._deferral.cancel()
            self._end_deferral()
        if self._last_deferred is not None:
            await asyncio.wait({self._last_deferred}, timeout=TIMEOUT)

    async def run_now(self, script: Script, *arguments: bytes | str | int) -> Any:
        """Runs a script past the queue: for `returned`, while the engine does not count as up yet. Raises FAILURES."""
        call = Call(script, arguments, asyncio.get_running_loop().create_future())
        (reply,) = await self._connection.execute([call])
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def _own(self) -> None:
        while True:
            await self._until_back()
            while self.is_up:
                await self._wake.wait()
                self._wake.clear()
                if self._is_cut:
                    self._is_cut = False
                    await self._run([])
                while self._queue and self.is_up:
                    await self._others_joined()
                    await self._run([self._queue.popleft() for _ in range(min(len(self._queue), MAX_BATCH))])

    def _noticed_cut(self) -> None:
        """The engine has ended the connection: looked at now, not at the next script, which may be long in coming.

        An empty batch does what any batch does after a cut. One that is cut again and again is looked at less often.
        """
        loop = asyncio.get_running_loop()
        self._cut_at = max(loop.time(), self._cut_at + MAX_PROBE_EVERY)
        loop.call_at(self._cut_at, self._look_at_cut)

    def _look_at_cut(self) -> None:
        self._is_cut = True
        self._wake.set()

    async def _others_joined(self) -> None:
        """A batch costs more than a script: whoever is ready, or is so soon, joins this one."""
        joined = left = 0
        while left < JOIN_TURNS and joined < MAX_BATCH:
            await asyncio.sleep(0)
            left = left + 1 if joined == len(self._queue) else 0
            joined = len(self._queue)

    async def _run(self, calls: list[Call]) -> None:
        """Runs a batch; once more after a failure, if the engine answers on a new connection; else it is down."""
        try:
            try:
                replies = await self._connection.execute(calls)
            except FAILURES as failure:
                replies = await self._execute_again(calls, failure)
        except FAILURES as failure:
            self._fail(calls)
            self._down(failure)
        except asyncio.CancelledError:
            self._fail(calls)  # nobody may wait for ever
            raise
        else:
            self._set_replies(calls, replies)

    async def _execute_again(self, calls: list[Call], failure: Exception) -> list[Any]:
        """Runs a batch on a new connection. Raises FAILURES."""
        await self._connection.disconnect()
        await self._connection.ping()
        if not isinstance(failure, TimeoutError | RedisTimeoutError):
            # The connection was cut: by an engine that started again, or a failover that lost the latest changes. A
            # reply that was only late comes from the same engine, as a rule: of this process being busy.
            await self._returned()
            self._cuts.occurred(type(failure).__name__)
            self._cuts.resolved()  # each is logged, but for many in a minute
        return await self._connection.execute(calls)

    def _set_replies(self, calls: list[Call], replies: list[Any]) -> None:
        for call, reply in zip(calls, replies, strict=True):
            if isinstance(reply, Exception):
                self._fail([call])
                self._refusals.occurred(type(reply).__name__)
            elif not call.reply.done():  # else its caller has left
                call.reply.set_result(reply)

    async def _until_back(self) -> None:
        """Waits for the engine; it is tried at once, unless it was back only a moment ago."""
        loop = asyncio.get_running_loop()
        if loop.time() - self._up_at < STEADY:
            await asyncio.sleep(self._probe_every)
            self._probe_every = min(2 * self._probe_every, MAX_PROBE_EVERY)
        else:
            self._probe_every = PROBE_EVERY
        while True:
            try:
                await self._connection.disconnect()
                await self._connection.ping()
                await self._returned()
            except FAILURES as failure:
                self._down(failure)
                await asyncio.sleep(PROBE_EVERY)
            else:
                self._up_at = loop.time()
                self.is_up, self._is_known_down = True, False
                self._up_changed(True)
                self._refusals.resolved()
                get_log().info("shared state is up", server=self._connection.server)
                return

    def _down(self, failure: BaseException) -> None:
        self.is_up = False
        self._up_changed(False)
        self._fail(list(self._queue))
        self._queue.clear()
        if not self._is_known_down:
            self._is_known_down = True
            get_log().warning(
                "shared state is down: this process goes on by itself",
                error=type(failure).__name__,
                server=self._connection.server,
            )

    def _fail(self, calls: list[Call]) -> None:
        for call in calls:
            if not call.reply.done():
                call.reply.set_exception(EngineError())
                call.reply.exception()  # read: nobody may be waiting for it any more


def _end(span: Span, reply: "asyncio.Future[Any]") -> None:
    if reply.cancelled():
        span.end()  # its caller has left
        return
    error = reply.exception()
    span.end(None if error is None else type(error).__name__)
