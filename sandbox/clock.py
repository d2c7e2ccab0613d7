"""The sandbox's time: what the machine's clock says and what has been added to it."""

import time
from datetime import UTC, datetime

MAX_AHEAD = 1e9
"""Seconds, some thirty years: further the clock is not advanced."""


class Clock:
    """Real time plus an offset, so that a call made in days can be waited for in milliseconds."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Moves all lives on at once. Raises ValueError when that would be back, or beyond MAX_AHEAD in all."""
        if not 0 <= seconds <= MAX_AHEAD - self._ahead:
            raise ValueError("the clock goes forward, by 1e9 seconds in all at most")
        self._ahead += seconds

    def reset(self) -> None:
        self._ahead = 0.0


def spelt(moment: float, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    """A moment in seconds since 1970 as the pages write it: UTC, whole seconds."""
    return datetime.fromtimestamp(moment, UTC).strftime(form)
