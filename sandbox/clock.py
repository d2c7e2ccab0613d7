"""The sandbox's time: the machine's clock plus an offset."""

import time
from datetime import UTC, datetime

MAX_AHEAD = 1e9
"""The maximum of the offset in seconds, about thirty years."""


class Clock:
    """Real time plus an offset, so that a call made in days can be waited for in milliseconds."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Adds to the offset. Raises ValueError for a negative number, or when the sum exceeds MAX_AHEAD."""
        if not 0 <= seconds <= MAX_AHEAD - self._ahead:
            raise ValueError("the clock goes forward, by 1e9 seconds in all at most")
        self._ahead += seconds

    def reset(self) -> None:
        self._ahead = 0.0


def timestamp(moment: float, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    """Seconds since 1970 as the vendor's pages write a time: UTC, whole seconds."""
    return datetime.fromtimestamp(moment, UTC).strftime(form)


def moment(clock: Clock) -> str:
    """Its time, as the reports under /sandbox/ write it: UTC, microseconds."""
    return timestamp(clock.now(), "%Y-%m-%dT%H:%M:%S.%fZ")
