"""All watches of a process."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from callrequest.v1 import error_reason_pb2 as reasons

from ..concurrency_limit import ConcurrencyLimit
from ..errors import GatewayError
from ..observability.logs import get_log
from ..reading.result_cache import Reading
from .ended import DRAIN, WatchEndedError, cause_of
from .pace import Pace
from .poll_limit import PollLimit
from .waker import Waker
from .watched_result import Read, WatchedResult
from .watcher import Stream, Watcher

MIN_LIFE, MAX_LIFE = 1 / 3, 2 / 3
"""Bounds of a watch's life, as shares of a connection's: callers that watch for hours spread over new servers, too."""


class WatchMetrics(Protocol):
    """Counts how watches end."""

    def watch_ended(self, cause: str) -> None: ...


class Watches:
    """Follows results for many callers, with one poll for each call request however many watch it.

    Is an observer of all readings in this process (`reading.results.ReadingObserver`). in_progress: bounds the watches.
    max_per_connection: bounds those of one connection: a caller's library holds back all further calls on a connection
    whose streams are taken. connection_life: seconds after which the server ends a connection.
    """

    def __init__(
        self,
        read: Read,
        pace: Pace,
        polls: PollLimit,
        in_progress: ConcurrencyLimit,
        *,
        max_per_connection: int,
        connection_life: float,
        metrics: WatchMetrics,
    ) -> None:
        self._read = read
        self._pace = pace
        self._polls = polls
        self._in_progress = in_progress
        self._max_per_connection = max_per_connection
        self._connection_life = connection_life
        self._metrics = metrics
        self._waker = Waker()
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
            begun, error = time.monotonic(), None
            try:
                await watcher.run()
            except BaseException as raised:
                error = raised
                raise
            finally:
                cause = cause_of(error)
                self._metrics.watch_ended(cause)
                get_log().info(
                    "watch_ended",
                    call_request_id=call_request_id,
                    cause=cause,
                    messages=watcher.sent,
                    seconds=round(time.monotonic() - begun, 3),
                )

    def recheck(self) -> None:
        """Has all watchers look whether their callers may still watch."""
        self._waker.wake(self._watchers)

    def on_reading(self, call_request_id: str, reading: Reading) -> None:
        """Takes a reading of a watched call request, whoever asked for it."""
        if call_request_id in self._watched:
            self._watched[call_request_id][0].receive(reading)

    def on_invalidated(self, call_request_id: str | None) -> None:
        """Polls a watched call request at once: a cancel may have changed it. None: all of them."""
        ids = list(self._watched) if call_request_id is None else [call_request_id]
        for each in ids:
            if each in self._watched:
                self._watched[each][0].invalidate()

    def drain(self) -> None:
        """Ends all watches with WATCH_ENDED, and those that begin from now on."""
        self._is_draining = True
        for watcher in self._watchers:
            watcher.drain()
        self._waker.wake(self._watchers)

    @contextmanager
    def _watch(self, call_request_id: str, heartbeat: float | None, stream: Stream) -> Iterator[Watcher]:
        watched, watchers = self._watched.get(call_request_id) or self._begin(call_request_id)
        life = self._connection_life * random.uniform(MIN_LIFE, MAX_LIFE)  # noqa: S311 (jitter)
        watcher = Watcher(watched, stream, heartbeat, life)
        watchers.add(watcher)
        self._watchers.add(watcher)
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
            self._waker.wake(watchers)

        watched = WatchedResult(call_request_id, self._read, self._pace, self._polls, changed)
        self._watched[call_request_id] = watched, watchers
        watched.start()
        return watched, watchers

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
