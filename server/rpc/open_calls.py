"""The calls that are open, so that the drain knows when nothing is left that it should wait for."""

import asyncio
import time

QUIET_SECONDS = 1.0
"""Seconds without the end of any call after which the streams that are left count as unread."""
_CHECK_INTERVAL = 0.05


class OpenCalls:
    """The unary calls whose handlers run, and when a handler ended last. The interceptor sets both for every call.

    unary: their number. ended_at: by time.perf_counter.
    """

    def __init__(self) -> None:
        self.unary = 0
        self.ended_at = 0.0

    async def settled(self) -> None:
        """Returns once no unary call is open and for QUIET_SECONDS no call has ended.

        Whatever is still open by then is a stream, or a response, that its client does not read.
        """
        self.ended_at = time.perf_counter()
        while self.unary or time.perf_counter() < self.ended_at + QUIET_SECONDS:  # noqa: ASYNC110 (it ends by the clock)
            await asyncio.sleep(_CHECK_INTERVAL)
