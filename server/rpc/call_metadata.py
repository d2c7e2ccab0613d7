"""The metadata of a call: its bound, and the ids in it, which its trailers carry back."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from ..request_ids import REQUEST_ID, TRACEPARENT, RequestIds, begin_request
from .channel_options import MAX_METADATA_BYTES

Metadata: TypeAlias = Sequence[tuple[str, Any]]

TRACE_ID = "x-trace-id"
"""The trailer with the trace id of the caller's traceparent."""

_OVERHEAD = 32  # bytes that HTTP/2 adds to the size of each header (RFC 9113, 6.5.2)


class MetadataTooLargeError(Exception):
    """The metadata is larger than MAX_METADATA_BYTES: grpc's core bounds it once the client acknowledges SETTINGS."""


def begin_ids(metadata: Metadata) -> RequestIds:
    """Sets and returns the ids of the running task's call. Raises MetadataTooLargeError."""
    size, request_ids, traceparents = 0, [], []
    for key, value in metadata:
        size += len(key) + len(value) + _OVERHEAD
        if key == REQUEST_ID:
            request_ids.append(value)
        elif key == TRACEPARENT:
            traceparents.append(value)
    if size > MAX_METADATA_BYTES:
        raise MetadataTooLargeError
    return begin_request(request_ids, traceparents)


def trailers_of(ids: RequestIds) -> tuple[tuple[str, str | bytes], ...]:
    """Returns the trailers that name a call's ids."""
    if not ids.request_id:
        return ()
    if ids.trace_id is None:
        return ((REQUEST_ID, ids.request_id),)
    return ((REQUEST_ID, ids.request_id), (TRACE_ID, ids.trace_id))
