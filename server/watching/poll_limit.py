"""How many polls may be in progress at once."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

RESERVED = 8
"""One place in so many is kept for each kind of poll, however many of the other kind wait."""


class PollLimit:
    """`async with limit.place(first=…)` around a poll; it waits for a place, in order.

    most: polls at once. First polls, for which a caller waits, go before the others; each kind has a part of the places
    for itself. So after a restart callers have their first result soon, changes are still seen, and a new watcher does
    not wait behind polls of a slow vendor.
    """

    def __init__(self, most: int) -> None:
        self._free = self._most = most
        self._reserved = max(most // RESERVED, 1)
        self._others = 0  # in progress
        self._first_waiting: deque[asyncio.Future[None]] = deque()
        self._others_waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def place(self, *, first: bool) -> AsyncIterator[None]:
        """A place for such a poll."""
        waiting = self._first_waiting if first else self._others_waiting
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        self._admit()
        try:
            await turn
            yield
        finally:
            if turn.done() and not turn.cancelled():
                self._free += 1
                self._others -= not first
                self._admit()
            elif turn in waiting:
                waiting.remove(turn)

    def _admit(self) -> None:
        """Assigns free places to those that wait."""
        while self._free:
            most_others = self._reserved if self._first_waiting else max(self._most - self._reserved, 1)
            others = bool(self._others_waiting) and self._others < most_others
            if not others and not self._first_waiting:
                return
            turn = (self._others_waiting if others else self._first_waiting).popleft()
            if turn.cancelled():  # its poll has ended, and has not run since
                continue
            self._free -= 1
            self._others += others
            turn.set_result(None)
