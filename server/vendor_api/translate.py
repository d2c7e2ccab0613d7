"""The engine that walks the rows: the vendor's documents in, the contract's messages out."""

from typing import Any, NamedTuple

from google.protobuf.message import Message

from callrequest.v1 import call_request_pb2 as results
from callrequest.v1 import cancellation_pb2 as cancellations
from callrequest.v1 import error_reason_pb2 as reasons

from ..errors import Delivery, GatewayError
from .document import Object, Repeated, is_empty, text_of
from .mapping import (
    CANCELLATION,
    ERROR,
    ID_KEYS,
    KNOWN_KEYS,
    OBJECT,
    REFERENCE,
    RESULT,
    RESULT_KEYS,
    SUCCESS,
    FieldMapping,
)
from .quirks import Observations, Quirk, Unreadable


class Envelope(NamedTuple):
    """What a reply says of itself. success: unset when it does not say. failed: it is the vendor's error body."""

    success: bool | None
    failed: bool
    error_code: str | None
    error_message: str | None


def malformed() -> GatewayError:
    """The reply is none that the vendor's API describes; what it did to a cancel is then in doubt."""
    return GatewayError(reasons.ERROR_REASON_VENDOR_MALFORMED_RESPONSE, delivery=Delivery.UNKNOWN)


def read_envelope(document: Object, http_status: int, observations: Observations) -> Envelope:
    """Reads whether the reply is a success or the vendor's error body: the body decides, then the HTTP status (Q10)."""
    near_matches = KNOWN_KEYS.near_matches(document)
    success = _read(SUCCESS, document, near_matches, observations)
    error = _find(ERROR, document, near_matches, observations)
    code = message = None
    if isinstance(error, dict):
        near_matches = KNOWN_KEYS.near_matches(error)
        code, message = (_read(row, error, near_matches, observations) for row in ERROR.rows)
    errors = error if isinstance(error, Repeated) else [error]
    failed = success is False or any(isinstance(each, dict) for each in errors)
    if failed and (success is not False or http_status < 400):
        observations.quirks.add(Quirk.ERROR_BODY_AND_FLAG_OR_STATUS_DISAGREE)
    return Envelope(success, failed, code, message)


def read_result(document: Object, call_request_id: str, observations: Observations) -> results.CallRequestResult:
    """Translates a result. Raises VENDOR_MALFORMED_RESPONSE for another id and for no status at all."""
    _check_id([document, *_objects(document)], call_request_id, observations)
    result = results.CallRequestResult(call_request_id=call_request_id)
    fill(result, document, RESULT, observations)
    for field, value in observations.unrecognized:
        result.unrecognized_values.add(field=field, value=value)
    if not result.status and all(field != "status" for field, _ in observations.unrecognized):
        raise malformed()
    if result.HasField("outcome") != (result.status == results.CALL_REQUEST_STATUS_COMPLETED):
        observations.quirks.add(Quirk.RESULT_AND_STATUS_DISAGREE)
    return result


def read_cancellation(document: Object, call_request_id: str, observations: Observations) -> cancellations.Cancellation:
    """Translates the reply to a cancel that succeeded. Raises VENDOR_MALFORMED_RESPONSE for another id."""
    parts = [*_objects(document), document]
    _check_id(parts, call_request_id, observations)
    cancellation = cancellations.Cancellation(
        call_request_id=call_request_id, outcome=cancellations.CANCELLATION_OUTCOME_CANCELLED
    )
    _find(OBJECT, document, KNOWN_KEYS.near_matches(document), observations)
    beside = {key: value for key, value in document.items() if not isinstance(value, dict)}
    fill(cancellation, beside, REFERENCE, observations)
    for part in parts:
        if not cancellation.HasField("cancelled_at"):
            fill(cancellation, part, CANCELLATION, observations)
    return cancellation


_ID_KEYS = frozenset(ID_KEYS)


def _objects(document: Object) -> list[Object]:
    """The objects under any spelling of `result`: the only place below the top where an id may stand."""
    near_matches = KNOWN_KEYS.near_matches(document)
    values = [keys.get(key) for keys in (document, near_matches) for key in RESULT_KEYS]
    return [value for value in values if isinstance(value, dict)]


def fill(
    message: Message, document: Object, rows: tuple[FieldMapping, ...], observations: Observations, path: str = ""
) -> bool:
    """Sets the fields of a message from an object, as the rows say; gives whether the object had any of them.

    What cannot be read is noted under its path and left unset; the other fields are unharmed.
    """
    near_matches = KNOWN_KEYS.near_matches(document)
    found = False
    for row in rows:
        value = _find(row, document, near_matches, observations)
        if value is None:
            if row.required:
                observations.quirks.add(Quirk.REQUIRED_FIELD_MISSING)
            continue
        try:
            if row.read is not None:
                _set(message, row.field, row.read(value, observations))
            elif not isinstance(value, dict):
                raise Unreadable(Quirk.VALUE_OF_WRONG_TYPE)
            else:
                part = getattr(message, row.field)
                if not fill(part, value, row.rows, observations, f"{path}{row.field}."):
                    continue
                part.SetInParent()
        except Unreadable as unreadable:
            observations.quirks.add(unreadable.quirk)
            observations.unrecognized.append((path + row.field, text_of(value)))
        found = True
    return found


def _find(row: FieldMapping, document: Object, near_matches: Object, observations: Observations) -> Any:
    """The value under the first of the row's keys that is not empty; None without one."""
    value = document.get(row.keys[0])
    if not is_empty(value) or (value is None and len(row.keys) == 1 and not near_matches):
        return value  # nearly always
    for number, key in enumerate(row.keys):
        value = document.get(key)
        if is_empty(value):
            if value is not None:
                observations.quirks.add(Quirk.EMPTY_FOR_ABSENT)
            value = near_matches.get(key)
            if is_empty(value):
                continue
            observations.quirks.add(Quirk.KEY_IN_ANOTHER_CASE)
        if number and row.other_key:
            observations.quirks.add(row.other_key)
        return value
    return None


def _read(row: FieldMapping, document: Object, near_matches: Object, observations: Observations) -> Any:
    """The value of a row that is part of no message; None when there is none that can be read."""
    value = _find(row, document, near_matches, observations)
    try:
        return None if value is None or row.read is None else row.read(value, observations)
    except Unreadable as unreadable:
        observations.quirks.add(unreadable.quirk)
        return None


def _set(message: Message, field: str, value: Any) -> None:
    if isinstance(value, (str, int)):  # a union would take three times as long
        setattr(message, field, value)
    else:
        getattr(message, field).CopyFrom(value)


def _check_id(objects: list[Object], call_request_id: str, observations: Observations) -> None:
    """Raises VENDOR_MALFORMED_RESPONSE when any of the objects has, under any of its keys, another id (Q18)."""
    spelt: set[Quirk] = set()
    found = False
    for part in objects:
        for keys in (part, KNOWN_KEYS.near_matches(part)):
            if _ID_KEYS.isdisjoint(keys):
                continue
            for number, key in enumerate(ID_KEYS):
                value = keys.get(key)
                if is_empty(value):
                    continue
                if not isinstance(value, str) or value != call_request_id:
                    observations.quirks.add(Quirk.ID_MISSING_OR_ANOTHER)
                    raise malformed()
                found = True
                if number:
                    spelt.add(Quirk.ID_UNDER_ANOTHER_KEY)
                if keys is not part:
                    spelt.add(Quirk.KEY_IN_ANOTHER_CASE)
    observations.quirks |= spelt if found else {Quirk.ID_MISSING_OR_ANOTHER}
