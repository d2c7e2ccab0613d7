"""How many polls may be in progress at once."""

import asyncio


class PollLimit:
    """`async with limit.place(first=…)` around a poll; it waits for a place, in order.

    most: polls at once. Half of the places are for first polls, for which a caller waits, half for all others: neither
    kind keeps the other waiting, and together they leave the vendor's rate and connections to the callers' own reads.
    """

    def __init__(self, most: int) -> None:
        self._first = asyncio.Semaphore(max(most // 2, 1))
        self._others = asyncio.Semaphore(max(most // 2, 1))

    def place(self, *, first: bool) -> asyncio.Semaphore:
        """The places for such a poll."""
        return self._first if first else self._others
