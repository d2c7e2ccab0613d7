"""The calls that are open, so that the drain knows what to wait for, and what is not worth waiting for."""

import asyncio
import time
from collections.abc import Callable, Iterable

REPLY_SECONDS = 0.05
"""Seconds for a reply to reach its client, and for what the client sends as it reads it."""
QUIET_SECONDS = 1.0
"""Seconds without the end of any call after which the streams that are left count as unread."""
_CHECK_INTERVAL = 0.05


class Count:
    """Of the calls whose handlers run."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = 0


class OpenCalls:
    """The calls whose handlers run, and when a handler ended last. The interceptor sets both for every call.

    unary, streaming: where a call that begins is counted. ended_at: by the clock.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self.unary, self.streaming = Count(), Count()
        self.ended_at = 0.0
        self._counts = [self.unary]  # all that unary has been

    async def replied(self, max_seconds: float) -> None:
        """Returns once the unary calls that are open now have ended and their clients have the replies.

        A server that ends closes a connection together with its last call: what its client sends in that moment then
        resets the connection, and takes replies with it that the client has not read yet.
        """
        until = self._clock() + max_seconds
        earlier, self.unary = tuple(self._counts), Count()
        self._counts.append(self.unary)
        while _is_open(earlier) and self._clock() < until:  # noqa: ASYNC110 (it ends by the clock)
            await asyncio.sleep(_CHECK_INTERVAL)
        await asyncio.sleep(min(self.ended_at + REPLY_SECONDS, until) - self._clock())

    async def settled(self) -> None:
        """Returns once no unary call is open and for QUIET_SECONDS no call has ended.

        Whatever is still open by then is a stream, or a response, that its client does not read.
        """
        self.ended_at = self._clock()
        while _is_open(self._counts) or self._clock() < self.ended_at + QUIET_SECONDS:  # noqa: ASYNC110 (see above)
            await asyncio.sleep(_CHECK_INTERVAL)


def _is_open(counts: Iterable[Count]) -> bool:
    return any(each.number for each in counts)
