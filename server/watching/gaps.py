"""Gaps in what processes publish: what was published meanwhile is not known here."""

import asyncio
from collections.abc import Callable

from ..deadline import now

MIN_PAUSE, MAX_PAUSE = 0.5, 60.0
"""Seconds from one poll of everything to the next at least: at first, and while gaps go on."""
FEW = 4
"""Polls after which the pause grows: the start has two gaps, and so has an outage, one of the connection for scripts
and one of the channel. After the latter whoever watches must not wait."""
QUIET = 60.0
"""Seconds without a gap after which the next one counts as the first."""


class Gaps:
    """Has everything that is watched polled after a gap: at once after the first, less and less often while gaps go on.

    Connections to the engine that are cut again and again would else have the vendor asked for everything each time.
    What the pause delays is a change that nobody else publishes, and the pace of the polls bounds that.
    """

    def __init__(self, poll_all: Callable[[], None]) -> None:
        self._poll_all = poll_all
        self._polls = 0  # in a row
        self._next_at = self._latest = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    def occurred(self) -> None:
        """Something may have been missed."""
        moment = now()
        if moment - self._latest > QUIET:
            self._polls = 0
        self._latest = moment
        if self._timer is None:
            if moment >= self._next_at:
                self._poll()
            else:
                self._timer = asyncio.get_running_loop().call_at(self._next_at, self._poll)

    def _poll(self) -> None:
        self._timer = None
        self._polls += 1
        self._next_at = now() + min(MIN_PAUSE * 2.0 ** min(max(self._polls - FEW, 0), 10), MAX_PAUSE)
        self._poll_all()
