"""Callers: each follows one call request after the other, by polling or by watching, at one of several gateways.

They are made of frames: thousands of them cost this process little.
"""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from callrequest.v1.call_request_pb2 import CallRequestResult
from testkit.http2_connection import Connection, Ended
from testkit.watch_connection import WatchConnection

from .lives import FINAL

WATCHES_PER_CONNECTION = 90
"""Below three quarters of MAX_STREAMS."""
DEADLINE = 10.0
PAUSE = 0.2
"""Seconds after which a caller tries again when a gateway does not take its connection."""


@dataclass(slots=True)
class Gateway:
    """A gateway as callers reach it."""

    port: int
    host: str = "127.0.0.1"
    _polls: list[Connection] = field(default_factory=list)
    _watches: list[WatchConnection] = field(default_factory=list)
    _connecting: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def read(self, call_request_id: str, max_age: float | None = None) -> Ended:
        """Reads a result. Raises OSError when there is no gateway."""
        return await (await self._connection()).read(call_request_id, DEADLINE, max_age)

    async def cancel(self, call_request_id: str) -> Ended:
        """Cancels a call request. Raises OSError when there is no gateway."""
        return await (await self._connection()).cancel(call_request_id, DEADLINE)

    async def _connection(self) -> Connection:
        async with self._connecting:
            self._polls = [each for each in self._polls if not each.closed and not each.going_away]
            while len(self._polls) < 8:
                self._polls.append(await Connection.to(self.port, self.host))
            return min(self._polls, key=lambda each: len(each.open))

    async def watch(self, call_request_id: str, received: Callable[[CallRequestResult], None]) -> Ended:
        """Watches until the watch ends. Raises OSError when there is no gateway."""
        ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        async with self._connecting:
            self._watches = [each for each in self._watches if not each.closed and not each.going_away]
            free = (each for each in self._watches if each.open < WATCHES_PER_CONNECTION)
            connection = next(free, None)
            if connection is None:
                self._watches.append(connection := await WatchConnection.to(self.port, host=self.host))
            connection.follow(call_request_id, received, lambda end: None if ended.done() else ended.set_result(end))
        return await ended

    def close(self) -> None:
        """Cuts all connections."""
        for connection in self._polls:
            connection.transport.abort()
        for watches in self._watches:
            watches.close()


Sees = Callable[[str, int, float], None]
"""Receives the id, the status (as in STATUSES) and the time (time.monotonic) when a caller sees a status first."""


@dataclass(slots=True)
class Caller:
    """gateway: one that is up. sees: what it sees first of each status."""

    gateway: Callable[[], Gateway]
    sees: Sees

    async def poll(self, call_request_id: str, every: float) -> None:
        """Reads the result again and again until it is final. every: seconds between two reads, on average.

        A slow answer does not put off the next read.
        """
        gateway, seen, due = self.gateway(), -1, time.monotonic()
        while seen != FINAL:
            try:
                ended = await gateway.read(call_request_id)
            except OSError:
                ended = Ended(None, 0)
            if ended.code == 0:
                seen = self._see(call_request_id, ended.result, seen)
            elif ended.code is None:
                gateway = self.gateway()
                await asyncio.sleep(PAUSE)
                continue
            if seen != FINAL:
                due += every * random.uniform(0.95, 1.05)  # noqa: S311 (not for secrets)
                await asyncio.sleep(due - time.monotonic())

    async def watch(self, call_request_id: str) -> None:
        """Watches until the result is final, again after each end."""
        seen = -1

        def received(result: CallRequestResult) -> None:
            nonlocal seen
            seen = self._see(call_request_id, result, seen)

        while seen != FINAL:
            try:
                ended = await self.gateway().watch(call_request_id, received)
            except OSError:
                ended = Ended(None, 0)
            if seen != FINAL:
                await asyncio.sleep(ended.retry_after or PAUSE)

    def _see(self, call_request_id: str, result: CallRequestResult, seen: int) -> int:
        status = result.status - 1
        if status > seen:
            self.sees(call_request_id, status, time.monotonic())
        return max(status, seen)
