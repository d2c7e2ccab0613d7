"""All watches of a process."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from callrequest.v1 import error_reason_pb2 as reasons

from ..errors import GatewayError
from ..reading.result_cache import Reading
from .ended import DRAIN, FINAL, WatchEndedError, cause_of
from .gaps import Gaps
from .pace import Pace
from .poll_limit import PollLimit
from .turns import Turns
from .watched_result import Read, WatchedResult
from .watcher import Stream, Watcher

MIN_LIFE, MAX_LIFE = 1 / 3, 2 / 3
"""Bounds of a watch's life, as shares of a connection's: callers that watch for hours spread over new servers, too."""


RECHECK_INTERVAL = 5.0
"""Seconds between two looks whether a watcher's caller may still watch: a watch may be silent for longer."""


class WatchObserver(Protocol):
    """Learns how each watch ended. cause: one of ended.CAUSES. messages: how many were sent."""

    def __call__(self, call_request_id: str, cause: str, messages: int, seconds: float) -> None: ...


class Watches:
    """Follows results for many callers, with one poll for each call request however many watch it.

    Is an observer of all readings in this process (`reading.results.ReadingObserver`). in_progress: entered by each
    watch, bounds them. max_per_connection: bounds those of one connection: a caller's library holds back all further
    calls on a connection whose streams are taken. connection_life: seconds after which the server ends a connection.
    polled: receives of each poll that has ended whether it brought a reading, or one of the failures that end watches.
    """

    def __init__(
        self,
        read: Read,
        pace: Pace,
        polls: PollLimit,
        in_progress: AbstractContextManager[None],
        *,
        max_per_connection: int,
        connection_life: float,
        ended: WatchObserver,
        polled: Callable[[bool], None] = lambda success: None,
    ) -> None:
        self._read = read
        self._pace = pace
        self._polls = polls
        self._in_progress = in_progress
        self._max_per_connection = max_per_connection
        self._connection_life = connection_life
        self._ended = ended
        self._polled = polled
        self._turns = Turns()
        self._gaps = Gaps(self._poll_all)
        self._rechecking: asyncio.TimerHandle | None = None
        self._watched: dict[str, tuple[WatchedResult, set[Watcher]]] = {}
        self._by_connection: Counter[str] = Counter()
        self._watchers: set[Watcher] = set()
        self._is_draining = False

    async def follow(self, call_request_id: str, heartbeat: float | None, stream: Stream) -> None:
        """Sends the result to the stream until it is final; heartbeat: as for Watcher.

        Raises GatewayError: OVERLOADED at once when there are too many watches, in all or on this connection;
        CALL_REQUEST_NOT_FOUND, VENDOR_REJECTED_REQUEST, DEADLINE_EXCEEDED, WATCH_ENDED. Other failures of reads end no
        watch.
        """
        if self._is_draining:
            raise WatchEndedError(DRAIN)
        with (
            self._in_progress,
            self._place_on(stream.connection()),
            self._watch(call_request_id, heartbeat, stream) as watcher,
        ):
            begun, cause = time.monotonic(), FINAL
            try:
                await watcher.run()
            except BaseException as error:
                cause = cause_of(error)
                raise
            finally:
                self._ended(call_request_id, cause, watcher.sent, time.monotonic() - begun)

    def on_reading(self, call_request_id: str, reading: Reading) -> None:
        """Takes a reading of a watched call request, whoever asked for it."""
        if call_request_id in self._watched:
            self._watched[call_request_id][0].receive(reading)

    def on_invalidated(self, call_request_id: str | None) -> None:
        """Polls a watched call request at once: a cancel may have changed it. None: all of them, as `Gaps` has it."""
        if call_request_id is not None:
            if call_request_id in self._watched:
                self._watched[call_request_id][0].invalidate()
        elif self._watched:
            self._gaps.occurred()

    def follows(self, call_request_id: str) -> bool:
        """Whether anybody watches it."""
        return call_request_id in self._watched

    def drain(self) -> None:
        """Ends all watches with WATCH_ENDED, and those that begin from now on."""
        self._is_draining = True
        self._turns.run([watcher.drain for watcher in self._watchers])

    def _poll_all(self) -> None:
        for watched, _ in list(self._watched.values()):
            watched.invalidate()

    @contextmanager
    def _watch(self, call_request_id: str, heartbeat: float | None, stream: Stream) -> Iterator[Watcher]:
        watched, watchers = self._watched.get(call_request_id) or self._begin(call_request_id)
        life = self._connection_life * random.uniform(MIN_LIFE, MAX_LIFE)  # noqa: S311 (jitter)
        watcher = Watcher(watched, stream, heartbeat, life)
        watchers.add(watcher)
        self._watchers.add(watcher)
        self._recheck_later()
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            watchers.discard(watcher)
            if not watchers:
                watched.close()
                if self._watched.get(call_request_id, (None,))[0] is watched:
                    del self._watched[call_request_id]

    def _begin(self, call_request_id: str) -> tuple[WatchedResult, set[Watcher]]:
        watchers: set[Watcher] = set()

        def changed() -> None:
            if watched.failure is not None:  # who comes now begins anew
                self._watched.pop(call_request_id, None)
            self._turns.run([watcher.wake for watcher in watchers])

        watched = WatchedResult(call_request_id, self._read, self._pace, self._polls, changed, self._polled)
        self._watched[call_request_id] = watched, watchers
        watched.start()
        return watched, watchers

    def _recheck_later(self) -> None:
        if self._rechecking is None:
            self._rechecking = asyncio.get_running_loop().call_later(RECHECK_INTERVAL, self._recheck)

    def _recheck(self) -> None:
        """Has all watchers look whether their callers may still watch; again later, as long as there are any."""
        self._rechecking = None
        if self._watchers:
            self._turns.run([watcher.recheck for watcher in self._watchers])
            self._recheck_later()

    @contextmanager
    def _place_on(self, connection: str) -> Iterator[None]:
        if self._by_connection[connection] >= self._max_per_connection:
            raise GatewayError(reasons.ERROR_REASON_OVERLOADED)
        self._by_connection[connection] += 1
        try:
            yield
        finally:
            self._by_connection[connection] -= 1
            if not self._by_connection[connection]:
                del self._by_connection[connection]
