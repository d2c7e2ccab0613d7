"""The access log: a line for each call, and one more for each cancel and each watch that ended.

As JSON it is written here rather than by structlog, which takes as long for a line as grpc for a quarter of a call. The
fields are those that logs.FIELDS allows, and none holds what a caller or the vendor sent, but a well-formed id.
"""

import json
import time
from datetime import UTC, datetime
from typing import Any

from ..validation import ID_LENGTH, is_call_request_id
from .line_limit import LineLimit
from .logs import LEVELS, LineSink, get_log
from .settled_cancel import SettledCancel

FOR_OPERATORS = frozenset({"INTERNAL", "UNAVAILABLE", "UNKNOWN"})
"""Codes that are logged as warnings: the gateway or the vendor is at fault."""

ROUTINE = "WATCH_ENDED"
"""A reason that needs no operator although its code does: watches are ended all day, for good reasons."""

IN_DOUBT = "nothing"
"""What settled a cancel that ended in doubt: its caller, or an operator, must look after it."""


MAX_STRANGERS_LINES = 100
"""Lines about calls of strangers, of each code, in a LineLimit's interval."""


class AccessLog:
    """Logs each call of the level or above it. sink: of JSON lines; None: by structlog, for people.

    `flush` at the end: it logs how many calls of strangers have no line.
    """

    def __init__(self, level: str, sink: LineSink | None) -> None:
        self._sink = sink
        self._strangers = LineLimit("calls of strangers that are not logged", MAX_STRANGERS_LINES)
        self.set_level(level)

    def set_level(self, level: str) -> None:
        """Logs calls of that level and above from now on."""
        self._enabled = set(LEVELS[LEVELS.index(level) :])

    def ended(
        self,
        method: str,
        code: str,
        reason: str | None,
        seconds: float,
        call_request_id: str,
        caller: str | None,
        request_id: str | None = None,
        trace_id: str | None = None,
        *,
        probe: bool,
        stranger: bool = False,
    ) -> None:
        """Logs how a call ended. call_request_id: as the caller sent it; left out unless it is well-formed.

        request_id, trace_id: of an allowed form, which needs no escaping in JSON; None: left out. stranger: whether the
        call ended before its caller was known, or is open to all.
        """
        level = "debug" if probe else "warning" if code in FOR_OPERATORS and reason != ROUTINE else "info"
        if level not in self._enabled or (stranger and not self._strangers.admits(code)):
            return
        if self._sink is None:
            known = is_call_request_id(call_request_id)
            fields = {
                "caller": caller,
                "reason": reason,
                "call_request_id": call_request_id if known else None,
                "request_id": request_id,
                "trace_id": trace_id,
            }
            given = {field: value for field, value in fields.items() if value is not None}
            getattr(get_log(), level)("call", method=method, code=code, duration_ms=round(seconds * 1000, 2), **given)
            return
        # A text of another length is no id; up to 64 KiB of it would wait in the queue.
        ids = (call_request_id if len(call_request_id) == ID_LENGTH else "", caller, request_id, trace_id)
        self._sink.add(_line, time.time(), level, method, code, reason, seconds, *ids)

    def flush(self) -> None:
        """Logs now what is left to say of strangers' calls."""
        self._strangers.flush()

    def cancel_settled(self, settled: SettledCancel) -> None:
        """Logs how a cancel ended, whoever waited for it; as a warning when it is in doubt."""
        level = "warning" if settled.settled_by == IN_DOUBT else "info"
        if level not in self._enabled:
            return
        if self._sink is None:
            getattr(get_log(), level)("cancel_settled", **settled.fields())
        else:
            self._sink.add(_cancel_line, time.time(), level, settled)

    def watch_ended(self, call_request_id: str, cause: str, messages: int, seconds: float) -> None:
        """Logs how a watch ended. cause: one of watching.ended.CAUSES. messages: how many were sent."""
        if "info" not in self._enabled:
            return
        fields = {
            "call_request_id": call_request_id,
            "cause": cause,
            "messages": messages,
            "seconds": round(seconds, 3),
        }
        if self._sink is None:
            get_log().info("watch_ended", **fields)
        else:
            self._sink.add(_event_line, time.time(), "info", "watch_ended", fields)


def _cancel_line(at: float, level: str, settled: SettledCancel) -> str:
    return _event_line(at, level, "cancel_settled", settled.fields())


def _event_line(at: float, level: str, event: str, fields: dict[str, Any]) -> str:
    return json.dumps({"time": _spelt(at), "level": level, "event": event, **fields}, separators=(",", ":")) + "\n"


def _spelt(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC).isoformat(timespec='microseconds')[:-6]}Z"


def _line(
    at: float,
    level: str,
    method: str,
    code: str,
    reason: str | None,
    seconds: float,
    call_request_id: str,
    caller: str | None,
    request_id: str | None,
    trace_id: str | None,
) -> str:
    line = (
        f'{{"time":"{_spelt(at)}","level":"{level}","event":"call","method":"{method}","code":"{code}",'
        f'"duration_ms":{round(seconds * 1000, 2)}'
    )
    if caller is not None:
        line += f',"caller":{json.dumps(caller)}'
    if reason is not None:
        line += f',"reason":"{reason}"'
    if is_call_request_id(call_request_id):  # else it is text of the caller's, and may be anything
        line += f',"call_request_id":"{call_request_id}"'
    if request_id is not None:
        line += f',"request_id":"{request_id}"'
    if trace_id is not None:
        line += f',"trace_id":"{trace_id}"'
    return line + "}\n"
