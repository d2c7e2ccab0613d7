"""Reads under way: however many wait for an id, the vendor is asked once."""

import asyncio
from collections.abc import Awaitable, Callable

from .deadline import LEAST, Deadline
from .errors import deadline_exceeded
from .kept_results import Reading

Read = Callable[[str, Deadline], Awaitable[Reading]]


class _UnderWay:
    """One read, a task of its own, and those who wait for it. It has as much time as the most patient of them.

    wanted: by one more than wait, if it is a refresh: it must not end when those who joined it leave.
    """

    __slots__ = ("deadline", "task", "waiting", "wanted")

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline.sooner(0)
        self.waiting: set[asyncio.Future[Reading]] = set()
        self.wanted = 0
        self.task: asyncio.Task[None]


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
        left = deadline.remaining()
        if left < LEAST:
            raise deadline_exceeded()
        under_way = None if fresh else self._latest.get(call_request_id)
        shared = under_way is not None
        if under_way is None:
            under_way = self._begin(call_request_id, deadline)
        else:
            under_way.deadline.extend(deadline)
        # The task is not awaited itself: a reader that leaves must not take the read from the others.
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Reading] = loop.create_future()
        timer = loop.call_later(left, _out_of_time, answer)
        under_way.waiting.add(answer)
        under_way.wanted += 1
        try:
            return await answer, shared
        finally:
            timer.cancel()
            under_way.waiting.discard(answer)
            under_way.wanted -= 1
            if not under_way.wanted:
                self._end(call_request_id, under_way)

    def refresh(self, call_request_id: str, deadline: Deadline) -> None:
        """Begins a read that nobody waits for yet, unless one is under way. Whoever asks meanwhile joins it."""
        if call_request_id not in self._latest:
            self._begin(call_request_id, deadline).wanted = 1

    def drop(self, call_request_id: str) -> None:
        """Nobody joins the read under way any more, and its answer is not kept: the truth may have changed since."""
        under_way = self._latest.pop(call_request_id, None)
        if under_way is not None:
            under_way.wanted = len(under_way.waiting)  # a refresh is wanted for its answer to be kept
            if not under_way.wanted:
                under_way.task.cancel()

    async def aclose(self) -> None:
        """Ends the reads that nobody waits for."""
        tasks = [under_way.task for under_way in self._latest.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _begin(self, call_request_id: str, deadline: Deadline) -> _UnderWay:
        self.drop(call_request_id)
        under_way = self._latest[call_request_id] = _UnderWay(deadline)
        under_way.task = asyncio.create_task(self._run(call_request_id, under_way))
        return under_way

    def _end(self, call_request_id: str, under_way: _UnderWay) -> None:
        under_way.task.cancel()
        self._forget(call_request_id, under_way)

    async def _run(self, call_request_id: str, under_way: _UnderWay) -> None:
        """Reads, and tells all who wait."""
        try:
            reading = await self._read(call_request_id, under_way.deadline)
        except BaseException as error:
            # A defect is told, too; and when this task is ended from outside, those who wait must not wait for ever.
            self._forget(call_request_id, under_way)
            told = deadline_exceeded() if isinstance(error, asyncio.CancelledError) else error
            for answer in under_way.waiting:
                if not answer.done():
                    answer.set_exception(told)
            if not isinstance(error, Exception):
                raise
            return
        if self._latest.get(call_request_id) is under_way:
            del self._latest[call_request_id]
            self._keep(call_request_id, reading)
        for answer in under_way.waiting:
            if not answer.done():
                answer.set_result(reading)

    def _forget(self, call_request_id: str, under_way: _UnderWay) -> None:
        if self._latest.get(call_request_id) is under_way:
            del self._latest[call_request_id]


def _out_of_time(answer: "asyncio.Future[Reading]") -> None:
    if not answer.done():
        answer.set_exception(deadline_exceeded())
