"""Returns freed memory to the operating system.

glibc keeps what was freed for the next use, wherever something that is still in use lies above it: after 40 calls with
12 MB of metadata, which were all refused, a gateway kept 430 MB, and 4 MB after a trim (2026-11-26). A trim takes half
a millisecond when there is nothing to return, and some 100 ms for 400 MB, in a thread.
"""

import asyncio
import ctypes
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

INTERVAL, MAX_INTERVAL = 5.0, 30.0
"""Seconds between two checks of the memory: longer after each trim in a row that has returned too little."""
GROWTH_BYTES = 32 << 20
"""Memory is trimmed while the process holds so much more than at its least."""

_STATM = Path("/proc/self/statm")


class MemoryTrim:
    """Trims while the gateway runs: `async with MemoryTrim()`. Does nothing where there is no glibc or no /proc."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        trim = glibc_trim()
        if trim is None:
            return
        schedule = TrimSchedule()
        with suppress(OSError):
            while True:
                if schedule.has_grown(resident_bytes()):
                    await asyncio.to_thread(trim)
                await asyncio.sleep(schedule.next_after(resident_bytes()))


class TrimSchedule:
    """When to trim, and when to check again."""

    def __init__(self) -> None:
        self._least: int | None = None
        self._interval = INTERVAL

    def has_grown(self, resident: int) -> bool:
        """Whether the process holds GROWTH_BYTES more than at its least."""
        if self._least is None or resident < self._least:
            self._least = resident
        return resident > self._least + GROWTH_BYTES

    def next_after(self, resident: int) -> float:
        """Returns the seconds until the next check: more after each trim in a row that has returned too little."""
        self._interval = min(self._interval * 2, MAX_INTERVAL) if self.has_grown(resident) else INTERVAL
        return self._interval


def resident_bytes() -> int:
    """The memory that this process holds."""
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def glibc_trim() -> Callable[[], object] | None:
    """Returns glibc's trim of all its memory; None without glibc."""
    try:
        malloc_trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    return lambda: malloc_trim(0)
