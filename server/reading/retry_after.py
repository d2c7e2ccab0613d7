"""The vendor's Retry-After: until it is over, reads fail at once.

It holds for its call request from the first reply on, and for all from the second such reply without a good answer in
between. When it is over, one read goes first, as a probe; the others wait for it. A good answer ends the hold.
"""

import asyncio
import random
from collections.abc import Sequence

from ..deadline import now
from ..errors import GatewayError, Reason, VendorState
from .recent_ids import RecentIds

MAX_HOLD = 60.0
"""Seconds for which a Retry-After holds at most."""
AFTER_PROBE = 1.0
"""Seconds until the next probe, after one that failed without a Retry-After. The id of a failed probe waits that much
longer: if it alone fails, it would otherwise be the probe each time, and keep the others waiting."""
JITTER = 0.05
"""Seconds over which reads that have waited spread."""

_GOOD = {VendorState.UP, VendorState.REFUSES}


class Hold:
    """reason: of the failure that reads get until it is over. probe: the one that goes first then, while under way."""

    __slots__ = ("probe", "reason", "since", "until")

    def __init__(self, reason: Reason, seconds: float) -> None:
        self.reason = reason
        self.since = now()
        self.until = self.since + seconds
        self.probe: asyncio.Future[None] | None = None


class RetryAfter:
    """What the vendor asked for, for the reads of one call request and for all reads.

    A read goes `check`, `turn` if it is held, then `answered` with what came of it, and `release` however it ended.
    """

    def __init__(self) -> None:
        self._all: Hold | None = None
        self._by_id = RecentIds[Hold](MAX_HOLD + 2 * AFTER_PROBE)
        self._in_a_row = 0

    def left(self) -> float:
        """What is left of the Retry-After that holds for all reads, in seconds; 0 without one."""
        return 0.0 if self._all is None else max(self._all.until - now(), 0.0)

    def check(self, call_request_id: str) -> None:
        """Raises the failure that the vendor answered, its retry_after what is left of the vendor's."""
        if holds := self._holds(call_request_id):
            longest = max(holds, key=lambda hold: hold.until)
            if (left := longest.until - now()) > 0:
                raise GatewayError(longest.reason, retry_after=left)

    def is_held(self, call_request_id: str) -> bool:
        """Whether a read has to wait for its turn."""
        return bool(self._holds(call_request_id))

    async def turn(self, call_request_id: str, patience: float) -> Sequence[Hold]:
        """Waits for a probe under way, and up to `patience` seconds for a Retry-After. Raises as check() does.

        Returns what the read is the probe of; as a rule nothing.
        """
        while holds := self._holds(call_request_id):
            left = max(hold.until for hold in holds) - now()
            if left > patience:
                self.check(call_request_id)
            elif left > 0:
                await asyncio.sleep(left + random.uniform(0, JITTER))  # noqa: S311 (jitter)
            elif probes := [hold.probe for hold in holds if hold.probe is not None]:
                await asyncio.wait(probes)
            else:
                for hold in holds:
                    hold.probe = asyncio.get_running_loop().create_future()
                break
        return holds

    def release(self, probed: Sequence[Hold]) -> None:
        """Ends a probe, for those who wait for it."""
        for hold in probed:
            if hold.probe is not None:
                hold.probe.set_result(None)
                hold.probe = None

    def answered(
        self, call_request_id: str, error: GatewayError | None, began_at: float, probed: Sequence[Hold]
    ) -> None:
        """Learns of each answer, or that none came. error: None: a good answer. began_at: when the read was sent."""
        if error is None or error.spec.vendor in _GOOD:
            self._in_a_row = 0
            if self._all is not None and self._all.since < began_at:
                self._all = None
            self._by_id.pop(call_request_id)
        elif error.wait_is_known:
            self._in_a_row += 1
            self._hold(call_request_id, error.reason, min(error.retry_after, MAX_HOLD), is_probe=bool(probed))
        elif probed and error.spec.vendor is not VendorState.NOT_SEEN:
            self._hold(call_request_id, probed[0].reason, AFTER_PROBE, is_probe=True)

    def _hold(self, call_request_id: str, reason: Reason, seconds: float, *, is_probe: bool) -> None:
        for_all = self._all is not None or self._in_a_row >= 2
        if for_all and (self._all is None or self._all.until < now() + seconds):
            self._all = Hold(reason, seconds)
        self._by_id.put(call_request_id, Hold(reason, seconds + (AFTER_PROBE if for_all and is_probe else 0)))

    def _holds(self, call_request_id: str) -> Sequence[Hold]:
        of_id = self._by_id.get(call_request_id)
        if self._all is None and of_id is None:
            return ()
        return [hold for hold in (self._all, of_id) if hold is not None]
