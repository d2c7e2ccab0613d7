"""Client-side throttling (Site Reliability Engineering, "Handling Overload"): a vendor that is down is left alone.

A read is refused here with the probability (tried - K · accepted) / tried of the last while: nothing as long as the
vendor accepts more than one in K. Some reads always go through, to see when it is back; three good answers in a row
clear the record, so that recovery takes seconds.
"""

import random

from callrequest.v1 import error_reason_pb2 as reasons

from ..deadline import now
from ..errors import GatewayError, Reason

K = 2.0
HALF_LIFE = 10.0
"""Seconds in which what was counted loses half its weight."""
FREE = 10.0
"""Tries that are not counted: a few failures are no outage."""
PROBE_EVERY = 0.5
"""Seconds: at least so often a read goes through."""
GOOD_IN_A_ROW = 3

_FAILED = frozenset(
    {
        reasons.ERROR_REASON_VENDOR_UNAVAILABLE,
        reasons.ERROR_REASON_VENDOR_TIMEOUT,
        reasons.ERROR_REASON_VENDOR_FAILED,
        reasons.ERROR_REASON_VENDOR_RATE_LIMITED,
    }
)
"""Answers that say the vendor does not cope. Any other, NOT_FOUND say, is an accepted request."""


class Throttle:
    """The record of what the vendor accepted, for all reads."""

    def __init__(self) -> None:
        self._tried = self._accepted = 0.0
        self._good = 0
        self._counted_at = 0.0
        self._let_through_at = float("-inf")
        self._reason: Reason = reasons.ERROR_REASON_VENDOR_UNAVAILABLE

    def admit(self) -> None:
        """Lets a read go to the vendor. Raises the vendor's last failure when it shall not."""
        if self._tried <= FREE:
            return
        moment = now()
        chance = (self._tried - K * self._accepted - FREE) / (self._tried + 1)
        if moment - self._let_through_at < PROBE_EVERY and random.random() < chance:  # noqa: S311 (not for secrets)
            self._count(accepted=0)
            raise GatewayError(self._reason)
        self._let_through_at = moment

    def answered(self, reason: Reason | None) -> None:
        """Counts what became of a read that was let through: the reason of its failure, None for a good answer.

        Only now, since a read under way says nothing; nor does one whose caller's time was over.
        """
        if reason == reasons.ERROR_REASON_DEADLINE_EXCEEDED:
            return
        if reason in _FAILED:
            self._count(accepted=0)
            self._good = 0
            limited = reason == reasons.ERROR_REASON_VENDOR_RATE_LIMITED
            self._reason = reason if limited else reasons.ERROR_REASON_VENDOR_UNAVAILABLE
            return
        if not self._tried:
            return  # a good answer after good ones
        self._count(accepted=1)
        self._good += 1
        if self._good >= GOOD_IN_A_ROW:
            self._tried = self._accepted = 0.0

    def _count(self, accepted: int) -> None:
        moment = now()
        weight = 0.5 ** ((moment - self._counted_at) / HALF_LIFE)
        self._counted_at = moment
        self._tried = self._tried * weight + 1
        self._accepted = self._accepted * weight + accepted
