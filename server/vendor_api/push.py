"""The vendor's push of a result: its envelope, and the outcome in either of its two places."""

from typing import NamedTuple

from callrequest.v1.call_request_pb2 import CallRequestResult

from ..errors import GatewayError
from ..validation import is_call_request_id
from .document import NotAnObject, Object, is_empty, parse
from .mapping import EVENT_DATA, EVENT_ID, EVENT_TIMES, EVENT_TYPE, ID, KNOWN_KEYS, OUTCOME, RESULT
from .quirks import Observations
from .readers import letters_and_digits
from .translate import read_result, read_value, set_fields

COMPLETED = letters_and_digits("call.request.completed")
MAX_EVENT_ID = 256


class MalformedPushError(Exception):
    """The body is no push that the vendor's API describes."""


class Push(NamedTuple):
    """A push. event_id: the vendor's, for idempotency. occurred_at: Unix time in seconds; None: it has none.

    result: as a read would have it; None: of an event that is not about a result, or not known.
    """

    event_id: str
    call_request_id: str
    occurred_at: float | None
    result: CallRequestResult | None


def read_push(body: bytes, observations: Observations) -> Push:
    """Reads a push. Raises MalformedPushError: no JSON object, no event id, no data, no valid id of a call request."""
    try:
        document = parse(body, KNOWN_KEYS)
    except NotAnObject:
        raise MalformedPushError from None
    event_id = read_value(EVENT_ID, document, observations)
    data = read_value(EVENT_DATA, document, observations)
    if not isinstance(event_id, str) or not 0 < len(event_id) <= MAX_EVENT_ID or not isinstance(data, Object):
        raise MalformedPushError
    call_request_id = read_value(ID, data, observations)
    if not isinstance(call_request_id, str) or not is_call_request_id(call_request_id):
        raise MalformedPushError
    times = (read_value(row, document, observations) for row in EVENT_TIMES)
    occurred_at = next((moment for moment in times if moment is not None), None)
    kind = read_value(EVENT_TYPE, document, observations)
    result = None
    if isinstance(kind, str) and letters_and_digits(kind) == COMPLETED:
        result = _result(data, call_request_id, observations)
        if occurred_at is not None:
            result.observed_at.CopyFrom(occurred_at)
    seconds = None if occurred_at is None else occurred_at.ToMicroseconds() / 1e6
    return Push(event_id, call_request_id, seconds, result)


def _result(data: Object, call_request_id: str, observations: Observations) -> CallRequestResult:
    """The result; its outcome stands in an object, as in a reply to a read, or beside the status."""
    nested = next(row for row in RESULT if row.rows)
    try:
        if not is_empty(data.get(nested.key)) or any(not is_empty(data.get(name)) for name, _ in nested.names):
            return read_result(data, call_request_id, observations)
        result = read_result(data, call_request_id, Observations())
    except GatewayError:
        raise MalformedPushError from None
    flat = CallRequestResult()
    if set_fields(flat.outcome, data, OUTCOME, observations, "outcome."):
        result.outcome.CopyFrom(flat.outcome)
        for field, value in observations.unrecognized:
            result.unrecognized_values.add(field=field, value=value)
    return result
