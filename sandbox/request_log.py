"""The log of requests to the vendor's paths: without tokens, secrets, queries and bodies."""

from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any

from .clock import Clock, moment

MAX_REQUESTS = 1000
"""Only the latest requests are kept; the counts include all."""

_MAX_LENGTH = 200  # characters of a path or an id that are kept


@dataclass(frozen=True, slots=True)
class _Request:
    time: str
    method: str
    path: str
    operation: str
    call_request_id: str | None


class RequestLog:
    """The requests to the vendor's own paths, refused ones included."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._requests: deque[_Request] = deque(maxlen=MAX_REQUESTS)
        self._counts: Counter[str] = Counter()

    def record(self, method: str, path: str, operation: str, call_request_id: str | None) -> None:
        """path: without its query. operation: "other" when the vendor has none there."""
        logged_id = None if call_request_id is None else call_request_id[:_MAX_LENGTH]
        self._requests.append(_Request(moment(self._clock), method, path[:_MAX_LENGTH], operation, logged_id))
        self._counts[operation] += 1

    def report(self) -> dict[str, Any]:
        """The last requests, oldest first, and how many there were of each operation since the start or a reset."""
        counts = {operation: self._counts[operation] for operation in ("result", "cancel", "token", "other")}
        return {"counts": counts, "requests": [asdict(request) for request in self._requests]}

    def clear(self) -> None:
        self._requests.clear()
        self._counts.clear()
