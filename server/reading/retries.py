"""Which reads are tried again, and after how long."""

import random

from callrequest.v1 import error_reason_pb2 as reasons

from ..deadline import Deadline, now
from ..errors import GatewayError

FIRST_PAUSE, MAX_PAUSE = 0.05, 1.0
"""Seconds: bounds of the pause before the second try, doubled for the third, and at most."""
SHARE, PER_SECOND, MAX_SAVED = 0.1, 1.0, 10.0
"""The budget: so many retries for each call, and for each second; no more than so many are saved up."""


class Retries:
    """A retry budget for all reads together: an outage must not multiply the load that it may come from."""

    def __init__(self) -> None:
        self._saved = MAX_SAVED
        self._counted_at = float("-inf")

    def call_began(self) -> None:
        """Counts a call: it adds its share to the budget."""
        self._saved = min(self._saved + SHARE, MAX_SAVED)

    def pause(self, error: GatewayError, tries: int, deadline: Deadline) -> float | None:
        """Seconds to wait before another try; None when there shall be none. Takes from the budget.

        Full jitter; after the vendor's Retry-After, if it sent one. It must fit into half of the time that is left.
        """
        if tries > error.spec.retries:
            return None
        moment = now()
        self._saved = min(self._saved + (moment - self._counted_at) * PER_SECOND, MAX_SAVED)
        self._counted_at = moment
        if self._saved < 1:
            return None
        pause = random.uniform(0, min(FIRST_PAUSE * 2 ** (tries - 1), MAX_PAUSE))  # noqa: S311 (jitter)
        if error.wait_is_known or error.reason == reasons.ERROR_REASON_VENDOR_RATE_LIMITED:
            pause += error.retry_after
        if pause > deadline.remaining() / 2:
            return None
        self._saved -= 1
        return pause
