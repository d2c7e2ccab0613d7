"""Why a watch ended."""

import random
from typing import Final

from callrequest.v1 import error_reason_pb2 as reasons

from ..errors import GatewayError

FINAL: Final = "final"
CALLER_LEFT: Final = "caller_left"
DRAIN: Final = "drain"
REBALANCE: Final = "rebalance"
NOT_READING: Final = "not_reading"

CAUSES = (
    FINAL,
    CALLER_LEFT,
    DRAIN,
    REBALANCE,
    NOT_READING,
    "deadline_exceeded",
    "call_request_not_found",
    "vendor_rejected_request",
    "caller_unauthenticated",
    "caller_forbidden",
    "internal",
)
"""All causes, for metrics: the gateway's and the caller's own, then the ErrorReasons that end a watch."""

ENDING_REASONS = frozenset({reasons.ERROR_REASON_CALL_REQUEST_NOT_FOUND, reasons.ERROR_REASON_VENDOR_REJECTED_REQUEST})
"""Failures of a read that end a watch: waiting does not mend them. All others may pass."""

MIN_RETRY, MAX_RETRY = 0.5, 5.0
"""Seconds: bounds of RetryInfo. Watchers that end together come back spread over this time."""


class WatchEndedError(GatewayError):
    """WATCH_ENDED: the gateway ends a watch for its own sake. cause: DRAIN, REBALANCE or NOT_READING."""

    def __init__(self, cause: str) -> None:
        super().__init__(reasons.ERROR_REASON_WATCH_ENDED, retry_after=random.uniform(MIN_RETRY, MAX_RETRY))  # noqa: S311 (jitter)
        self.cause = cause


def cause_of(error: BaseException) -> str:
    """The cause that an end by this exception counts as."""
    if isinstance(error, WatchEndedError):
        return error.cause
    if isinstance(error, GatewayError):
        return error.reason_name.lower()
    return "internal" if isinstance(error, Exception) else CALLER_LEFT  # a CancelledError is no Exception
