"""A limit on the rate of requests to the vendor, for contracts that set one."""

import asyncio

from aiolimiter import AsyncLimiter

from callrequest.v1 import error_reason_pb2 as reasons

from ..deadline import MIN_SECONDS, Deadline
from ..errors import GatewayError
from .read_queue import ReadQueue


class RateLimiter:
    """Allows max_per_second requests to the vendor, in bursts of one second's worth; None: no limit.

    Requests above the limit wait: reads behind cancels, and those of batches behind other reads. A read whose turn
    would come after its deadline is refused at once: it would only delay others.
    """

    def __init__(self, max_per_second: float | None) -> None:
        self._rate = max_per_second or 0.0
        self._limiter: AsyncLimiter | None = None
        if max_per_second is not None:
            burst = max(max_per_second, 1.0)
            self._limiter = AsyncLimiter(burst, burst / max_per_second)
        self._reads = ReadQueue()

    def is_idle(self) -> bool:
        """Whether a request could be sent at once, without taking the turn of one that waits."""
        return self._limiter is None or (not self._reads and self._limiter.has_capacity())

    async def acquire_read(self, deadline: Deadline) -> None:
        """Waits until a read may be sent. Raises VENDOR_RATE_LIMITED when that would be after the deadline."""
        if self._limiter is None:
            return
        expected = self._reads.ahead_of(deadline) / self._rate
        if expected > deadline.remaining() - MIN_SECONDS:
            raise _limited(expected)
        try:
            # One read at a time is in the limiter's queue, so that a cancel is at most second in it.
            async with self._reads.turn(deadline):
                await self._acquire(deadline)
        except TimeoutError:
            raise _limited(1 / self._rate) from None

    async def acquire_cancel(self, deadline: Deadline) -> None:
        """Waits until a request of a cancel may be sent. Raises VENDOR_RATE_LIMITED when that is after the deadline."""
        if self._limiter is not None:
            await self._acquire(deadline)

    async def _acquire(self, deadline: Deadline) -> None:
        assert self._limiter is not None
        while True:
            try:
                async with asyncio.timeout(max(deadline.remaining() - MIN_SECONDS, 0)):
                    await self._limiter.acquire()
                return
            except TimeoutError:
                if deadline.remaining() <= MIN_SECONDS:  # else a reader with a later deadline has come meanwhile
                    raise _limited(1 / self._rate) from None


def _limited(seconds: float) -> GatewayError:
    return GatewayError(reasons.ERROR_REASON_VENDOR_RATE_LIMITED, retry_after=seconds)
