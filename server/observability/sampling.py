"""What changes with time alone, sampled once a second: the token's age, the vendor's Retry-After, the cache."""

import asyncio
import time
from collections.abc import Sized
from contextlib import suppress
from typing import Protocol, Self

from .logs import describe, get_log
from .metrics import Metrics

EVERY = 1.0
"""Seconds between two samples."""


class Vendor(Protocol):
    """The vendor's client."""

    def token_times(self) -> tuple[float, float] | None:
        """When the token was asked for and when it expires, on the event loop's clock; None without a token."""


class Reads(Protocol):
    """The reads at the vendor."""

    def is_throttled(self) -> bool: ...
    def retry_after_left(self) -> float: ...


class Cache(Sized, Protocol):
    """The cache of results."""

    def bytes(self) -> int: ...


class Sampling:
    """`async with Sampling(metrics, vendor, reads, cache)`: their gauges are set every second."""

    def __init__(self, metrics: Metrics, vendor: Vendor, reads: Reads, cache: Cache) -> None:
        self._metrics = metrics
        self._vendor = vendor
        self._reads = reads
        self._cache = cache

    async def __aenter__(self) -> Self:
        self.sample()
        self._sampling = asyncio.create_task(self._run(), name="sampling")
        return self

    async def __aexit__(self, *error: object) -> None:
        self._sampling.cancel()
        with suppress(asyncio.CancelledError):
            await self._sampling

    def sample(self) -> None:
        """Sets the gauges now."""
        times, ahead = self._vendor.token_times(), time.time() - asyncio.get_running_loop().time()
        issued, expires = (0.0, 0.0) if times is None else (times[0] + ahead, times[1] + ahead)
        self._metrics.vendor.set_token(issued, expires)
        self._metrics.vendor.set_held(throttled=self._reads.is_throttled(), retry_after=self._reads.retry_after_left())
        self._metrics.set_cached(len(self._cache), self._cache.bytes())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                self.sample()
            except Exception as error:
                get_log().error("unexpected", **describe(error))
