"""One caller that watches: when it receives a message, and when its watch ends."""

import asyncio
import math
from typing import Protocol

from ..deadline import MIN_SECONDS, now
from ..errors import GatewayError, deadline_exceeded
from .ended import DRAIN, NOT_READING, REBALANCE, WatchEndedError
from .watched_result import WatchedResult

MAX_WRITE = 60.0
"""Seconds that one write may take: a caller that reads nothing for longer loses its watch."""


class Stream(Protocol):
    """The caller's end of a watch."""

    def check_caller(self) -> None:
        """Raises CALLER_UNAUTHENTICATED or CALLER_FORBIDDEN when the caller may not watch, or not any more."""

    def connection(self) -> str:
        """A name of the caller's connection, the same for all its streams."""

    def time_remaining(self) -> float | None:
        """Seconds until the caller's deadline; None without one."""

    async def begin(self) -> None:
        """Sends the headers, so that the caller sees an open stream before the first message."""

    async def write(self, message: bytes) -> None:
        """Sends a message; waits as long as the caller does not read."""


class Watcher:
    """Sends a caller the snapshot, then each change, until the result is final.

    At most one message waits for the caller: whoever reads slowly receives the newest snapshot, not each of them.
    heartbeat: seconds after which the snapshot is sent again; None: never. life: seconds after which the watch ends
    with REBALANCE.
    """

    __slots__ = (
        "_ends_at",
        "_heartbeat",
        "_is_draining",
        "_out_of_time_at",
        "_refused",
        "_stream",
        "_waiting",
        "_watched",
        "sent",
    )

    def __init__(self, watched: WatchedResult, stream: Stream, heartbeat: float | None, life: float) -> None:
        self._watched = watched
        self._stream = stream
        self._heartbeat = math.inf if heartbeat is None else heartbeat
        remaining = stream.time_remaining()
        self._ends_at = now() + life
        # Before the deadline: the caller's library would end the stream without our details.
        self._out_of_time_at = math.inf if remaining is None else now() + remaining - min(MIN_SECONDS, remaining / 10)
        self._is_draining = False
        self._refused: GatewayError | None = None
        self._waiting: asyncio.Future[None] | None = None
        self.sent = 0  # messages

    def wake(self) -> None:
        """Has it look at the result and the clock."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def drain(self) -> None:
        """Ends the watch with DRAIN, after the message that is due."""
        self._is_draining = True
        self.wake()

    def recheck(self) -> None:
        """Ends the watch if its caller may not watch any more."""
        try:
            self._stream.check_caller()
        except GatewayError as error:
            self._refused = error
            self.wake()

    async def run(self) -> None:
        """Returns after a final result. Raises GatewayError when the watch ends for another reason."""
        version, heartbeat_at = 0, math.inf
        if self._watched.snapshot is None:
            await self._stream.begin()
        while True:
            if self._refused is not None:
                raise self._refused
            snapshot, moment = self._watched.snapshot, now()
            if snapshot is not None and (self._watched.version != version or moment >= heartbeat_at):
                version = self._watched.version
                await self._write(snapshot.message)
                if snapshot.final:
                    return
                heartbeat_at = now() + self._heartbeat
                continue
            if self._watched.failure is not None:
                raise GatewayError(self._watched.failure)
            if self._is_draining:
                raise WatchEndedError(DRAIN)
            if moment >= self._out_of_time_at:
                raise deadline_exceeded()
            if moment >= self._ends_at:
                raise WatchEndedError(REBALANCE)
            await self._sleep(min(heartbeat_at, self._ends_at, self._out_of_time_at))

    async def _write(self, message: bytes) -> None:
        try:
            async with asyncio.timeout(MAX_WRITE):
                await self._stream.write(message)
        except TimeoutError:
            raise WatchEndedError(NOT_READING) from None
        self.sent += 1

    async def _sleep(self, until: float) -> None:
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        timer = loop.call_at(until, self.wake)
        try:
            await self._waiting
        finally:
            timer.cancel()
            self._waiting = None
