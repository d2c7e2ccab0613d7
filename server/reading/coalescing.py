"""Reads under way: however many wait for an id, the vendor is asked once."""

import asyncio
from collections.abc import Awaitable, Callable

from ..deadline import MIN_SECONDS, Deadline
from ..errors import deadline_exceeded
from .result_cache import MaxAge, Reading

Read = Callable[[str, MaxAge, Deadline], Awaitable[Reading]]


class _Flight:
    """One read, a task of its own, and those who wait for it. It has as much time as the most patient of them.

    wanted: by one more than wait, if it is a refresh: it must not end when those who joined it leave.
    """

    __slots__ = ("deadline", "task", "waiting", "wanted")

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline.earlier(0)
        self.waiting: set[asyncio.Future[Reading]] = set()
        self.wanted = 0
        self.task: asyncio.Task[None]


class Coalescer:
    """Joins readers of one id.

    read: reads a result that is no older than max_age. store: receives each good answer, unless the read was dropped or
    a fresher one begun. Each reader keeps its own deadline and may leave; the read ends when the last has left. A
    failure is shared with those who wait, and never kept.
    """

    def __init__(self, read: Read, store: Callable[[str, Reading], None]) -> None:
        self._read = read
        self._store = store
        self._latest: dict[str, _Flight] = {}

    async def get(
        self, call_request_id: str, max_age: MaxAge, deadline: Deadline, *, fresh: bool
    ) -> tuple[Reading, bool]:
        """The answer, and whether another's read gave it. fresh: by a read that begins now, never an older one.

        Raises GatewayError.
        """
        left = deadline.remaining()
        if left < MIN_SECONDS:
            raise deadline_exceeded()
        flight = None if fresh else self._latest.get(call_request_id)
        shared = flight is not None
        if flight is None:
            flight = self._begin(call_request_id, max_age, deadline)
        else:
            flight.deadline.extend(deadline)
        # The task is not awaited itself: a reader that leaves must not take the read from the others.
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Reading] = loop.create_future()
        timer = loop.call_later(left, _out_of_time, answer)
        flight.waiting.add(answer)
        flight.wanted += 1
        try:
            return await answer, shared
        finally:
            timer.cancel()
            flight.waiting.discard(answer)
            flight.wanted -= 1
            if not flight.wanted:
                self._end(call_request_id, flight)

    def refresh(self, call_request_id: str, max_age: MaxAge, deadline: Deadline) -> None:
        """Begins a read that nobody waits for yet, unless one is under way. Whoever asks meanwhile joins it."""
        if call_request_id not in self._latest:
            self._begin(call_request_id, max_age, deadline).wanted = 1

    def drop(self, call_request_id: str) -> None:
        """Nobody joins the read under way any more, and its answer is not kept: the truth may have changed since."""
        flight = self._latest.pop(call_request_id, None)
        if flight is not None:
            flight.wanted = len(flight.waiting)  # a refresh is wanted for its answer to be kept
            if not flight.wanted:
                flight.task.cancel()

    async def aclose(self) -> None:
        """Ends the reads that nobody waits for."""
        tasks = [flight.task for flight in self._latest.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _begin(self, call_request_id: str, max_age: MaxAge, deadline: Deadline) -> _Flight:
        self.drop(call_request_id)
        flight = self._latest[call_request_id] = _Flight(deadline)
        flight.task = asyncio.create_task(self._run(call_request_id, max_age, flight))
        return flight

    def _end(self, call_request_id: str, flight: _Flight) -> None:
        flight.task.cancel()
        self._forget(call_request_id, flight)

    async def _run(self, call_request_id: str, max_age: MaxAge, flight: _Flight) -> None:
        """Reads, and tells all who wait."""
        try:
            reading = await self._read(call_request_id, max_age, flight.deadline)
        except BaseException as error:
            # A defect is told, too; and when this task is ended from outside, those who wait must not wait for ever.
            self._forget(call_request_id, flight)
            told = deadline_exceeded() if isinstance(error, asyncio.CancelledError) else error
            for answer in flight.waiting:
                if not answer.done():
                    answer.set_exception(told)
            if not isinstance(error, Exception):
                raise
            return
        if self._latest.get(call_request_id) is flight:
            del self._latest[call_request_id]
            self._store(call_request_id, reading)
        for answer in flight.waiting:
            if not answer.done():
                answer.set_result(reading)

    def _forget(self, call_request_id: str, flight: _Flight) -> None:
        if self._latest.get(call_request_id) is flight:
            del self._latest[call_request_id]


def _out_of_time(answer: "asyncio.Future[Reading]") -> None:
    if not answer.done():
        answer.set_exception(deadline_exceeded())
