"""The engine that walks the rows: the vendor's documents in, the contract's messages out."""

from typing import Any, NamedTuple

from google.protobuf.message import Message

from callrequest.v1 import call_request_pb2 as results
from callrequest.v1 import cancellation_pb2 as cancellations
from callrequest.v1 import error_reason_pb2 as reasons

from ..errors import Delivery, GatewayError
from .document import Object, is_empty, text_of
from .mapping import (
    CANCELLATION,
    CANCELLED_OBJECT,
    ERROR,
    ID,
    KNOWN_KEYS,
    REFERENCE,
    RESULT,
    STATUS,
    SUCCESS,
    FieldMapping,
)
from .quirks import Observations, Quirk, UnreadableValue


class Envelope(NamedTuple):
    """What a reply states of itself. success: None when it does not. failed: it is the vendor's error body."""

    success: bool | None
    failed: bool
    error_code: str | None
    error_message: str | None


def malformed() -> GatewayError:
    """VENDOR_MALFORMED_RESPONSE: a reply that the vendor's API does not describe; a cancel's effect is in doubt."""
    return GatewayError(reasons.ERROR_REASON_VENDOR_MALFORMED_RESPONSE, delivery=Delivery.UNKNOWN)


def read_envelope(document: Object, http_status: int, observations: Observations) -> Envelope:
    """Reads whether the reply is a success or the vendor's error body: the body decides, then the HTTP status (Q10)."""
    success = read_value(SUCCESS, document, observations)
    error = _find(ERROR, document, observations)
    code = message = None
    if isinstance(error, Object):
        code, message = (read_value(row, error, observations) for row in ERROR.rows)
    failed = success is False or (error is not None and bool(document.objects_in(error)))
    if failed and (success is not False or http_status < 400):
        observations.quirks.add(Quirk.ERROR_BODY_AND_FLAG_OR_STATUS_DISAGREE)
    return Envelope(success, failed, code, message)


def read_result(document: Object, call_request_id: str, observations: Observations) -> results.CallRequestResult:
    """Translates a result. Raises VENDOR_MALFORMED_RESPONSE for another id and for no status at all."""
    _check_id(_with_objects_in_result(document), call_request_id, observations)
    result = results.CallRequestResult(call_request_id=call_request_id)
    set_fields(result, document, RESULT, observations)
    unread = set()
    for field, value in observations.unrecognized:
        result.unrecognized_values.add(field=field, value=value)
        unread.add(field)
    if not result.status and "status" not in unread:
        raise malformed()
    completed = result.status == results.CALL_REQUEST_STATUS_COMPLETED
    if result.HasField("outcome") != completed and unread.isdisjoint({"status", "outcome"}):
        observations.quirks.add(Quirk.RESULT_AND_STATUS_DISAGREE)
    return result


def read_cancellation(document: Object, call_request_id: str, observations: Observations) -> cancellations.Cancellation:
    """Translates the reply to a cancel that succeeded.

    Raises VENDOR_MALFORMED_RESPONSE for another id, and for anything in the reply that contradicts the success.
    """
    parts = _with_objects_in_result(document)
    _check_id(parts, call_request_id, observations)
    if any(_contradicts_success(part, observations) for part in parts):
        raise malformed()
    cancellation = cancellations.Cancellation(
        call_request_id=call_request_id, outcome=cancellations.CANCELLATION_OUTCOME_CANCELLED
    )
    _find(CANCELLED_OBJECT, document, observations)
    reference = _reference(document, observations)
    set_fields(cancellation, Object(((REFERENCE.key, reference),), KNOWN_KEYS), (REFERENCE,), observations)
    objects = [value for value in _values(CANCELLED_OBJECT, document) if isinstance(value, Object)]
    for each in (*objects, document):
        if not cancellation.HasField("cancelled_at"):
            set_fields(cancellation, each, CANCELLATION, observations)
    return cancellation


def _contradicts_success(part: Object, observations: Observations) -> bool:
    """Whether an object of a cancel's reply, under any of the keys, has an error, or another flag or status.

    The reply to a cancel has no status: one that has comes from another path, a read's, where `"success": true` means
    only that it was read. A flag or a status that cannot be read is another one, too.
    """
    if _OUTCOME_NAMES.isdisjoint(part.exact) and _OUTCOME_NAMES.isdisjoint(part.near):
        return False
    if any(not is_empty(error) and error is not False for error in _values(ERROR, part)):
        return True
    return any(
        _read(row, value, observations) != wanted
        for row, wanted in _SUCCEEDED
        for value in _values(row, part)
        if not is_empty(value)
    )


def set_fields(
    message: Message, document: Object, rows: tuple[FieldMapping, ...], observations: Observations, path: str = ""
) -> bool:
    """Sets the fields of a message from an object, as the rows describe; returns whether the object had any of them.

    A value that cannot be read leaves its field unset and is observed under its path; the other fields are unharmed.
    """
    found = False
    for row in rows:
        value = _find(row, document, observations)
        if value is None:
            if row.required:
                observations.quirks.add(Quirk.REQUIRED_FIELD_MISSING)
            continue
        try:
            if row.read is not None:
                _set(message, row.field, row.read(value, observations))
            elif not isinstance(value, Object):
                raise UnreadableValue(Quirk.VALUE_OF_WRONG_TYPE)
            else:
                part = getattr(message, row.field)
                if not set_fields(part, value, row.rows, observations, f"{path}{row.field}."):
                    continue
                part.SetInParent()
        except UnreadableValue as unreadable:
            observations.quirks.add(unreadable.quirk)
            observations.unrecognized.append((path + row.field, text_of(value)))
        found = True
    return found


def _set(message: Message, field: str, value: Any) -> None:
    if isinstance(value, (str, int)):  # a union would take three times as long
        setattr(message, field, value)
    else:
        getattr(message, field).CopyFrom(value)


def _find(row: FieldMapping, document: Object, observations: Observations) -> Any:
    """The value under the first of the row's keys that is not empty; None without one."""
    value = document.exact.get(row.key)
    kind = type(value)  # the common cases: text under the documented key, and nothing
    if kind is str:
        if value and not value.isspace():
            return value
    elif value is None and not row.also and not document.near:
        return None
    return _search(row, document, observations)


def _search(row: FieldMapping, document: Object, observations: Observations) -> Any:
    for name, quirk in row.names:
        value = document.get(name)
        if _is_absent(row, value):
            if value is not None:
                observations.quirks.add(Quirk.EMPTY_FOR_ABSENT)
            value = document.near_match(name)
            if _is_absent(row, value):
                continue
            observations.quirks.add(Quirk.KEY_IN_ANOTHER_CASE)
        if quirk is not None:
            observations.quirks.add(quirk)
        return value
    return None


def _is_absent(row: FieldMapping, value: Any) -> bool:
    """Whether a value stands for an absent one; PHP, for one, writes an empty object as an empty array (Q07)."""
    return is_empty(value) or (value == [] and bool(row.rows))


def read_value(row: FieldMapping, document: Object, observations: Observations) -> Any:
    """Returns the value of a row that is part of no message; None when there is none that can be read."""
    value = _find(row, document, observations)
    return None if value is None else _read(row, value, observations)


def _read(row: FieldMapping, value: Any, observations: Observations) -> Any:
    try:
        return value if row.read is None else row.read(value, observations)
    except UnreadableValue as unreadable:
        observations.quirks.add(unreadable.quirk)
        return None


def _values(row: FieldMapping, document: Object) -> list[Any]:
    """The values under all of a row's keys."""
    exact = [document.get(name) for name, _ in row.names]
    return [*exact, *(document.near_match(name) for name, _ in row.names)] if document.near else exact


def _with_objects_in_result(document: Object) -> list[Object]:
    """The reply and the objects under a key of the result, those of an array or of a repeated key included."""
    objects = [document]
    for value in _values(CANCELLED_OBJECT, document):
        objects += document.objects_in(value)
    return objects


def _reference(document: Object, observations: Observations) -> Any:
    """What stands in place of a cancel's object or beside it, under the other key; None without it."""
    for name, _ in REFERENCE.names:
        for value in (document.get(name), document.near_match(name)):
            if not _is_absent(CANCELLED_OBJECT, value) and not isinstance(value, Object):
                if value is not document.get(name):
                    observations.quirks.add(Quirk.KEY_IN_ANOTHER_CASE)
                return value
    return None


def _check_id(parts: list[Object], call_request_id: str, observations: Observations) -> None:
    """Raises VENDOR_MALFORMED_RESPONSE when the reply has, where its id stands, another one (Q18).

    parts: where it stands. At the top, or in an object under a key of the result; also in one of several there, whose
    text may be passed on as unrecognised.
    """
    quirks: set[Quirk] = set()
    found = False
    for part in parts:
        for values in (part.exact, part.near):
            if _ID_NAMES.isdisjoint(values):
                continue
            for name, quirk in ID.names:
                value = values.get(name)
                if is_empty(value):
                    continue
                if value != call_request_id:
                    observations.quirks.add(Quirk.ID_MISSING_OR_ANOTHER)
                    raise malformed()
                found = True
                if quirk is not None:
                    quirks.add(quirk)
                if values is part.near:
                    quirks.add(Quirk.KEY_IN_ANOTHER_CASE)
    observations.quirks |= quirks if found else {Quirk.ID_MISSING_OR_ANOTHER}


_ID_NAMES = frozenset(name for name, _ in ID.names)
_SUCCEEDED = ((SUCCESS, True), (STATUS, results.CALL_REQUEST_STATUS_CANCELLED))
_OUTCOME_NAMES = frozenset(name for row in (SUCCESS, STATUS, ERROR) for name, _ in row.names)
