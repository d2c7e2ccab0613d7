"""Bounds the lines about what outsiders can cause at will: they could fill a disk. The metrics count all of it."""

import asyncio
from collections import Counter

from .logs import get_log

INTERVAL = 60.0
"""Seconds, from the first line of an interval on, in which the lines of each kind are counted."""


class LineLimit:
    """Admits the first max_lines of each kind in an INTERVAL; at its end one line has the numbers of the others.

    event: the message of that line. Only in the event loop.
    """

    def __init__(self, event: str, max_lines: int) -> None:
        self._event = event
        self._max_lines = max_lines
        self._seen = Counter[str]()
        self._end: asyncio.TimerHandle | None = None

    def admits(self, kind: str) -> bool:
        """Whether a line of this kind shall be logged. kind: one of a few."""
        if self._end is None:
            self._end = asyncio.get_running_loop().call_later(INTERVAL, self.flush)
        self._seen[kind] += 1
        return self._seen[kind] <= self._max_lines

    def flush(self) -> None:
        """Ends the interval, with the line about what was not logged in it, if there was any."""
        if self._end is not None:
            self._end.cancel()
            self._end = None
        left = {kind: number - self._max_lines for kind, number in self._seen.items() if number > self._max_lines}
        self._seen.clear()
        if left:
            get_log().info(self._event, not_logged=left)
