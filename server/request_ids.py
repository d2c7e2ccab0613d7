"""The ids by which one call can be found in the logs of its caller, of the gateway and of the vendor.

They travel with the task of a call, and with the tasks that it starts: a read that several callers share carries the
ids of the caller that began it.
"""

import itertools
import re
import secrets
from contextvars import ContextVar
from typing import NamedTuple

REQUEST_ID, TRACEPARENT = "x-request-id", "traceparent"

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# W3C Trace Context, level 1: version 00 has these four parts, later versions may have more; ids of zeros are none.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[!-~]*)?")
_MAX_TRACEPARENT = 256


class RequestIds(NamedTuple):
    """request_id: the caller's, or one made here. trace_id: 32 hex digits. traceparent: the header as it came."""

    request_id: str
    trace_id: str | None = None
    traceparent: str | None = None


_PREFIX, _numbers = secrets.token_hex(10), itertools.count()  # of this process: ids must be unique, not secret

_current: ContextVar[RequestIds | None] = ContextVar("request_ids", default=None)


def begin_request(request_ids: list[str], traceparents: list[str]) -> RequestIds:
    """Sets and returns the ids of the running task's call, from the values of those two headers.

    A request id that is not 1 to 128 of A-Z a-z 0-9 . _ -, or not the only one, is replaced; a traceparent that is not
    well-formed, or not the only one, is left out.
    """
    if len(request_ids) == 1 and _REQUEST_ID.fullmatch(request_ids[0]):
        request_id = request_ids[0]
    else:
        request_id = f"{_PREFIX}{next(_numbers):012x}"
    trace_id = traceparent = None
    if len(traceparents) == 1:
        trace_id, traceparent = _trace(traceparents[0])
    ids = RequestIds(request_id, trace_id, traceparent)
    _current.set(ids)
    return ids


def outgoing_headers() -> list[tuple[bytes, bytes]]:
    """The headers that carry the running task's ids to the vendor; none outside of a call."""
    ids = _current.get()
    if ids is None:
        return []
    headers = [(b"x-request-id", ids.request_id.encode())]
    if ids.traceparent is not None:
        headers.append((b"traceparent", ids.traceparent.encode()))
    return headers


def _trace(value: str) -> tuple[str | None, str | None]:
    match = _TRACEPARENT.fullmatch(value) if len(value) <= _MAX_TRACEPARENT else None
    if match is None or (value.startswith("00") and match[2] is not None):
        return None, None
    return match[1], value
