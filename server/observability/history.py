"""What counters had counted earlier, so that a page can show the last minutes and the last day."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from .logs import describe, get_log
from .samples import Key, Samples

EVERY = 60.0
"""Seconds between two records."""
RECENT, DAY = 10 * EVERY, 86_400.0
"""Seconds: every record of the last RECENT is kept, and of the last DAY one in each RECENT."""

KEPT = (
    *("vendor_quirks_total", "vendor_unrecognized_values_total"),
    *("vendor_request_seconds_bucket", "vendor_request_seconds_count", "vendor_request_seconds_sum"),
    *("grpc_server_handled_total", "grpc_server_calls_by_caller_total", "caller_rate_limited_total"),
    *("result_reads_total", "cancellations_total", "watches_ended_total", "webhook_pushes_total"),
)
"""The counters of which something is kept."""


class Record(NamedTuple):
    """What had been counted at a moment of the event loop's clock. Zeros are left out: most samples are 0."""

    at: float
    samples: Samples


class History:
    """Records what is counted, from `start` until `aclose`. take: returns what is counted now."""

    def __init__(self, take: Callable[[], Samples]) -> None:
        self._take = take
        self._recent: deque[Record] = deque(maxlen=round(RECENT / EVERY) + 1)
        self._day: deque[Record] = deque(maxlen=round(DAY / RECENT) + 1)
        self._keys: dict[Key, Key] = {}  # each key once, however many records have it
        self._recording: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._recent) + len(self._day)

    def start(self) -> None:
        """Begins to record."""
        self._recording = asyncio.create_task(self._run(), name="history")

    async def aclose(self) -> None:
        """Ends it."""
        if self._recording is not None:
            self._recording.cancel()
            with suppress(asyncio.CancelledError):
                await self._recording

    def during(self, seconds: float, now: Samples) -> tuple[Samples, float]:
        """What was counted in the last while, and how long it was: shorter after a start, up to RECENT longer else."""
        moment = asyncio.get_running_loop().time()
        records = [each for each in (*self._day, *self._recent) if moment - each.at <= seconds + EVERY]
        if not records:
            return now, 0.0
        oldest = min(records, key=lambda each: each.at)
        return now.since(oldest.samples), moment - oldest.at

    def record(self) -> None:
        """Records what is counted now."""
        moment, values = asyncio.get_running_loop().time(), self._take().values
        kept = {self._keys.setdefault(key, key): value for key, value in values.items() if value and key[0] in KEPT}
        record = Record(moment, Samples(kept))
        self._recent.append(record)
        if not self._day or moment - self._day[-1].at >= RECENT - EVERY / 2:
            self._day.append(record)

    async def _run(self) -> None:
        while True:
            try:
                self.record()
            except Exception as error:
                get_log().error("unexpected", **describe(error))
            await asyncio.sleep(EVERY)
