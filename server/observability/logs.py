"""The log: one JSON object a line on stdout, and only fields that are listed here.

Results hold guests' data, and the vendor's token request holds a secret in its URL: whatever is not known to be
harmless is left out, the texts of exceptions and of other libraries' messages included.
"""

import json
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TextIO

import structlog

from .debounce import Debounce

FIELDS = frozenset(
    {
        *("time", "level", "event"),
        *("method", "code", "reason", "duration_ms", "call_request_id", "caller"),  # a call
        *("error", "at", "logger", "line"),  # an unexpected exception, a library's message
        *("address", "metrics", "vendor", "version", "settings", "signal", "seconds"),  # start and stop
        *("settled_by", "outcome", "posts", "readings", "callers_left"),  # a cancel
        *("worker", "pid", "exit"),  # one of several workers
        "thread",
        *("cause", "messages"),  # the end of a watch
    }
)
"""The fields that may be logged. None of them ever holds what the vendor sent, nor a caller's text."""

WHOLE = 4000
"""Characters that a pipe takes in one piece (PIPE_BUF is 4096 bytes, and such lines are ASCII)."""

_STACK = 8
"""Frames of a stack that are logged, the innermost."""

Log = structlog.typing.FilteringBoundLogger


def configure_logs(level: str, console: bool, lines: "Lines") -> None:
    """Sends the project's and all libraries' messages from that level on to those lines, as JSON or readably."""
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer = (
        structlog.dev.ConsoleRenderer(colors=True, pad_event_to=10, sort_keys=False, timestamp_key="time")
        if console
        else structlog.processors.JSONRenderer(serializer=_compact)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            only_listed_fields,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(lines),  # type: ignore[arg-type]  # it writes and flushes, no more
        cache_logger_on_first_use=False,  # get_log is called anew each time
    )
    logging.basicConfig(handlers=[_Libraries()], level=max(number, logging.WARNING), force=True)
    logging.captureWarnings(True)


class Lines:
    """Lines on their way to a stream: those added within debounce.DELAY are made and written together, all in order.

    A process that is killed loses what was added in that time. For structlog it is a file: write, flush, by any thread.
    A stream that takes nothing (its reader is gone) loses lines, never a call.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._waiting: list[tuple[Callable[..., str], tuple[Any, ...]]] = []
        self._debounce = Debounce(self.flush)
        self._one_at_a_time = threading.RLock()  # a warning while it writes comes back here

    def add(self, make: Callable[..., str], parts: tuple[Any, ...], *, flush: bool) -> None:
        """Adds a line, which make(*parts) gives, with its line break, in any thread. flush: it is written at once.

        Only in the event loop.
        """
        self._waiting.append((make, parts))
        if flush:
            self.flush()
        else:
            self._debounce.schedule()

    def write(self, text: str) -> None:
        """Adds text, to be flushed."""
        self._waiting.append((str, (text,)))

    def flush(self) -> None:
        """Writes what waits, in pieces that no other process's lines come between."""
        # The timer is left alone: it is the event loop's, and this may be another thread.
        with self._one_at_a_time, suppress(OSError):
            waiting, self._waiting = self._waiting, []
            piece = ""
            for make, parts in waiting:
                line = make(*parts)
                if len(piece) + len(line) > WHOLE:
                    self._stream.write(piece)
                    self._stream.flush()
                    piece = ""
                piece += line
            self._stream.write(piece)
            self._stream.flush()


def get_log() -> Log:
    """The project's log."""
    log: Log = structlog.get_logger()
    return log


def only_listed_fields(logger: object, name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Drops every field that is not in FIELDS; what a person looks for first comes first."""
    first = {field: event.pop(field) for field in ("time", "level", "event") if field in event}
    return first | {field: value for field, value in event.items() if field in FIELDS}


def describe(error: BaseException) -> dict[str, Any]:
    """What may be logged of an unexpected exception: its class and where it came from, never its text or values."""
    frames: Sequence[traceback.FrameSummary] = traceback.extract_tb(error.__traceback__)
    at = [f"{_short(frame.filename)}:{frame.lineno}" for frame in frames[-_STACK:]]
    return {"error": type(error).__name__, "at": at}


def log_stacks() -> None:
    """Logs where each thread of this process is: a line for each, with places in the code and no values."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for number, frame in sys._current_frames().items():  # noqa: SLF001 (as the standard library's faulthandler)
        frames = traceback.extract_stack(frame)[-_STACK:]
        at = [f"{_short(each.filename)}:{each.lineno}" for each in frames]
        get_log().warning("stack", thread=names.get(number, str(number)), at=at)


class _Libraries(logging.Handler):
    """Passes on that a library logged something, and where; its message only when it is a constant of its code."""

    def emit(self, record: logging.LogRecord) -> None:
        details = describe(record.exc_info[1]) if record.exc_info and record.exc_info[1] else {}
        constant = isinstance(record.msg, str) and bool(record.args)
        get_log().log(
            record.levelno,
            record.msg if constant else "a library's message",
            logger=record.name,
            line=f"{_short(record.pathname)}:{record.lineno}",
            **details,
        )


def _short(path: str) -> str:
    return "/".join(path.split("/")[-3:])


def _compact(event: Any, **_: Any) -> str:
    return json.dumps(event, separators=(",", ":"), default=str)
