"""The order in which reads wait for the rate limit: as they came, those of batches behind all others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..deadline import MIN_SECONDS, Deadline


class ReadQueue:
    """One read at a time has its turn: `async with queue.turn(deadline): …`."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], Deadline] = {}
        self._is_taken = False
        self._first = self._all = 0

    def __len__(self) -> int:
        """How many wait, with the one whose turn it is."""
        return self._all

    def ahead_of(self, deadline: Deadline) -> int:
        """How many of them go before a read that comes now, if no other one comes."""
        return self._all if deadline.yields else self._first

    @asynccontextmanager
    async def turn(self, deadline: Deadline) -> AsyncIterator[None]:
        """Waits for the turn. Raises TimeoutError when it does not come before the deadline."""
        goes_first = not deadline.yields
        self._all += 1
        self._first += goes_first
        try:
            await self._until_turn(deadline)
            try:
                yield
            finally:
                self._pass_on()
        finally:
            self._all -= 1
            self._first -= goes_first

    async def _until_turn(self, deadline: Deadline) -> None:
        if not self._is_taken:
            self._is_taken = True
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[turn] = deadline
        try:
            while not turn.done():  # again: a reader with a later deadline may have come meanwhile
                if deadline.remaining() <= MIN_SECONDS:
                    raise TimeoutError
                await asyncio.wait({turn}, timeout=deadline.remaining() - MIN_SECONDS)
        except BaseException:
            if turn.done():
                self._pass_on()
            raise
        finally:
            self._waiting.pop(turn, None)

    def _pass_on(self) -> None:
        """To the first whose deadline does not yield, at this moment: a single call may have joined a batch's read."""
        following = (turn for turn, deadline in self._waiting.items() if not deadline.yields)
        turn = next(following, None) or next(iter(self._waiting), None)
        if turn is None:
            self._is_taken = False
        else:
            del self._waiting[turn]
            turn.set_result(None)
