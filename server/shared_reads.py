"""Reads under way: however many wait for an id, the vendor is asked once."""

import asyncio
from collections.abc import Awaitable, Callable

from .deadline import Deadline
from .errors import deadline_exceeded
from .kept_results import Reading

Read = Callable[[str, Deadline], Awaitable[Reading]]


class _UnderWay:
    """One read, a task of its own, and how many wait for it. It has as much time as the most patient of them."""

    __slots__ = ("deadline", "ended", "task", "waiting")

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline.sooner(0)
        self.waiting = 0
        self.ended: set[asyncio.Future[None]] = set()
        self.task: asyncio.Task[Reading]


class SharedReads:
    """Joins readers of one id.

    read: asks the vendor. keep: is given each good answer, unless the read was dropped or a fresher one begun. Each
    reader keeps its own deadline and may leave; the read ends when the last has left. A failure is shared with those
    who wait, and never kept.
    """

    def __init__(self, read: Read, keep: Callable[[str, Reading], None]) -> None:
        self._read = read
        self._keep = keep
        self._latest: dict[str, _UnderWay] = {}

    async def get(self, call_request_id: str, deadline: Deadline, *, fresh: bool) -> tuple[Reading, bool]:
        """The answer, and whether another's read gave it. fresh: by a read that begins now, never an older one.

        Raises GatewayError.
        """
        if deadline.spent():
            raise deadline_exceeded()
        under_way = None if fresh else self._latest.get(call_request_id)
        shared = under_way is not None
        if under_way is None:
            under_way = self._begin(call_request_id, deadline)
        else:
            under_way.deadline.extend(deadline)
        # The task is not awaited itself: a reader that leaves must not take the read from the others.
        await self._wait(call_request_id, under_way, deadline)
        if under_way.task.done() and not under_way.task.cancelled():
            return under_way.task.result(), shared
        raise deadline_exceeded()

    def refresh(self, call_request_id: str, deadline: Deadline) -> None:
        """Begins a read that nobody waits for yet, unless one is under way. Whoever asks meanwhile joins it."""
        if call_request_id not in self._latest:
            under_way = self._begin(call_request_id, deadline)
            under_way.waiting += 1  # one more than really wait: it must not end when those who joined it leave

    def drop(self, call_request_id: str) -> None:
        """Nobody joins the read under way any more, and its answer is not kept: the truth may have changed since."""
        self._latest.pop(call_request_id, None)

    async def aclose(self) -> None:
        """Ends the reads that nobody waits for."""
        tasks = [under_way.task for under_way in self._latest.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _wait(self, call_request_id: str, under_way: _UnderWay, deadline: Deadline) -> None:
        """Waits for the end of a read, or of the reader's time."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(max(deadline.remaining(), 0), _end, ended)
        under_way.ended.add(ended)
        under_way.waiting += 1
        try:
            await ended
        finally:
            timer.cancel()
            under_way.ended.discard(ended)
            under_way.waiting -= 1
            if not under_way.waiting and not under_way.task.done():
                under_way.task.cancel()
                self._forget(call_request_id, under_way)

    def _begin(self, call_request_id: str, deadline: Deadline) -> _UnderWay:
        under_way = self._latest[call_request_id] = _UnderWay(deadline)
        under_way.task = asyncio.create_task(self._run(call_request_id, under_way), name="read")
        under_way.task.add_done_callback(lambda task: _tell(under_way))
        return under_way

    async def _run(self, call_request_id: str, under_way: _UnderWay) -> Reading:
        try:
            reading = await self._read(call_request_id, under_way.deadline)
            if self._latest.get(call_request_id) is under_way:
                self._keep(call_request_id, reading)
            return reading
        finally:
            self._forget(call_request_id, under_way)

    def _forget(self, call_request_id: str, under_way: _UnderWay) -> None:
        if self._latest.get(call_request_id) is under_way:
            del self._latest[call_request_id]


def _tell(under_way: _UnderWay) -> None:
    """Tells all who wait that the read has ended."""
    if not under_way.task.cancelled():
        under_way.task.exception()  # read, so that a refresh that failed is no "exception was never retrieved"
    for ended in under_way.ended:
        _end(ended)


def _end(ended: "asyncio.Future[None]") -> None:
    if not ended.done():
        ended.set_result(None)
