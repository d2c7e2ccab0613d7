"""When a call request is called, and when it is completed."""

from typing import NamedTuple

STATUSES = ("PENDING_TO_CALL", "IN_PROGRESS", "COMPLETED")
"""The vendor's words for the statuses 0, 1, 2."""
FINAL = 2


class Life(NamedTuple):
    """One call request: its hotel is phoned from called_at to ended_at; then the result is final. In seconds."""

    begun_at: float
    called_at: float
    ended_at: float
