"""The lines of the log: in order, whole, never a call's failure; those of calls are written as all others."""

import asyncio
import io
import json
from typing import Any

import pytest

from server.observability.access_log import AccessLog
from server.observability.debounce import DELAY
from server.observability.logs import WHOLE, Lines, configure_logs

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


class _Pieces(io.StringIO):
    """What each write brought, as a pipe gets it."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def write(self, text: str) -> int:
        if text:
            self.pieces.append(text)
        return len(text)


class _Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("call", [pytest.param(call, id=name) for name, call in CALLS.items()])
async def test_a_calls_line_is_as_structlog_would_write_it(call: tuple[Any, ...]) -> None:
    """Same fields, same values, same order but for what comes last: one format, whichever way it was made."""
    own, other = io.StringIO(), io.StringIO()
    lines, structlogs = Lines(own), Lines(other)
    configure_logs("debug", console=False, lines=structlogs)
    AccessLog("info", lines).ended(*call, probe=False)
    lines.flush()
    AccessLog("info", None).ended(*call, probe=False)
    made, expected = json.loads(own.getvalue()), json.loads(other.getvalue())
    assert list(made)[:6] == ["time", "level", "event", "method", "code", "duration_ms"]
    assert len(made.pop("time")) == len(expected.pop("time"))
    assert made == expected
    assert own.getvalue().count("\n") == 1


@pytest.mark.parametrize(("level", "seen"), [("debug", 3), ("info", 2), ("warning", 1), ("error", 0)])
async def test_calls_below_the_level_are_not_logged(level: str, seen: int) -> None:
    """A probe is debug, a call info, one that operators must know of a warning."""
    stream = io.StringIO()
    lines = Lines(stream)
    log = AccessLog(level, lines)
    log.ended("Check", "OK", None, 0.1, "", None, probe=True)
    log.ended(*CALLS["well"], probe=False)
    log.ended(*CALLS["a failure for operators"], probe=False)
    lines.flush()
    assert stream.getvalue().count("\n") == seen


async def test_lines_are_written_together_and_soon() -> None:
    """Nothing at once, all after DELAY, in one piece; a warning at once, with those before it."""
    stream = _Pieces()
    lines = Lines(stream)
    for number in range(3):
        lines.add(str, (f"{number}\n",), flush=False)
    assert stream.pieces == []
    await asyncio.sleep(3 * DELAY)
    assert stream.pieces == ["0\n1\n2\n"]
    lines.add(str, ("3\n",), flush=False)
    lines.add(str, ("4\n",), flush=True)
    assert stream.pieces[1:] == ["3\n4\n"]


async def test_no_piece_is_too_long_for_a_pipe() -> None:
    """Lines of several workers come through one pipe: a piece is whole lines, of PIPE_BUF at most."""
    stream = _Pieces()
    lines = Lines(stream)
    for number in range(200):
        lines.add(str, (f"{number:03}" + "x" * 150 + "\n",), flush=False)
    lines.flush()
    assert "".join(stream.pieces) == "".join(f"{number:03}" + "x" * 150 + "\n" for number in range(200))
    assert all(len(piece) <= WHOLE and piece.endswith("\n") for piece in stream.pieces)


async def test_a_log_that_nobody_takes_is_no_calls_failure() -> None:
    """A broken pipe loses lines, and raises nothing."""
    lines = Lines(_Gone())
    lines.add(str, ("warning\n",), flush=True)
    lines.write("text\n")
    lines.flush()


async def test_any_thread_may_log_while_the_loop_does() -> None:
    """Each line once and whole, whoever wrote it; the event loop's timer is left to the event loop."""
    stream = _Pieces()
    lines = Lines(stream)

    def write() -> None:
        for number in range(500):
            lines.write(f"thread {number}\n")
            lines.flush()

    writing = asyncio.create_task(asyncio.to_thread(write))
    for number in range(500):
        lines.add(str, (f"loop {number}\n",), flush=False)
        await asyncio.sleep(0)
    await writing
    lines.flush()
    written = "".join(stream.pieces).splitlines()
    assert sorted(written) == sorted([f"{who} {number}" for who in ("thread", "loop") for number in range(500)])
