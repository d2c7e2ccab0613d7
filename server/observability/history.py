"""What counters had counted earlier, so that a page can show the last minutes and the last day."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from .logs import describe, get_log
from .samples import Key, Samples

EVERY = 60.0
"""Seconds between two looks."""
RECENT, DAY = 10 * EVERY, 86_400.0
"""Seconds: looks of the last while are kept; of the day, one in so many seconds."""

KEPT = (
    *("vendor_quirks_total", "vendor_unrecognized_values_total"),
    *("vendor_request_seconds_bucket", "vendor_request_seconds_count", "vendor_request_seconds_sum"),
    *("grpc_server_handled_total", "grpc_server_calls_by_caller_total", "caller_rate_limited_total"),
    *("result_reads_total", "cancellations_total", "watches_ended_total", "webhook_pushes_total"),
)
"""The counters of which something is kept."""


class Look(NamedTuple):
    """What had been counted at a moment of the event loop's clock. Zeros are left out: most samples are 0."""

    at: float
    samples: Samples


class History:
    """Looks at what is counted from `start` on, until `aclose`. take: returns what is counted now."""

    def __init__(self, take: Callable[[], Samples]) -> None:
        self._take = take
        self._recent: deque[Look] = deque(maxlen=round(RECENT / EVERY) + 1)
        self._day: deque[Look] = deque(maxlen=round(DAY / RECENT) + 1)
        self._keys: dict[Key, Key] = {}  # each key once, however many looks have it
        self._looking: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._recent) + len(self._day)

    def start(self) -> None:
        """Begins to look."""
        self._looking = asyncio.create_task(self._look_on(), name="history")

    async def aclose(self) -> None:
        """Looks no more."""
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking

    def during(self, seconds: float, now: Samples) -> tuple[Samples, float]:
        """What was counted in the last while, and how long it was: shorter after a start, up to RECENT longer else."""
        moment = asyncio.get_running_loop().time()
        looks = [look for look in (*self._day, *self._recent) if moment - look.at <= seconds + EVERY]
        if not looks:
            return now, 0.0
        oldest = min(looks, key=lambda look: look.at)
        return now.since(oldest.samples), moment - oldest.at

    def look(self) -> None:
        """Keeps what is counted now."""
        moment, values = asyncio.get_running_loop().time(), self._take().values
        kept = {self._keys.setdefault(key, key): value for key, value in values.items() if value and key[0] in KEPT}
        look = Look(moment, Samples(kept))
        self._recent.append(look)
        if not self._day or moment - self._day[-1].at >= RECENT - EVERY / 2:
            self._day.append(look)

    async def _look_on(self) -> None:
        while True:
            try:
                self.look()
            except Exception as error:
                get_log().error("unexpected", **describe(error))
            await asyncio.sleep(EVERY)
