"""The lines of calls: made as structlog makes all others, for those that the level lets through."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from server.observability.access_log import AccessLog
from server.observability.logs import configure_logs
from server.observability.settled_cancel import SettledCancel
from testkit.logs import Lines

ID = "77b2c4d5e6f7g890"
CALLS: dict[str, tuple[Any, ...]] = {
    "well": ("GetCallRequestResult", "OK", None, 0.0123, ID, None),
    "failed, by a caller with a name": ("CancelCallRequest", "NOT_FOUND", "CALL_REQUEST_NOT_FOUND", 1.5, ID, 'a "b" é'),
    "a failure for operators": ("GetCallRequestResult", "UNAVAILABLE", "VENDOR_TIMEOUT", 8.0, ID, None),
    "text of the caller's for an id": (
        "GetCallRequestResult",
        "INVALID_ARGUMENT",
        "INVALID_REQUEST",
        0.1,
        'x"\n',
        None,
    ),
}


@pytest.mark.parametrize("call", [pytest.param(call, id=name) for name, call in CALLS.items()])
async def test_a_calls_line_is_as_structlog_would_write_it(call: tuple[Any, ...]) -> None:
    """Same fields, same values, same order but for what comes last: one format, whichever way it was made."""
    own, other = Lines(), Lines()
    configure_logs("debug", console=False, sink=other)
    AccessLog("info", own).ended(*call, probe=False)
    AccessLog("info", None).ended(*call, probe=False)
    made, expected = json.loads(own.getvalue()), json.loads(other.getvalue())
    assert list(made)[:6] == ["time", "level", "event", "method", "code", "duration_ms"]
    assert len(made.pop("time")) == len(expected.pop("time"))
    assert made == expected
    assert own.getvalue().count("\n") == 1


class _Waiting:
    """A sink whose stream takes nothing: the parts of the lines stay."""

    def __init__(self) -> None:
        self.parts: list[Any] = []

    def add(self, make: Callable[..., str], *parts: Any) -> None:
        self.parts += parts


@pytest.mark.parametrize("text", ["x" * 65_000, "é" * 17, ID + "x"])
async def test_a_line_that_waits_holds_no_text_of_a_callers(text: str) -> None:
    """Ten thousand of them may wait, where nobody reads the log."""
    sink = _Waiting()
    AccessLog("info", sink).ended(
        "GetCallRequestResult", "INVALID_ARGUMENT", "INVALID_REQUEST", 0.1, text, None, probe=False
    )
    assert text not in sink.parts


CANCELS: dict[str, tuple[Any, ...]] = {
    "cancelled": (ID, "reply", "CANCELLED", None, 1, 0, 0.2512345, 0),
    "not cancelled": (ID, "refusal", None, "CANCELLATION_NOT_ALLOWED", 2, 6, 4.2, 0),
    "in doubt, its caller gone": (ID, "nothing", None, "CANCELLATION_OUTCOME_UNKNOWN", 2, 12, 9.9, 1),
}


@pytest.mark.parametrize("cancel", [pytest.param(cancel, id=name) for name, cancel in CANCELS.items()])
async def test_a_cancels_line_is_as_structlog_would_write_it(cancel: tuple[Any, ...]) -> None:
    """All its fields are among those that may be logged; outcome or reason, never both; doubt is a warning."""
    own, other = Lines(), Lines()
    configure_logs("debug", console=False, sink=other)
    AccessLog("info", own).cancel_settled(SettledCancel(*cancel))
    AccessLog("info", None).cancel_settled(SettledCancel(*cancel))
    made, expected = json.loads(own.getvalue()), json.loads(other.getvalue())
    assert len(made.pop("time")) == len(expected.pop("time"))
    assert made == expected
    call_request_id, settled_by, outcome, reason, posts, readings, seconds, callers_left = cancel
    assert made == {
        "level": "warning" if settled_by == "nothing" else "info",
        "event": "cancel_settled",
        "call_request_id": call_request_id,
        "settled_by": settled_by,
        **({"outcome": outcome} if outcome else {"reason": reason}),
        "posts": posts,
        "readings": readings,
        "seconds": round(seconds, 3),
        "callers_left": callers_left,
    }


@pytest.mark.parametrize(("level", "seen"), [("debug", 3), ("info", 2), ("warning", 1), ("error", 0)])
async def test_calls_below_the_level_are_not_logged(level: str, seen: int) -> None:
    """A probe is debug, a call info, one that operators must know of a warning."""
    lines = Lines()
    log = AccessLog(level, lines)
    log.ended("Check", "OK", None, 0.1, "", None, probe=True)
    log.ended(*CALLS["well"], probe=False)
    log.ended(*CALLS["a failure for operators"], probe=False)
    assert lines.getvalue().count("\n") == seen
