"""Client-side throttling (Site Reliability Engineering, "Handling Overload"): few reads go to a vendor that is down.

A read is refused here with the probability (tried - K · accepted) / tried of the last while: never as long as the
vendor accepts more than one in K. A read goes through each PROBE_EVERY seconds, to see whether the vendor is back;
three good answers in a row clear the record, so that recovery takes about that long.
"""

import random

from callrequest.v1 import error_reason_pb2 as reasons

from ..deadline import now
from ..errors import GatewayError, Reason, VendorState
from .recent_ids import RecentIds

K = 2.0
HALF_LIFE = 10.0
"""Seconds in which what was counted loses half its weight."""
UNCOUNTED_TRIES = 10.0
"""Tries that do not count: a few failures are not an outage."""
PROBE_EVERY = 1.0
"""Seconds: at least so often a read goes through, and at once after a good answer."""
GOOD_IN_A_ROW = 3


class Throttle:
    """The record of what the vendor accepted, for all reads."""

    def __init__(self) -> None:
        self._tried = self._accepted = 0.0
        self._good = 0
        self._decayed_at = 0.0
        self._let_through_at = float("-inf")
        self._reason: Reason = reasons.ERROR_REASON_VENDOR_UNAVAILABLE
        self._up, self._down = RecentIds[bool](HALF_LIFE), RecentIds[bool](HALF_LIFE)  # by an id's last answer
        self._doubted = RecentIds[bool](HALF_LIFE)  # ids whose doubtful failures have been counted

    def admit(self) -> None:
        """Lets a read go to the vendor. Raises VENDOR_UNAVAILABLE or VENDOR_RATE_LIMITED when it shall not."""
        if not self.is_active():
            return
        moment = now()
        chance = (self._tried - K * self._accepted - UNCOUNTED_TRIES) / (self._tried + 1)
        if moment - self._let_through_at < PROBE_EVERY and random.random() < chance:  # noqa: S311 (not for secrets)
            self._count(accepted=0)
            raise GatewayError(self._reason)
        self._let_through_at = moment

    def is_active(self) -> bool:
        """Whether some reads are refused: those that go through are probes, which are not worth a retry."""
        if self._tried - K * self._accepted <= UNCOUNTED_TRIES:
            return False
        self._decay()
        return self._tried - K * self._accepted > UNCOUNTED_TRIES

    def is_failing_alone(self, call_request_id: str) -> bool:
        """Whether the id fails, and of the ids read lately at least half are answered."""
        return self._down.get(call_request_id) is not None and len(self._down) <= len(self._up)

    def answered(self, call_request_id: str, error: GatewayError | None) -> None:
        """Counts what became of a read that was let through. error: None: a good answer.

        An id that fails again is counted unless it fails alone; one of which it is not clear whether it is the vendor
        that fails, once in HALF_LIFE.
        """
        state = VendorState.UP if error is None else error.spec.vendor
        if state is VendorState.NOT_SEEN:
            return
        if state is VendorState.DOWN:
            is_news = not self.is_failing_alone(call_request_id)
            self._up.pop(call_request_id)
            self._down.put(call_request_id, True)
        elif state is VendorState.DOUBTFUL:
            is_news = self._doubted.get(call_request_id) is None
            if is_news:
                self._doubted.put(call_request_id, True)
        else:
            self._down.pop(call_request_id)
            self._up.put(call_request_id, True)
            self._succeeded()
            return
        if error is not None and is_news:
            self._failed(error.reason)

    def _failed(self, reason: Reason) -> None:
        self._count(accepted=0)
        self._good = 0
        limited = reason == reasons.ERROR_REASON_VENDOR_RATE_LIMITED
        self._reason = reason if limited else reasons.ERROR_REASON_VENDOR_UNAVAILABLE

    def _succeeded(self) -> None:
        if not self._tried:
            return  # a good answer after good ones
        self._count(accepted=1)
        self._let_through_at = float("-inf")
        self._good += 1
        if self._good >= GOOD_IN_A_ROW:
            self._tried = self._accepted = 0.0

    def _count(self, accepted: int) -> None:
        self._decay()
        self._tried += 1
        self._accepted += accepted

    def _decay(self) -> None:
        moment = now()
        weight = 0.5 ** ((moment - self._decayed_at) / HALF_LIFE)
        self._decayed_at = moment
        self._tried *= weight
        self._accepted *= weight
