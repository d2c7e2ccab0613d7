"""Reads under way: however many wait for an id, the vendor is asked once."""

import asyncio
from collections.abc import Awaitable, Callable

from callrequest.v1.call_request_pb2 import CallRequestResult

from .deadline import Deadline
from .errors import deadline_exceeded

Read = Callable[[str, Deadline], Awaitable[CallRequestResult]]


class _UnderWay:
    """One read, a task of its own, and how many wait for it. It has as much time as the most patient of them."""

    __slots__ = ("deadline", "task", "waiting")

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline.sooner(0)
        self.waiting = 0
        self.task: asyncio.Task[CallRequestResult]


class SharedReads:
    """Joins readers of one id.

    read: asks the vendor. keep: is given each good answer, unless the read was dropped or a fresher one begun. Each
    reader keeps its own deadline and may leave; the read ends when the last has left. A failure is shared with those
    who wait, and never kept.
    """

    def __init__(self, read: Read, keep: Callable[[CallRequestResult], None]) -> None:
        self._read = read
        self._keep = keep
        self._latest: dict[str, _UnderWay] = {}

    async def get(self, call_request_id: str, deadline: Deadline, *, fresh: bool) -> tuple[CallRequestResult, bool]:
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
        under_way.waiting += 1
        try:
            # Not awaited itself: a reader that leaves must not take the read from the others.
            await asyncio.wait({under_way.task}, timeout=max(deadline.remaining(), 0))
        finally:
            under_way.waiting -= 1
            if not under_way.waiting and not under_way.task.done():
                under_way.task.cancel()
                self._end(call_request_id, under_way)
        if under_way.task.done() and not under_way.task.cancelled():
            return under_way.task.result(), shared
        raise deadline_exceeded()

    def drop(self, call_request_id: str) -> None:
        """Nobody joins the read under way any more, and its answer is not kept: the truth may have changed since."""
        self._latest.pop(call_request_id, None)

    def _begin(self, call_request_id: str, deadline: Deadline) -> _UnderWay:
        under_way = self._latest[call_request_id] = _UnderWay(deadline)
        under_way.task = asyncio.create_task(self._run(call_request_id, under_way), name="read")
        return under_way

    async def _run(self, call_request_id: str, under_way: _UnderWay) -> CallRequestResult:
        try:
            result = await self._read(call_request_id, under_way.deadline)
            if self._latest.get(call_request_id) is under_way:
                self._keep(result)
            return result
        finally:
            self._end(call_request_id, under_way)

    def _end(self, call_request_id: str, under_way: _UnderWay) -> None:
        if self._latest.get(call_request_id) is under_way:
            del self._latest[call_request_id]
