"""What a request may hold. Everything else is INVALID_REQUEST and never reaches the vendor."""

import re

from google.protobuf.duration_pb2 import Duration

from .errors import invalid

ID_LENGTH = 16
_CALL_REQUEST_ID = re.compile(rf"[A-Za-z0-9]{{{ID_LENGTH}}}")
MIN_HEARTBEAT, MAX_HEARTBEAT = 1.0, 3600.0
"""Bounds of a heartbeat_interval in seconds: less is refused, more counts as the longest."""
MAX_BATCH = 100
"""Ids in a batch."""
_MAX_SECONDS, _NANOS = 315_576_000_000, 1_000_000_000  # google/protobuf/duration.proto


def is_call_request_id(value: str) -> bool:
    """Whether it is 16 of A–Z, a–z, 0–9: nothing else may enter a path at the vendor."""
    return _CALL_REQUEST_ID.fullmatch(value) is not None


def check_call_request_id(value: str, field: str = "call_request_id") -> str:
    """Returns the id. Raises INVALID_REQUEST."""
    if not is_call_request_id(value):
        raise invalid(field, "Must be exactly 16 characters of A-Z, a-z and 0-9.")
    return value


def check_heartbeat_interval(value: Duration) -> float:
    """Returns the seconds of a watch's heartbeat_interval, at most MAX_HEARTBEAT. Raises INVALID_REQUEST."""
    seconds = check_duration(value, "heartbeat_interval")
    if seconds < MIN_HEARTBEAT:
        raise invalid("heartbeat_interval", f"Must be at least {MIN_HEARTBEAT:g} s.")
    return min(seconds, MAX_HEARTBEAT)


def check_number_of_ids(number: int) -> None:
    """Raises INVALID_REQUEST when a batch has no ids or more than MAX_BATCH."""
    if not 1 <= number <= MAX_BATCH:
        raise invalid("call_request_ids", f"Must be 1 to {MAX_BATCH} ids.")


def check_duration(value: Duration, field: str) -> float:
    """Returns the seconds of a duration, 0 or more. Raises INVALID_REQUEST."""
    if value.seconds < 0 or value.nanos < 0:
        raise invalid(field, "Must not be negative.")
    if value.seconds > _MAX_SECONDS or value.nanos >= _NANOS:
        raise invalid(field, "Is not a valid google.protobuf.Duration.")
    return value.seconds + value.nanos / _NANOS
