"""Cancels under way: one at a time for an id, shared by its callers, and going on when they have left."""

import asyncio
from collections.abc import Callable

from callrequest.v1.cancellation_pb2 import Cancellation

from ..concurrency_limit import ConcurrencyLimit
from ..deadline import Deadline
from ..errors import deadline_exceeded
from ..vendor_api.client import VendorClient
from .cancellation import Cancel, not_cancelled

REPLY_MARGIN = 0.02
"""Seconds by which a cancel ends before its caller's deadline, so that its own answer is the one that is given."""


class CancelsInProgress:
    """Cancels call requests: one cancel at a time for an id, which goes on when its callers have left.

    in_flight: bounds cancels, not callers: one that its callers have left still holds a connection.
    changed: is told the id when a cancel has ended, whatever came of it: what was read before may not be true any more.
    settled: is told how each ended. Callers of one id share its cancel; each waits for it within its own deadline.
    """

    def __init__(
        self,
        vendor: VendorClient,
        in_flight: ConcurrencyLimit,
        changed: Callable[[str], None],
        settled: Callable[[str], None],
    ) -> None:
        self._vendor = vendor
        self._in_flight = in_flight
        self._changed = changed
        self._settled = settled
        self._in_progress: dict[str, tuple[Cancel, asyncio.Task[Cancellation]]] = {}
        self._over = False

    async def cancel(self, call_request_id: str, deadline: Deadline) -> Cancellation:
        """Cancels. Raises GatewayError: CANCELLATION_OUTCOME_UNKNOWN when a POST may have arrived and time is up.

        OVERLOADED when there are too many cancels under way, and none of this id to share.
        """
        cancel, task = self._in_progress.get(call_request_id) or self._begin(call_request_id, deadline)
        cancel.deadline.extend(deadline.earlier(REPLY_MARGIN))
        # Not awaited itself: a caller that leaves must not leave the cancel half done.
        await asyncio.wait({task}, timeout=max(deadline.remaining(), 0))
        if task.done() and not task.cancelled():
            return task.result()
        raise cancel.unsettled(out_of_time=not task.done())

    async def finish(self, seconds: float) -> None:
        """Waits so long for the cancels under way, then ends them: who waits is told at once what is known of it.

        None begins any more: what is sent from now on could not be settled.
        """
        self._over = True
        tasks = [task for _, task in self._in_progress.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=max(seconds, 0))
        for task in tasks:
            task.cancel()

    def _begin(self, call_request_id: str, deadline: Deadline) -> "tuple[Cancel, asyncio.Task[Cancellation]]":
        if self._over:
            raise not_cancelled()
        if deadline.spent():
            raise deadline_exceeded()
        self._in_flight.begin()
        cancel = Cancel(self._vendor, call_request_id, deadline.earlier(REPLY_MARGIN))
        task = asyncio.create_task(cancel.settle(), name="cancel")
        self._in_progress[call_request_id] = (cancel, task)
        task.add_done_callback(lambda task: self._ended(call_request_id, cancel, task))
        return cancel, task

    def _ended(self, call_request_id: str, cancel: Cancel, task: "asyncio.Task[Cancellation]") -> None:
        del self._in_progress[call_request_id]
        self._in_flight.end()
        self._changed(call_request_id)
        if not task.cancelled():
            task.exception()  # read, so that one nobody waits for any more is no "exception was never retrieved"
            self._settled(cancel.settled_by)
