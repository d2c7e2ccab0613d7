"""What happened recently, by call request: bounded in time and in number."""

from collections import OrderedDict
from typing import Generic, TypeVar

from ..deadline import now

_Value = TypeVar("_Value")

MAX_IDS = 10_000


class RecentIds(Generic[_Value]):
    """A value for each of at most max_ids call requests. One that is not put again within `seconds` is forgotten."""

    def __init__(self, seconds: float, max_ids: int = MAX_IDS) -> None:
        self._seconds = seconds
        self._max_ids = max_ids
        # Ordered by put. Not a dict: its first entry is found by a scan over the slots of removed ones.
        self._entries = OrderedDict[str, tuple[float, _Value]]()

    def __len__(self) -> int:
        self._prune(now() - self._seconds, self._max_ids)
        return len(self._entries)

    def get(self, call_request_id: str) -> _Value | None:
        """The value, or None."""
        entry = self._entries.get(call_request_id)
        return None if entry is None or now() - entry[0] >= self._seconds else entry[1]

    def put(self, call_request_id: str, value: _Value) -> None:
        """Keeps a value in place of an older one. When there are max_ids, the one that was put first is forgotten."""
        moment = now()
        self._entries.pop(call_request_id, None)
        self._prune(moment - self._seconds, self._max_ids - 1)
        self._entries[call_request_id] = (moment, value)

    def pop(self, call_request_id: str) -> None:
        """Forgets a value."""
        self._entries.pop(call_request_id, None)

    def _prune(self, oldest: float, max_ids: int) -> None:
        while self._entries:
            first = next(iter(self._entries))
            if self._entries[first][0] > oldest and len(self._entries) <= max_ids:
                break
            del self._entries[first]
