"""What the vendor was asked: never with a token, a secret, a query or a body."""

from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any

from .clock import Clock, spelt

MAX_REQUESTS = 1000
"""So many requests are remembered, the last ones; the counts go on."""

_LONGEST = 200  # characters of a path or an id that are kept


@dataclass(frozen=True, slots=True)
class _Request:
    time: str
    method: str
    path: str
    operation: str
    call_request_id: str | None


class Asked:
    """The requests to the vendor's own paths, refused ones included."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._requests: deque[_Request] = deque(maxlen=MAX_REQUESTS)
        self._counts: Counter[str] = Counter()

    def note(self, method: str, path: str, operation: str, call_request_id: str | None) -> None:
        """path: without its query. operation: "other" when the vendor has none there."""
        named = None if call_request_id is None else call_request_id[:_LONGEST]
        time = spelt(self._clock.now(), "%Y-%m-%dT%H:%M:%S.%fZ")
        self._requests.append(_Request(time, method, path[:_LONGEST], operation, named))
        self._counts[operation] += 1

    def report(self) -> dict[str, Any]:
        """The last requests, oldest first, and how many there were of each operation since the start or a reset."""
        counts = {operation: self._counts[operation] for operation in ("result", "cancel", "token", "other")}
        return {"counts": counts, "requests": [asdict(request) for request in self._requests]}

    def clear(self) -> None:
        self._requests.clear()
        self._counts.clear()
