"""Times: the documented form, and what serializers of several languages write in its place, each with one meaning."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.vendor_api.quirks import Observations, Quirk, UnreadableValue
from server.vendor_api.times import MAX_TIME_CHARACTERS, read_time

TEN_PAST_TEN = "2025-06-03T10:10:00Z"

SAME = {
    "documented": "2025-06-03T10:10:00Z",
    "lower case": "2025-06-03t10:10:00z",
    "blanks around": " 2025-06-03T10:10:00Z\n",
    "Java Instant": "2025-06-03T10:10:00Z",
    "Java OffsetDateTime, seconds left out": "2025-06-03T12:10+02:00",
    "Java OffsetDateTime in UTC, seconds left out": "2025-06-03T10:10Z",
    "Java LocalDateTime, seconds left out": "2025-06-03T10:10",
    "Java LocalDateTime": "2025-06-03T10:10:00",
    "Java ZonedDateTime": "2025-06-03T12:10:00+02:00[Europe/Paris]",
    "Java ZonedDateTime in UTC": "2025-06-03T10:10:00Z[UTC]",
    "Java ZonedDateTime, seconds left out": "2025-06-03T12:10+02:00[Europe/Paris]",
    "Java ZonedDateTime of a fixed zone": "2025-06-03T08:10:00-02:00[Etc/GMT+2]",
    "Java Timestamp": "2025-06-03 10:10:00.0",
    "Java Date.toString": "Tue Jun 03 10:10:00 UTC 2025",
    "Jackson's Date": "2025-06-03T10:10:00.000+0000",
    "Java offset with seconds": "2025-06-03T12:10:30+02:00:30",
    ".NET O": "2025-06-03T10:10:00.0000000Z",
    ".NET O with an offset": "2025-06-03T12:10:00.0000000+02:00",
    ".NET O without a zone": "2025-06-03T10:10:00.0000000",
    ".NET R": "Tue, 03 Jun 2025 10:10:00 GMT",
    ".NET u": "2025-06-03 10:10:00Z",
    ".NET Date": "/Date(1748945400000)/",
    ".NET Date with an offset": "/Date(1748945400000+0200)/",
    "Go RFC3339Nano": "2025-06-03T12:10:00.000000000+02:00",
    "Go String": "2025-06-03 12:10:00 +0200 CEST",
    "Go String in UTC": "2025-06-03 10:10:00 +0000 UTC",
    "JavaScript toISOString": "2025-06-03T10:10:00.000Z",
    "JavaScript toUTCString": "Tue, 03 Jun 2025 10:10:00 GMT",
    "JavaScript toString": "Tue Jun 03 2025 12:10:00 GMT+0200 (Central European Summer Time)",
    "Python isoformat": "2025-06-03T12:10:00+02:00",
    "Python str": "2025-06-03 10:10:00+00:00",
    "Ruby to_s": "2025-06-03 10:10:00 UTC",
    "RFC 5322": "3 Jun 2025 12:10:00 +0200",
    "ISO 8601 basic": "20250603T101000Z",
    "ISO 8601 basic with an offset": "20250603T121000+0200",
    "comma before the fraction": "2025-06-03T10:10:00,000Z",
    "colon before the fraction": "2025-06-03T10:10:00:000Z",
    "offset of hours alone": "2025-06-03T12:10:00+02",
    "offset without a colon": "2025-06-03T12:10:00+0200",
    "unknown offset": "2025-06-03T10:10:00-00:00",
    "blank before the zone": "2025-06-03T12:10:00 +02:00",
    "largest offset": "2025-06-04T10:09:00+23:59",
    "many digits": f"2025-06-03T10:10:00.{'0' * 60}Z",
}


def read(text: object) -> tuple[str, set[Quirk]]:
    observations = Observations()
    return read_time(text, observations).ToJsonString(), observations.quirks


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in SAME.items()])
def test_one_moment_is_read_in_every_form_with_one_meaning(text: str) -> None:
    """Each is ten past ten in UTC; any but the documented one is counted."""
    assert read(text) == (TEN_PAST_TEN, set() if text == TEN_PAST_TEN else {Quirk.TIME_IN_ANOTHER_FORM})


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        pytest.param("2025-06-03T10:10:00.5Z", "2025-06-03T10:10:00.500Z", id="half a second"),
        pytest.param("2025-06-03T10:10:00:123Z", "2025-06-03T10:10:00.123Z", id="colon before the fraction"),
        pytest.param("2025-06-03T10:10:00,123Z", "2025-06-03T10:10:00.123Z", id="comma before the fraction"),
        pytest.param("2025-06-03T10:10:00.1234567Z", "2025-06-03T10:10:00.123456700Z", id=".NET, seven digits"),
        pytest.param("2025-06-03T10:10:00.123456789Z", "2025-06-03T10:10:00.123456789Z", id="nanoseconds"),
        pytest.param("2025-06-03T10:10:00.1234567899Z", "2025-06-03T10:10:00.123456789Z", id="more than nanoseconds"),
        pytest.param("1969-12-31T23:59:59.25Z", "1969-12-31T23:59:59.250Z", id="before 1970"),
        pytest.param("/Date(-250)/", "1969-12-31T23:59:59.750Z", id=".NET before 1970"),
        pytest.param("/Date(1748945400123)/", "2025-06-03T10:10:00.123Z", id=".NET with milliseconds"),
        pytest.param("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", id="first moment"),
        pytest.param("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z", id="last second"),
        pytest.param("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z", id="last moment"),
    ],
)
def test_a_fraction_is_read_to_the_nanosecond(text: str, moment: str) -> None:
    """Further digits are cut off; a moment before 1970 has its fraction forward in time."""
    assert read(text)[0] == moment


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("1748945400", id="epoch as text: seconds or milliseconds"),
        pytest.param("1748945400000", id="epoch in milliseconds as text"),
        pytest.param("1748945400.000000000", id="Jackson's decimal seconds as text"),
        pytest.param(b"1748945400", id="epoch as a number"),
        pytest.param(b"1748945400000", id="epoch in milliseconds as a number"),
        pytest.param([b"2025", b"6", b"3", b"10", b"10"], id="Jackson's LocalDateTime as an array"),
        pytest.param(True, id="boolean"),
        pytest.param("06/03/2025 10:10:00", id="month or day first"),
        pytest.param("6/3/2025, 10:10:00 AM", id="JavaScript toLocaleString"),
        pytest.param("Tue Jun 03 10:10:00 CST 2025", id="Java Date.toString, an abbreviation of several zones"),
        pytest.param("2025-06-03T10:10:00[Europe/Paris]", id="a region without an offset"),
        pytest.param("2025-06-03 10:10:00 CST", id="an abbreviation without an offset"),
        pytest.param("2025-06-03T10:10:00 PM", id="half of the day"),
        pytest.param("2025-06-03", id="date alone"),
        pytest.param("10:10:00", id="time alone"),
        pytest.param("2025-06-03T10Z", id="hour alone"),
        pytest.param("2025-06-03T10:10.5Z", id="fraction of a minute"),
        pytest.param("2025-W23-2T10:10:00Z", id="week date"),
        pytest.param("2025-154T10:10:00Z", id="ordinal date"),
        pytest.param("2025-6-3T10:10:00Z", id="one digit"),
        pytest.param("25-06-03T10:10:00Z", id="two digits of a year"),
        pytest.param("+12025-06-03T10:10:00Z", id="Java, five digits of a year"),
        pytest.param("-0001-06-03T10:10:00Z", id="Java, before the year 1"),
        pytest.param("0000-06-03T10:10:00Z", id="year 0"),
        pytest.param("2025-02-30T10:10:00Z", id="no such day"),
        pytest.param("2025-02-29T10:10:00Z", id="no leap year"),
        pytest.param("2025-13-01T10:10:00Z", id="no such month"),
        pytest.param("2025-06-03T24:00:00Z", id="hour 24"),
        pytest.param("2025-06-03T10:60:00Z", id="minute 60"),
        pytest.param("2016-12-31T23:59:60Z", id="leap second"),
        pytest.param("2025-06-03T10:10:00+24:00", id="offset of a day"),
        pytest.param("2025-06-03T10:10:00+02:60", id="offset with 60 minutes"),
        pytest.param("0001-01-01T00:00:00+01:00", id="before year 1 by its offset"),
        pytest.param("9999-12-31T23:59:59-01:00", id="after year 9999 by its offset"),
        pytest.param("/Date(253402300800000)/", id=".NET after year 9999"),
        pytest.param("/Date(999999999999999)/", id=".NET, year 33658"),
        pytest.param("/Date(x)/", id=".NET without a number"),
        pytest.param("Mon, 03 Jun 2025 10:10:00 GMT", id="another day of the week"),
        pytest.param("Tue, 03 Foo 2025 10:10:00 GMT", id="no such month's name"),
        pytest.param("2025-06-03T10:10:00Z and more", id="text after it"),
        pytest.param("2025-06-03T10:10:00ZZ", id="two zones"),
        pytest.param("٢٠٢٥-06-03T10:10:00Z", id="other digits"),
        pytest.param(f"2025-06-03T10:10:00.{'0' * MAX_TIME_CHARACTERS}Z", id="too long"),
        pytest.param("soon", id="word"),
    ],
)
def test_what_has_no_meaning_or_several_is_not_read(text: object) -> None:
    """It is a value of the wrong type (Q19), never a wrong moment, and no other quirk is counted with it."""
    observations = Observations()
    with pytest.raises(UnreadableValue) as caught:
        read_time(text, observations)
    assert caught.value.quirk is Quirk.VALUE_OF_WRONG_TYPE
    assert observations.quirks == set()


moments = st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1), timezones=st.just(UTC))
offsets = st.integers(-1439, 1439).map(lambda minutes: timedelta(minutes=minutes))


@given(moments, offsets, st.sampled_from(["T", " ", "t"]), st.booleans())
def test_any_moment_at_any_offset_is_itself(moment: datetime, offset: timedelta, separator: str, seconds: bool) -> None:
    """As Python writes it, to the microsecond; without its seconds as Java does, when they are zero."""
    local = moment.astimezone(timezone(offset))
    if not seconds:
        local = local.replace(second=0, microsecond=0)
    text = local.isoformat(sep=separator, timespec="auto" if seconds else "minutes")
    assert read_time(text, Observations()).ToDatetime(tzinfo=UTC) == local


@given(st.text(max_size=40) | st.from_regex(r"[0-9TtZz:.,+ /()\[\]A-Za-z-]{0,40}", fullmatch=True))
def test_any_text_is_a_moment_or_is_not_read(text: str) -> None:
    """Nothing but UnreadableValue leaves the reader."""
    try:
        json.dumps(read_time(text, Observations()).ToJsonString())
    except UnreadableValue:
        return
