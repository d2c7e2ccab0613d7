"""Work that no caller waits for, done together."""

import asyncio
from collections.abc import Callable
from typing import Any

from .logs import describe, get_log

AFTER = 0.02
"""Seconds after which what was put off is done, at most."""


class Later:
    """Puts work off: what comes within AFTER is done in a row, in order, in the event loop.

    In a row it finds its code in the processor's caches. Counting a call in the midst of serving it takes three times
    as long.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._is_due = False

    def do(self, work: Callable[..., None], *args: Any) -> None:
        """Puts off work(*args). Only in the event loop."""
        self._waiting.append((work, args))
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_later(AFTER, self._when_due)

    def flush(self) -> None:
        """Does now what waits. Work that fails is logged, and keeps nothing else from being done."""
        waiting, self._waiting = self._waiting, []
        for work, args in waiting:
            try:
                work(*args)
            except Exception as error:
                get_log().error("unexpected", **describe(error))

    def _when_due(self) -> None:
        self._is_due = False
        self.flush()
