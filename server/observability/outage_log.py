"""Logs why something outside cannot be reached: metrics do not tell one cause from another."""

import time

from .logs import get_log

REPEAT_AFTER = 60.0
"""Seconds after which a trouble that goes on is said again."""


class OutageLog:
    """One kind of trouble with the vendor. event: what is logged of it, as a warning, and how its end is told.

    It is said when it begins, when its cause changes, and every REPEAT_AFTER seconds; not for each call.
    """

    def __init__(self, event: str, resolved: str) -> None:
        self._event, self._resolved = event, resolved
        self._cause: str | None = None
        self._said = 0.0

    def occurred(self, cause: str) -> None:
        """A request met it. cause: a class's name or an HTTP status: nothing of what was sent or came."""
        moment = time.monotonic()
        if cause != self._cause or moment - self._said >= REPEAT_AFTER:
            self._cause, self._said = cause, moment
            get_log().warning(self._event, error=cause)

    def resolved(self) -> None:
        """A request did not meet it."""
        if self._cause is not None:
            self._cause = None
            get_log().info(self._resolved)
