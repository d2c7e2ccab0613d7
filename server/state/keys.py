"""The names of what is in the engine, and for how long it is kept there."""

CHANNEL = "cr:c"
LEASE = 3.0
"""Seconds of a reader's lease: a reader that was killed is replaced after it."""
EPOCH_LIFETIME = 60.0
"""Seconds for which a change is remembered: longer than a read takes. The result of a longer one is not kept."""
NON_FINAL_LIFETIME = 120.0
"""Seconds for which a result is kept at least. Its age, not this, decides whether it may still serve."""
EVENT_LIFETIME = 14 * 86_400.0
"""Seconds for which an event of the webhook is remembered."""


def keys_of(call_request_id: str) -> tuple[str, str, str]:
    """The keys of its result, of the lease and of the epoch: in a cluster all in one slot."""
    slot = f"cr:{{{call_request_id}}}:"
    return f"{slot}r", f"{slot}l", f"{slot}e"


def event_key(event: str) -> str:
    """The key of a webhook's event. event: a name that is safe in a key."""
    return f"cr:w:{{{event}}}"


def milliseconds(seconds: float) -> int:
    """What the scripts take."""
    return int(seconds * 1000)


def lifetime(max_age: float) -> int:
    """For how many milliseconds a result is kept that may serve for so many seconds."""
    return milliseconds(max(NON_FINAL_LIFETIME, max_age))
