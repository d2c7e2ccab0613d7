"""Which reads are tried again, and after how long."""

import random

from callrequest.v1 import error_reason_pb2 as reasons

from ..deadline import Deadline, now
from ..errors import GatewayError

MAX_TRIES = 3
FIRST_PAUSE, MAX_PAUSE = 0.05, 1.0
"""Seconds: bounds of the pause before the second try, doubled for the third, and at most."""
SHARE, PER_SECOND, MAX_SAVED = 0.1, 1.0, 10.0
"""The budget: so many retries for each call, and for each second; no more than so many are saved up."""

_AGAIN = {
    reasons.ERROR_REASON_VENDOR_UNAVAILABLE: MAX_TRIES,
    reasons.ERROR_REASON_VENDOR_TIMEOUT: MAX_TRIES,
    reasons.ERROR_REASON_VENDOR_FAILED: MAX_TRIES,
    reasons.ERROR_REASON_VENDOR_RATE_LIMITED: MAX_TRIES,
    reasons.ERROR_REASON_VENDOR_MALFORMED_RESPONSE: 2,
}
"""Failures that may pass, and how many tries each is worth."""


class Retries:
    """A budget shared by all reads: an outage must not multiply the load that it may come from."""

    def __init__(self) -> None:
        self._saved = MAX_SAVED
        self._counted_at = float("-inf")

    def call_begun(self) -> None:
        """Counts a call: it adds its share to the budget."""
        self._saved = min(self._saved + SHARE, MAX_SAVED)

    def pause(self, error: GatewayError, tries: int, deadline: Deadline) -> float | None:
        """Seconds to wait before another try (full jitter); None when there shall be none. Takes from the budget."""
        if tries >= _AGAIN.get(error.reason, 0):
            return None
        moment = now()
        self._saved = min(self._saved + (moment - self._counted_at) * PER_SECOND, MAX_SAVED)
        self._counted_at = moment
        if self._saved < 1:
            return None
        pause = random.uniform(0, min(FIRST_PAUSE * 2 ** (tries - 1), MAX_PAUSE))  # noqa: S311 (jitter)
        if error.reason == reasons.ERROR_REASON_VENDOR_RATE_LIMITED:
            pause += error.retry_after
        if pause > deadline.remaining() / 2:
            return None
        self._saved -= 1
        return pause
