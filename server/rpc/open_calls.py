"""The calls that are open, so that the drain knows when nothing is left that it should wait for."""

import asyncio
import time

QUIET_SECONDS = 1.0
"""Seconds without the end of any call after which the streams that are left count as unread."""
_CHECK_INTERVAL = 0.05


class OpenCalls:
    """Counts the unary calls whose handlers run, and knows when a call, unary or not, ended last."""

    def __init__(self) -> None:
        self._unary = 0
        self._ended_at = time.monotonic()

    def began(self, *, unary: bool) -> None:
        """Counts a call whose handler begins."""
        self._unary += unary

    def ended(self, *, unary: bool) -> None:
        """Counts a call whose handler has ended; gRPC may still be sending its response."""
        self._unary -= unary
        self._ended_at = time.monotonic()

    async def settled(self) -> None:
        """Returns once no unary call is open and for QUIET_SECONDS none has ended.

        Whatever is still open by then is a stream, or a response, that its client does not read.
        """
        self._ended_at = time.monotonic()
        while self._unary or time.monotonic() < self._ended_at + QUIET_SECONDS:  # noqa: ASYNC110 (it ends by the clock)
            await asyncio.sleep(_CHECK_INTERVAL)
