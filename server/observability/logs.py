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
from typing import Any, Protocol

import structlog

FIELDS = frozenset(
    {
        *("time", "level", "event"),
        *("method", "code", "reason", "duration_ms", "call_request_id", "caller", "request_id", "trace_id"),  # a call
        *("error", "at", "logger", "line"),  # an unexpected exception, a library's message
        "tls",  # why TLS failed: a constant text of OpenSSL's, with the vendor's host name at most
        *("address", "metrics", "vendor", "version", "settings", "signal", "seconds"),  # start and stop
        *("settled_by", "outcome", "posts", "readings", "callers_left"),  # a cancel
        *("worker", "pid", "exit"),  # one of several workers
        *("thread", "lines"),  # a stack, lines that were lost
        *("cause", "messages"),  # the end of a watch
        "failures",  # of TLS handshakes, by reason
        "not_logged",  # numbers of events without a line of their own, by kind
        "server",  # of the shared state: host and port, or the path of a socket
    }
)
"""The fields that may be logged. None of them ever holds what the vendor sent, nor a caller's text."""

LEVELS = ("debug", "info", "warning", "error")
"""From the most to the least that is logged."""

_STACK = 8
"""Frames of a stack that are logged, the innermost."""

Log = structlog.typing.FilteringBoundLogger


def configure_logs(level: str, console: bool, sink: "LineSink", *, colors: bool = False) -> None:
    """Sends the project's and all libraries' messages of that level and above to the sink, as JSON or for people."""
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer = (
        structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=10, sort_keys=False, timestamp_key="time")
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
        logger_factory=lambda *_: _LineLogger(sink),
        cache_logger_on_first_use=False,  # get_log is called anew each time
    )
    logging.basicConfig(handlers=[_Libraries()], level=max(number, logging.WARNING), force=True)
    logging.captureWarnings(True)


class LineSink(Protocol):
    """Where lines go."""

    def add(self, make: Callable[..., str], *parts: Any) -> None:
        """Adds the line that make(*parts) returns, its line break included. Any thread, at any moment."""


class _LineLogger:
    """Passes structlog's lines on. structlog's own loggers hold a lock while they write."""

    def __init__(self, sink: LineSink) -> None:
        self._sink = sink

    def msg(self, message: str) -> None:
        """Adds a line."""
        self._sink.add(str, message + "\n")

    debug = info = warning = error = critical = log = msg


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
