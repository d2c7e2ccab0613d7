"""The scene in the sandbox: how long the vendor takes, and call requests to cancel. See docs/sandbox.md."""

from itertools import count, islice

from .plain_http import ask

_NUMBERS = count(1)


def take_so_long(address: str, seconds: float) -> None:
    """Makes each answer of the vendor's take so long."""
    for operation in ("result", "cancel"):
        ask(address, "/sandbox/faults", "POST", {"operation": operation, "fault": "slow", "seconds": seconds})


def make_pending(address: str, number: int) -> tuple[str, ...]:
    """Makes so many call requests that can be cancelled, in the place of those of an earlier run; gives their ids."""
    ids = tuple(f"loadtest{each:08d}" for each in islice(_NUMBERS, number))
    for each in ids:
        ask(address, f"/sandbox/call-requests/{each}", "PUT", {"status": "PENDING_TO_CALL"})
    return ids
