"""Logs why something outside cannot be reached: metrics do not tell one cause from another."""

import time
from collections.abc import Callable

from .logs import get_log

REPEAT_AFTER = 60.0
"""Seconds after which an outage that goes on is logged again."""


class OutageLog:
    """One kind of outage. event: the message of its warnings; resolved: that of the line when it is over; None: none.

    It is logged when it begins, when its cause changes, and every REPEAT_AFTER seconds; not for each call. clock: the
    time in seconds.
    """

    def __init__(self, event: str, resolved: str | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._event, self._resolved, self._clock = event, resolved, clock
        self._cause: tuple[str, dict[str, str]] | None = None
        self._logged_at = 0.0

    def occurred(self, error: str, **details: str) -> None:
        """A request failed for this cause: a class's name, an HTTP status; never anything that was sent or received.

        details: more fields of the log's.
        """
        cause, moment = (error, details), self._clock()
        if cause != self._cause or moment - self._logged_at >= REPEAT_AFTER:
            self._cause, self._logged_at = cause, moment
            get_log().warning(self._event, error=error, **details)

    def resolved(self) -> None:
        """A request succeeded."""
        if self._cause is not None:
            self._cause = None
            if self._resolved is not None:
                get_log().info(self._resolved)
