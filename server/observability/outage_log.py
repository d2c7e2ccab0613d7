"""Logs why something outside cannot be reached: metrics do not tell one cause from another."""

import time
from collections import deque
from collections.abc import Callable

from .logs import get_log

REPEAT_AFTER = 60.0
"""Seconds after which an outage that goes on is logged again."""
MAX_LINES = 10
"""Warnings in REPEAT_AFTER seconds: what fails in another way each time, or only now and then, has no more."""

_Cause = tuple[str, tuple[tuple[str, str], ...]]


class OutageLog:
    """One kind of outage. event: the message of its warnings; resolved: that of the line when it is over; None: none.

    Each of its causes is logged when it first occurs, and every REPEAT_AFTER seconds; not for each call. clock: the
    time in seconds.
    """

    def __init__(self, event: str, resolved: str | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._event, self._resolved, self._clock = event, resolved, clock
        self._logged_at: dict[_Cause, float] = {}  # in this outage
        self._latest = deque[float](maxlen=MAX_LINES)  # when the latest warnings were logged, of outages before, too

    def occurred(self, error: str, **details: str) -> None:
        """A request failed for this cause: a class's name, an HTTP status; never anything that was sent or received.

        details: more fields of the log's.
        """
        cause, moment = (error, tuple(details.items())), self._clock()
        if moment - self._logged_at.get(cause, float("-inf")) < REPEAT_AFTER:
            return
        if len(self._latest) == MAX_LINES and moment - self._latest[0] < REPEAT_AFTER:
            return
        self._logged_at = {each: at for each, at in self._logged_at.items() if moment - at < REPEAT_AFTER}
        self._logged_at[cause] = moment
        self._latest.append(moment)
        get_log().warning(self._event, error=error, **details)

    def resolved(self) -> None:
        """A request succeeded."""
        if self._logged_at:
            self._logged_at.clear()
            if self._resolved is not None:
                get_log().info(self._resolved)
