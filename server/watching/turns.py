"""Does many small things without holding up the event loop."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from ..observability.logs import describe, get_log

BATCH = 50
"""Callbacks in one turn of the event loop: each has a watcher write a message, some 100 µs."""


class Turns:
    """Runs callbacks in the order of the calls, BATCH in a turn, so that no other call waits for all of them."""

    def __init__(self) -> None:
        self._due: deque[Callable[[], None]] = deque()

    def run(self, callbacks: Iterable[Callable[[], None]]) -> None:
        """Returns at once; none of them runs within this call."""
        is_running = bool(self._due)
        self._due.extend(callbacks)
        if self._due and not is_running:
            asyncio.get_running_loop().call_soon(self._run_batch)

    def _run_batch(self) -> None:
        for _ in range(min(BATCH, len(self._due))):
            try:
                self._due.popleft()()
            except Exception as error:  # a defect: those that are due after it must not wait for ever
                get_log().error("unexpected", **describe(error))
        if self._due:
            asyncio.get_running_loop().call_soon(self._run_batch)
