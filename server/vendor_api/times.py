"""Reads the vendor's times: the documented form, and what serializers of several languages write in its place (Q12)."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from .quirks import Observations, Quirk, UnreadableValue

MAX_TIME_CHARACTERS = 100
"""A longer text is no time."""

_DOCUMENTED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)

_OFFSET = r"(?P<sign>[+-])(?P<offset_hours>\d\d)(?::?(?P<offset_minutes>[0-5]\d)(?::?(?P<offset_seconds>[0-5]\d))?)?"
_UTC = r"(?:[Zz]|UTC|GMT)"
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_WEEKDAY = rf"(?P<weekday>{'|'.join(_WEEKDAYS)})"

FORMS = tuple(
    re.compile(form, re.ASCII)
    for form in (
        # RFC 3339 and ISO 8601. Java leaves out seconds of 0 and adds its zone's name, Go adds its abbreviation.
        r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)[Tt ](?P<hour>\d\d):(?P<minute>\d\d)"
        r"(?::(?P<second>\d\d)(?:[.,:](?P<fraction>\d+))?)?"
        rf"\s*(?:(?:{_UTC}|{_OFFSET})(?:\[[\w+/-]+\]| [A-Z]{{3,5}})?)?",
        # ISO 8601's basic form.
        r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)T(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)"
        rf"(?:[.,](?P<fraction>\d+))?(?:{_UTC}|{_OFFSET})?",
        # RFC 1123: .NET's "R", JavaScript's toUTCString.
        rf"(?:{_WEEKDAY}, )?(?P<day>\d\d?) {_MONTH} (?P<year>\d{{4}}) {_CLOCK} (?:{_UTC}|{_OFFSET})",
        # Java's Date.toString; no other abbreviation than these belongs to one zone only.
        rf"{_WEEKDAY} {_MONTH} (?P<day>\d\d) {_CLOCK} {_UTC} (?P<year>\d{{4}})",
        # JavaScript's Date.toString.
        rf"{_WEEKDAY} {_MONTH} (?P<day>\d\d) (?P<year>\d{{4}}) {_CLOCK} GMT{_OFFSET}(?: \([^()]*\))?",
        # .NET's JSON of old: milliseconds since 1970 in UTC; its offset is only for display.
        r"/Date\((?P<milliseconds>-?\d{1,15})(?:[+-]\d{4})?\)/",
    )
)
"""The forms of a time that have one meaning. Seconds or milliseconds since 1970 without a unit are none of them."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_time(value: Any, observations: Observations) -> Timestamp:
    """Reads a time in the documented form or another of FORMS (Q12); without an offset it is UTC.

    Raises UnreadableValue for any other text, a date that no calendar has, and one outside the years 1 to 9999 in UTC
    (Q19).
    """
    if type(value) is not str:
        raise UnreadableValue(Quirk.VALUE_OF_WRONG_TYPE)
    documented = _DOCUMENTED.fullmatch(value) is not None
    try:
        if documented:
            return Timestamp(seconds=int(datetime.fromisoformat(value).timestamp()))
        moment, fraction = _moment(value.strip())
    except (ValueError, OverflowError):
        raise UnreadableValue(Quirk.VALUE_OF_WRONG_TYPE) from None
    observations.quirks.add(Quirk.TIME_IN_ANOTHER_FORM)
    since_epoch = moment - _EPOCH
    nanos = since_epoch.microseconds * 1000 + int(fraction[:9].ljust(9, "0"))
    return Timestamp(seconds=since_epoch // timedelta(seconds=1), nanos=nanos)


def _moment(text: str) -> tuple[datetime, str]:
    """A time in UTC, and the digits of its fraction of a second. Raises ValueError, OverflowError."""
    found = None
    if len(text) <= MAX_TIME_CHARACTERS:
        found = next((match for form in FORMS if (match := form.fullmatch(text))), None)
    if found is None:
        raise ValueError("no form of a time")
    parts = found.groupdict()
    if milliseconds := parts.get("milliseconds"):
        return _EPOCH + timedelta(milliseconds=int(milliseconds)), ""
    month = parts["month"]
    number = int(month) if month.isdigit() else _MONTHS.index(month) + 1
    hour, minute, second = (int(parts[part] or 0) for part in ("hour", "minute", "second"))
    moment = datetime(int(parts["year"]), number, int(parts["day"]), hour, minute, second, tzinfo=_zone(parts))
    if parts.get("weekday") not in {None, _WEEKDAYS[moment.weekday()]}:
        raise ValueError("another day of the week")
    return moment.astimezone(UTC), parts.get("fraction") or ""


def _zone(parts: dict[str, str | None]) -> timezone:
    if not parts.get("sign"):
        return UTC
    hours, minutes, seconds = (int(parts[f"offset_{unit}"] or 0) for unit in ("hours", "minutes", "seconds"))
    offset = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return timezone(-offset if parts["sign"] == "-" else offset)
