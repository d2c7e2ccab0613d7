"""The cancels in progress: one at a time for an id, shared by its callers, and carried on when they have left."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from callrequest.v1.cancellation_pb2 import Cancellation

from ..concurrency_limit import ConcurrencyLimit
from ..deadline import Deadline, now
from ..errors import deadline_exceeded
from ..observability import spans
from ..observability.settled_cancel import SettledCancel
from ..observability.spans import Span
from ..vendor_api.client import VendorClient
from .cancellation import Cancel
from .failures import not_cancelled
from .settled import settled_cancel

REPLY_MARGIN = 0.02
"""Seconds by which a cancel ends before its caller's deadline or the gateway's end, so that its own answer arrives."""
CLEANUP_SECONDS = 0.2
"""Seconds that a cancel which was ended has at most to close its connection."""


@dataclass(eq=False, slots=True)
class _Flight:
    """A cancel and its task. span: if whoever began it is traced.

    callers_left: how many callers left, or had no time left, before its end.
    """

    cancel: Cancel
    begun_at: float
    task: "asyncio.Task[Cancellation]"
    span: Span | None
    callers_left: int = 0


class CancelsInProgress:
    """Cancels call requests: one cancel at a time for an id, which goes on when its callers have left.

    in_flight: bounds cancels, not callers: one that its callers have left still holds a connection.
    changed: receives the id when a cancel begins and when it has ended, whatever came of it: what was read before, and
    by reads that are still under way, may not be true any more. settled: receives how each ended, if the gateway's end
    cut it short, too. jitter: returns a random number between two. Callers of one id share its cancel; each waits
    within its own deadline.
    """

    def __init__(
        self,
        vendor: VendorClient,
        in_flight: ConcurrencyLimit,
        changed: Callable[[str], None],
        settled: Callable[[SettledCancel], None],
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._vendor = vendor
        self._in_flight = in_flight
        self._changed = changed
        self._settled = settled
        self._jitter = jitter
        self._flights: dict[str, _Flight] = {}
        self._end: Deadline | None = None  # of the gateway
        self._over = False

    async def cancel(self, call_request_id: str, deadline: Deadline) -> Cancellation:
        """Cancels. Raises GatewayError: CANCELLATION_OUTCOME_UNKNOWN when a POST may have arrived and time is up.

        OVERLOADED when too many cancels are in progress, and none of this id to share.
        """
        flight = self._flights.get(call_request_id)
        if flight is None:
            flight = self._begin(call_request_id, deadline)
        elif flight.span is not None and (span := spans.current()) is not None:
            span.link(flight.span)
        flight.cancel.deadline.extend(deadline.earlier(REPLY_MARGIN))
        if self._end is not None:
            flight.cancel.end_by(self._end)
        task = flight.task
        try:
            # Not awaited itself: a caller that leaves must not leave the cancel half done.
            await asyncio.wait({task}, timeout=max(deadline.remaining(), 0))
        finally:
            flight.callers_left += not task.done()
        if task.done() and not task.cancelled():
            return task.result()
        raise flight.cancel.unsettled(out_of_time=not task.done())

    def end_by(self, seconds: float) -> None:
        """The gateway ends after so many seconds: every cancel is settled by then, those included that still begin.

        A POST under way is left in time for its effect to be read back.
        """
        self._end = Deadline(now() + seconds).earlier(REPLY_MARGIN)
        for flight in self._flights.values():
            flight.cancel.end_by(self._end)

    async def finish(self, seconds: float) -> None:
        """Waits so long for the cancels in progress, then ends them: their callers receive at once what is known.

        None begins any more: what is sent from now on could not be settled.
        """
        self._over = True
        self.end_by(seconds)
        tasks = [flight.task for flight in self._flights.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=max(seconds, 0))
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLEANUP_SECONDS)

    def _begin(self, call_request_id: str, deadline: Deadline) -> _Flight:
        if self._over:
            raise not_cancelled()
        if deadline.spent():
            raise deadline_exceeded()
        self._in_flight.begin()
        try:
            self._changed(call_request_id)
        except BaseException:
            self._in_flight.end()
            raise
        cancel = Cancel(self._vendor, call_request_id, deadline.earlier(REPLY_MARGIN), self._jitter)
        span = spans.child("cancel")
        task = asyncio.create_task(_settle(cancel, span), name="cancel")
        flight = self._flights[call_request_id] = _Flight(cancel, now(), task, span)
        task.add_done_callback(lambda _: self._ended(call_request_id, flight))
        return flight

    def _ended(self, call_request_id: str, flight: _Flight) -> None:
        del self._flights[call_request_id]
        self._in_flight.end()
        try:
            self._changed(call_request_id)
        finally:
            seconds = now() - flight.begun_at
            self._settled(settled_cancel(call_request_id, flight.cancel, flight.task, seconds, flight.callers_left))


async def _settle(cancel: Cancel, span: Span | None) -> Cancellation:
    with spans.within(span):
        try:
            return await cancel.settle()
        finally:
            spans.event("settled", {"callrequest.cancel.settled_by": cancel.settled_by})
