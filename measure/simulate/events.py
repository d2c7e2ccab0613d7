"""What happens when, in order, on a clock that jumps from one event to the next."""

import heapq
import itertools
from collections.abc import Callable
from typing import Any


class Events:
    """now: the time of the event that runs, in seconds."""

    def __init__(self, begin: float) -> None:
        self.now = begin
        self._due: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = itertools.count()

    def at(self, moment: float, event: Callable[..., None], *arguments: Any) -> None:
        """Calls it then; what is due at the same time is called in the order of these calls."""
        heapq.heappush(self._due, (moment, next(self._number), event, arguments))

    def run(self, end: float, is_over: Callable[[], bool]) -> None:
        """Until the end, or until it is over, or nothing is due."""
        while self._due and not is_over():
            self.now, _, event, arguments = heapq.heappop(self._due)
            if self.now >= end:
                return
            event(*arguments)
