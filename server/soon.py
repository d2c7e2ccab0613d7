"""What is to happen once, a little later, however often it is asked for."""

import asyncio
from collections.abc import Callable

AFTER = 0.02
"""Seconds for which work is gathered that is then done together."""


class Soon:
    """Has something done in the event loop, AFTER it was first asked for; then again when it is asked for again."""

    def __init__(self, do: Callable[[], None]) -> None:
        self._do = do
        self._is_due = False

    def ask(self) -> None:
        """Asks for it. Only in the event loop."""
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_later(AFTER, self._when_due)

    def _when_due(self) -> None:
        self._is_due = False
        self._do()
