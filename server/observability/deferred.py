"""Work that no caller waits for, done together."""

from collections.abc import Callable
from typing import Any

from .debounce import Debounce
from .logs import describe, get_log


class Deferred:
    """Puts work off: what comes within debounce.DELAY is done in a row, in order, in the event loop.

    In a row it finds its code in the processor's caches. Counting a call in the midst of serving it takes three times
    as long. then: called after each row.
    """

    def __init__(self, then: Callable[[], None] | None = None) -> None:
        self._then = then
        self._waiting: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._debounce = Debounce(self.flush)

    def defer(self, work: Callable[..., None], *args: Any) -> None:
        """Puts off work(*args). Only in the event loop."""
        self._waiting.append((work, args))
        self._debounce.schedule()

    def flush(self) -> None:
        """Does now what waits. Work that fails is logged, and keeps nothing else from being done."""
        waiting, self._waiting = self._waiting, []
        for work, args in waiting:
            try:
                work(*args)
            except Exception as error:
                get_log().error("unexpected", **describe(error))
        if self._then is not None:
            self._then()
