"""Coalescing (singleflight): however many callers wait for an id, the vendor is asked once."""

import asyncio
from collections.abc import Awaitable, Callable

from ..deadline import MIN_SECONDS, Deadline
from ..errors import GatewayError, deadline_exceeded
from ..observability import spans
from .result_cache import MaxAge, Reading

Read = Callable[[str, MaxAge, Deadline], Awaitable[Reading]]


class _Flight:
    """One read, a task of its own, and the futures of those who wait for it.

    span: of the read, if whoever began it is traced. deadline: that of the most patient of them. references: how many
    wait, plus one for a refresh, which goes on when those who joined it have left; the read is cancelled at 0.
    """

    __slots__ = ("deadline", "references", "span", "task", "waiting")

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline.copy()
        self.waiting: set[asyncio.Future[Reading]] = set()
        self.references = 0
        self.span = spans.child("read")
        self.task: asyncio.Task[None]


class Coalescer:
    """Joins the readers of an id in one read.

    read: reads a result that is no older than max_age; raises GatewayError. store, fail: receive the reading, or the
    failure, of each read, unless the read was dropped or a later one has begun; a final reading all the same, since it
    stays true. Each reader keeps its own deadline and may leave; the read is cancelled when the last has left.
    """

    def __init__(
        self, read: Read, store: Callable[[str, Reading], None], fail: Callable[[str, GatewayError], None]
    ) -> None:
        self._read = read
        self._store = store
        self._fail = fail
        self._latest: dict[str, _Flight] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # those of dropped reads, too

    async def get(
        self, call_request_id: str, max_age: MaxAge, deadline: Deadline, *, fresh: bool
    ) -> tuple[Reading, bool]:
        """Returns the reading, and whether the read had begun before. fresh: only by a read that begins now.

        Raises GatewayError: the failure of the read, DEADLINE_EXCEEDED when the reader's own time is over.
        """
        left = deadline.remaining()
        if left < MIN_SECONDS:
            raise deadline_exceeded()
        flight = None if fresh else self._latest.get(call_request_id)
        joined = flight is not None
        if flight is None:
            flight = self._begin(call_request_id, max_age, deadline)
        else:
            flight.deadline.extend(deadline)
            if flight.span is not None and (span := spans.current()) is not None:
                span.link(flight.span)
        # A future of its own, not the task: a reader that leaves would cancel the task for the others.
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Reading] = loop.create_future()
        timer = loop.call_later(left, _exceed_deadline, answer)
        flight.waiting.add(answer)
        flight.references += 1
        try:
            return await answer, joined
        finally:
            timer.cancel()
            flight.waiting.discard(answer)
            flight.references -= 1
            if not flight.references:
                flight.task.cancel()
                self._forget(call_request_id, flight)

    def refresh(self, call_request_id: str, max_age: MaxAge, deadline: Deadline) -> None:
        """Begins a read for which nobody waits yet, unless one is under way. Readers that come meanwhile join it."""
        if call_request_id not in self._latest:
            self._begin(call_request_id, max_age, deadline).references = 1

    def drop(self, call_request_id: str) -> None:
        """Lets nobody join the read under way, and does not store what it returns: it may be out of date by then.

        Those who wait still receive it, and a final result is stored all the same.
        """
        flight = self._latest.pop(call_request_id, None)
        if flight is not None:
            flight.references = len(flight.waiting)  # a refresh is only for what would be stored
            if not flight.references:
                flight.task.cancel()

    async def aclose(self) -> None:
        """Cancels all reads; who waits for one gets DEADLINE_EXCEEDED."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _begin(self, call_request_id: str, max_age: MaxAge, deadline: Deadline) -> _Flight:
        self.drop(call_request_id)
        flight = self._latest[call_request_id] = _Flight(deadline)
        flight.task = asyncio.create_task(self._run(call_request_id, max_age, flight))
        self._tasks.add(flight.task)
        flight.task.add_done_callback(self._tasks.discard)
        return flight

    async def _run(self, call_request_id: str, max_age: MaxAge, flight: _Flight) -> None:
        try:
            if flight.span is None:
                reading = await self._read(call_request_id, max_age, flight.deadline)
            else:
                with spans.within(flight.span):
                    reading = await self._read(call_request_id, max_age, flight.deadline)
        except BaseException as error:
            # Whatever it is, a defect or this task's own cancellation: those who wait must not wait for ever.
            is_latest = self._forget(call_request_id, flight)
            failure = deadline_exceeded() if isinstance(error, asyncio.CancelledError) else error
            for answer in flight.waiting:
                if not answer.done():
                    answer.set_exception(failure)
            if is_latest and isinstance(error, GatewayError):
                self._fail(call_request_id, error)
            if not isinstance(error, Exception):
                raise
            return
        is_latest = self._forget(call_request_id, flight)
        for answer in flight.waiting:  # first: whatever becomes of storing it, nobody waits for ever
            if not answer.done():
                answer.set_result(reading)
        if is_latest or reading.final:
            self._store(call_request_id, reading)

    def _forget(self, call_request_id: str, flight: _Flight) -> bool:
        """Nobody can join it any more. Returns whether it was the latest of its id."""
        if self._latest.get(call_request_id) is not flight:
            return False
        del self._latest[call_request_id]
        return True


def _exceed_deadline(answer: "asyncio.Future[Reading]") -> None:
    if not answer.done():
        answer.set_exception(deadline_exceeded())
