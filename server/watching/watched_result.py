"""One watched call request: its latest snapshot, and the one poll that all its watchers share."""

import asyncio
from collections.abc import Awaitable, Callable

from ..deadline import MAX_SECONDS, Deadline, now
from ..errors import GatewayError, Reason
from ..observability import spans
from ..observability.logs import describe, get_log
from ..reading.result_cache import Reading
from .ended import ENDING_REASONS
from .pace import FRESHNESS, Pace
from .poll_limit import PollLimit
from .snapshot import Snapshot

Read = Callable[[str, float | None, Deadline], Awaitable[Reading]]
"""Reads a result that is at most max_age seconds old (None: the default). Raises GatewayError."""


class WatchedResult:
    """Polls from `start` to `close`, or until the result is final or cannot be read for good.

    changed: called after each change of `version` and when `failure` is set; it must not wait. polled: receives of each
    poll that has ended whether it brought a reading, or a failure that ends watches.
    """

    __slots__ = (
        "_again",
        "_call_request_id",
        "_changed",
        "_limit",
        "_pace",
        "_polled",
        "_polling",
        "_read",
        "_timer",
        "failure",
        "snapshot",
        "version",
    )

    def __init__(
        self,
        call_request_id: str,
        read: Read,
        pace: Pace,
        limit: PollLimit,
        changed: Callable[[], None],
        polled: Callable[[bool], None],
    ) -> None:
        self._call_request_id = call_request_id
        self._read = read
        self._pace = pace
        self._limit = limit
        self._changed = changed
        self._polled = polled
        self._timer: asyncio.TimerHandle | None = None
        self._polling: asyncio.Task[None] | None = None
        self._again = False
        self.snapshot: Snapshot | None = None
        self.version = 0  # grows with each change; 0: no snapshot
        self.failure: Reason | None = None

    def start(self) -> None:
        """Polls for the first time: whatever answer Get would return is good enough."""
        self._poll(None)

    def close(self) -> None:
        """Ends the polling, and the read in progress unless others wait for it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._polling is not None:
            self._polling.cancel()

    def receive(self, reading: Reading) -> None:
        """Takes a reading, of its own poll or of anybody else, and sets the time of the next poll by it.

        A reading that is not newer than the latest changes nothing, nor does any after a final one.
        """
        before = self.snapshot
        if self._is_over() or (before is not None and before.is_as_new_as(reading)):
            return
        self.snapshot = snapshot = Snapshot.of(reading)
        if snapshot.final:
            self.close()
        else:
            interval = self._pace.interval(snapshot, first=before is None)
            self._schedule(interval - (now() - reading.read_at), FRESHNESS * interval)
        if before is None or snapshot.content != before.content:
            self.version += 1
            self._changed()

    def invalidate(self) -> None:
        """Polls at once: what was read before may not be true any more."""
        if self._polling is not None:
            self._again = True  # the poll in progress may bring the old truth
        elif not self._is_over():
            self._poll(None)

    def _is_over(self) -> bool:
        return self.failure is not None or (self.snapshot is not None and self.snapshot.final)

    def _schedule(self, seconds: float, max_age: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(max(seconds, 0), self._poll, max_age)

    def _poll(self, max_age: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._polling is None:
            self._polling = asyncio.create_task(self._run(max_age), name="poll", context=spans.outside())

    async def _run(self, max_age: float | None) -> None:
        wait, reading = self._pace.interval(self.snapshot), None
        try:
            async with self._limit.place(first=self.snapshot is None):
                reading = await self._read(self._call_request_id, max_age, Deadline(now() + MAX_SECONDS))
        except GatewayError as error:
            if error.reason in ENDING_REASONS:
                self.failure = error.reason
                self._changed()
            elif error.wait_is_known:
                wait = max(wait, error.retry_after)
            self._polled(self.failure is not None)
        except Exception as error:
            self._polled(False)
            get_log().error("unexpected", **describe(error))  # a defect: the watchers still wait for what comes next
        finally:
            self._polling = None
        if reading is not None:
            self._polled(True)
            self.receive(reading)
        if self._is_over():
            return
        if self._again:
            self._again = False
            self._poll(None)
        elif self._timer is None:
            self._schedule(wait, FRESHNESS * wait)
