"""What may become of a push."""

APPLIED = "applied"
STALE = "stale"
DUPLICATE = "duplicate"
CONFLICT = "conflict"
HINT = "hint"
IGNORED = "ignored"
MALFORMED = "malformed"
UNAVAILABLE = "unavailable"
UNKNOWN_SENDER = "unknown_sender"
TOO_LARGE = "too_large"

STATUS_BY_OUTCOME = {
    APPLIED: 200,
    STALE: 200,
    DUPLICATE: 200,
    IGNORED: 200,
    HINT: 202,
    MALFORMED: 400,
    UNKNOWN_SENDER: 401,
    CONFLICT: 409,
    TOO_LARGE: 413,
    UNAVAILABLE: 503,
}
"""The HTTP status of each. 503: the sender is asked to send it again."""

OUTCOMES = tuple(STATUS_BY_OUTCOME)
"""All of them, for metrics."""
