"""Hints: something may have changed. The result is read again: a forged hint costs one read, and changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from ..deadline import DEFAULT_SECONDS, Deadline
from ..errors import GatewayError

MAX_PENDING = 200
"""Call requests with a hint that is not followed yet. Beyond that a hint is refused, to be sent again."""
CONCURRENCY = 4
"""Reads at once: a flood of hints must not take the vendor from callers."""
MIN_INTERVAL = 1.0
"""Seconds between two reads of one call request: hints that come meanwhile share the later one."""

Read = Callable[[str, float, Deadline], Awaitable[Any]]
"""Reads a call request's result anew, for its effect: what was read reaches whoever watches it, in all processes."""


class Hints:
    """Follows hints, one read at a time for a call request. `await hints.aclose()` at the end."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._places = asyncio.Semaphore(CONCURRENCY)
        self._pending: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()

    def follow(self, call_request_id: str) -> bool:
        """Has the result read again, soon; returns whether there is room for that.

        Hints that come during the read cause one more.
        """
        if call_request_id in self._pending:
            self._again.add(call_request_id)
            return True
        if len(self._pending) >= MAX_PENDING:
            return False
        self._pending[call_request_id] = asyncio.create_task(self._follow(call_request_id), name="hint")
        return True

    async def aclose(self) -> None:
        """Ends the reads that are left."""
        tasks = list(self._pending.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, call_request_id: str) -> None:
        try:
            more = True
            while more:
                self._again.discard(call_request_id)
                async with self._places:
                    with suppress(GatewayError):  # the next poll, or the next hint, tries it again
                        await self._read(call_request_id, 0.0, Deadline.after(DEFAULT_SECONDS))
                more = call_request_id in self._again
                if more:
                    await asyncio.sleep(MIN_INTERVAL)
        finally:
            self._pending.pop(call_request_id, None)
            self._again.discard(call_request_id)
