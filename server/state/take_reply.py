"""The replies of the script TAKE. All times in ms, by the engine's clock."""

from typing import Any, NamedTuple

from .values import EngineError


class Taken(NamedTuple):
    """A result that may serve, as it is stored.

    at: when the script ran. began: when the read began, or what was pushed occurred; TAKE skips the result when it is
    given that again. since: from when its age counts. arrived: when it was stored.
    """

    at: int
    began: bytes
    is_final: bool
    stored: bytes
    since: int
    arrived: int


class Begin(NamedTuple):
    """The caller is to ask the vendor. epoch: for STORE. has_lease: whether others wait for it."""

    at: int
    epoch: bytes
    has_lease: bool


class Wait(NamedTuple):
    """Another process asks the vendor. began: when its read began. lease_left: until its lease ends."""

    at: int
    began: int
    lease_left: int


def parse_take_reply(reply: Any) -> Taken | Begin | Wait:
    """Raises EngineError for what the script does not send: something else answers there."""
    try:
        match reply:
            case [b"value", at, began, final, stored, since, arrived]:
                int(began)  # Lua reads numbers that Python does not
                return Taken(int(at), began, final == b"1", stored, int(since), int(arrived))
            case [b"lease" | b"fresh" as kind, at, epoch]:
                return Begin(int(at), epoch, kind == b"lease")
            case [b"wait", at, began, lease_left]:
                return Wait(int(at), int(began), max(int(lease_left), 0))
    except (TypeError, ValueError):
        raise EngineError from None
    raise EngineError
