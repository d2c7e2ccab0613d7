"""How many calls a second each caller may send to a process."""

import time
from collections.abc import Callable

from callrequest.v1 import error_reason_pb2 as reasons

from ..errors import GatewayError
from .callers_file import Caller

BURST_SECONDS = 1.0
"""A caller that was silent may send the calls of so many seconds at once; one call in any case."""


class CallerLimits:
    """Refuses callers above their `max_per_second`, or only counts what would have been refused.

    For each caller one moment is kept, at which all calls that were admitted would have been sent at an even pace
    (the generic cell rate algorithm): neither time nor memory depends on how many calls are refused.

    enforce: False: refuses nothing. exceeded: called with the caller's name. now: seconds.
    """

    def __init__(
        self, *, enforce: bool, exceeded: Callable[[str], None], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._enforce = enforce
        self._exceeded = exceeded
        self._now = now
        self._due: dict[str, float] = {}

    def admit(self, caller: Caller) -> None:
        """Counts a call. Raises CALLER_RATE_LIMITED, with the time until the next one is admitted."""
        if caller.max_per_second is None:
            return
        now, interval = self._now(), 1 / caller.max_per_second
        burst = max(BURST_SECONDS, interval)
        # At most as late as this rate brings it: the file may have given a lower one before.
        due = self._due[caller.name] = min(max(self._due.get(caller.name, 0.0), now), now + burst)
        early = due + interval - now - burst
        if early <= 1e-9:
            self._due[caller.name] = due + interval
            return
        self._exceeded(caller.name)
        if self._enforce:
            raise GatewayError(reasons.ERROR_REASON_CALLER_RATE_LIMITED, retry_after=early)
