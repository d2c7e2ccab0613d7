"""How often a watched call request is read."""

import random

from callrequest.v1 import call_request_pb2 as pb

from .snapshot import Snapshot

FRESHNESS = 0.95
"""A poll accepts an answer of at most this share of its interval: one that somebody else has read meanwhile."""
FIRST_SPREAD = 0.5
"""The first interval of a call request is this share of its pace at least: ids first watched at once drift apart."""


class Pace:
    """Seconds between two polls of one call request, by its latest status.

    pending: for PENDING_TO_CALL, and for a status that this version does not know. in_progress: for IN_PROGRESS, for
    COMPLETED while its outcome is missing, and as long as no result could be read.
    """

    def __init__(self, pending: float, in_progress: float) -> None:
        self._pending = pending
        self._in_progress = in_progress

    def of(self, snapshot: Snapshot | None) -> float:
        """The longest time from this snapshot to the next."""
        if snapshot is None or snapshot.status in (
            pb.CALL_REQUEST_STATUS_IN_PROGRESS,
            pb.CALL_REQUEST_STATUS_COMPLETED,
        ):
            return self._in_progress
        return self._pending

    def interval(self, snapshot: Snapshot | None, *, first: bool = False) -> float:
        """A time to wait from this snapshot on, with jitter, within its pace."""
        return self.of(snapshot) * random.uniform(FIRST_SPREAD if first else FRESHNESS, 1)  # noqa: S311 (jitter)
