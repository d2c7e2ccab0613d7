"""How a cancel ended, as the log and the metrics have it."""

from typing import Any, NamedTuple


class SettledCancel(NamedTuple):
    """One cancel that has ended.

    settled_by: one of cancellation.SETTLED_BY. outcome: a CancellationOutcome's name, or reason: an ErrorReason's name,
    both without the enum's prefix; the other is None. posts: how many the vendor may have received. readings: how many
    times the status was read back. seconds: from its first caller on. callers_left: how many callers were gone, or had
    no time left, before the end.
    """

    call_request_id: str
    settled_by: str
    outcome: str | None
    reason: str | None
    posts: int
    readings: int
    seconds: float
    callers_left: int

    def fields(self) -> dict[str, Any]:
        """The fields of its line in the log."""
        fields = self._asdict() | {"seconds": round(self.seconds, 3)}
        del fields["reason" if self.reason is None else "outcome"]
        return fields
