"""Does something once, a little later, however often it is asked for."""

import asyncio
from collections.abc import Callable

DELAY = 0.02
"""Seconds for which work is gathered that is then done together."""


class Debounce:
    """Has something done in the event loop, DELAY after it was first asked for; asked again later, once more."""

    def __init__(self, do: Callable[[], None]) -> None:
        self._do = do
        self._is_due = False

    def schedule(self) -> None:
        """Asks for it. Only in the event loop."""
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_later(DELAY, self._run)

    def _run(self) -> None:
        self._is_due = False
        self._do()
