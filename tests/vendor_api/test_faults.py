"""A reply's failure is the first of a fixed order; the vendor's prose and Retry-After are searched within bounds."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from callrequest.v1 import cancellation_pb2 as cancellations
from callrequest.v1 import error_reason_pb2 as reasons
from server.errors import MAX_WAIT, Delivery, GatewayError
from server.vendor_api.document import NotAnObject, parse
from server.vendor_api.faults import MAX_DATE_CHARACTERS, UNAVAILABLE_STATUSES, fault_of, seconds_of
from server.vendor_api.mapping import KNOWN_KEYS
from server.vendor_api.quirks import Observations
from server.vendor_api.readers import MAX_PROSE_CHARACTERS
from server.vendor_api.translate import read_envelope
from testkit.scripted_vendor import cancelled, failed, pending

PAGE = "<html>Access denied</html>"
KNOWN_ERROR, UNKNOWN_ERROR = failed("NOT_FOUND"), failed("NEW_CODE")
NO_CODE = {"success": False}
NO_FLAG = {"error": {"code": "NOT_FOUND"}}
BODIES: dict[str, Any] = {
    "nothing": "",
    "blank": " \r\n",
    "page": PAGE,
    "text": "Forbidden",
    "NaN": '{"success": NaN}',
    "array": [],
    "text in JSON": '"Forbidden"',
    "object": {},
    "success": pending(),
    "cancelled": cancelled(),
    "known": KNOWN_ERROR,
    "known, no flag": NO_FLAG,
    "unknown": UNKNOWN_ERROR,
    "no code": NO_CODE,
    "two errors": '{"success": true, "error": {"code": "A"}, "error": {"code": "B"}}',
}
SUCCESSES = {"object", "success", "cancelled"}
ERRORS = {"known", "known, no flag", "unknown", "no code", "two errors"}
PAGES = {"page", "text", "NaN"}
STATUSES = [200, 201, 204, 299, 301, 304, 399, 400, 401, 403, 404, 409, 422, 429, 499, 500, 501, 502, 503, 504, 505]
STATUSES += [519, 520, 525, 530, 531, 599, 600, 999]


def fault(status: int, body: Any, retry_after: str | None = None) -> GatewayError | None:
    """The failure of a reply with this status and body."""
    observations, envelope, is_page = Observations(), None, False
    try:
        document = parse((body if isinstance(body, str) else json.dumps(body)).encode(), KNOWN_KEYS)
        envelope = read_envelope(document, status, observations)
    except NotAnObject as error:
        is_page = error.is_page
    return fault_of(status, envelope, seconds_of(retry_after, None), observations, is_page=is_page)


def expected_reason(status: int, body: str) -> str | None:
    """The rule, as a list: the first that matches."""
    if status == 401:
        return "VENDOR_REJECTED_CREDENTIALS"
    if body.startswith("known"):
        return "CALL_REQUEST_NOT_FOUND"
    if status == 403:
        return "VENDOR_MALFORMED_RESPONSE" if body in PAGES else "VENDOR_REJECTED_CREDENTIALS"
    if status == 429:
        return "VENDOR_RATE_LIMITED"
    if status in {502, 503, 504} or 520 <= status <= 530:
        return "VENDOR_UNAVAILABLE"
    if 500 <= status <= 599:
        return "VENDOR_FAILED"
    if body in ERRORS:
        return "VENDOR_ERROR"
    if body in SUCCESSES and 200 <= status <= 299:
        return None
    return "VENDOR_MALFORMED_RESPONSE"


@pytest.mark.parametrize("body", [pytest.param(name, id=name) for name in BODIES])
def test_the_first_rule_that_matches_decides(body: str) -> None:
    """At every status: 401, known code, 403, 429, 502 to 504 and 520 to 530, 5xx, other code, success, malformed."""
    errors = {status: fault(status, BODIES[body]) for status in STATUSES}
    found = {status: error and error.reason_name for status, error in errors.items()}
    assert found == {status: expected_reason(status, body) for status in STATUSES}


@pytest.mark.parametrize("body", [pytest.param(name, id=name) for name in BODIES])
def test_only_a_clear_no_counts_as_a_rejection(body: str) -> None:
    """A cancel had no effect after a known code, 401, 429, and 403 without a page; after all else that is not known."""
    for status in STATUSES:
        error = fault(status, BODIES[body])
        if error is None:
            continue
        clear = status in {401, 429} or body.startswith("known") or (status == 403 and body not in PAGES)
        unclear = Delivery.UNKNOWN_CODE if body == "unknown" else Delivery.UNKNOWN
        assert error.delivery is (Delivery.REJECTED if clear else unclear), status
        assert error.token_refused == (status == 401)


def test_a_cdn_without_its_origin_is_a_vendor_that_is_not_available() -> None:
    """520 to 530 are a CDN's: the vendor has not seen the request, or not answered it."""
    assert {*UNAVAILABLE_STATUSES} == {502, 503, 504, *range(520, 531)}


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        pytest.param("NEW_CODE_2", True, id="a code"),
        pytest.param("X" * 100, True, id="100 characters"),
        pytest.param("X" * 101, False, id="101 characters"),
        pytest.param("Sam Smith", False, id="prose"),
        pytest.param("NEW_CODE\n", False, id="line break"),
        pytest.param("ÄCODE", False, id="beyond ASCII"),
    ],
)
def test_an_unknown_code_is_named_only_in_its_form(code: str, kept: bool) -> None:
    """Anything else could be a guest's data."""
    error = fault(200, failed(code))
    assert error is not None
    assert error.reason == reasons.ERROR_REASON_VENDOR_ERROR
    assert error.vendor_code == (code if kept else None)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        pytest.param("7", 7.0, id="seconds"),
        pytest.param(" 7 ", 7.0, id="blanks"),
        pytest.param("0", 0.1, id="zero"),
        pytest.param("007", 7.0, id="leading zeros"),
        pytest.param("0" * 5000 + "7", 7.0, id="5 000 leading zeros"),
        pytest.param("9" * 30, MAX_WAIT, id="30 digits"),
        pytest.param("9" * 5000, MAX_WAIT, id="5 000 digits"),
        pytest.param("1.5", 1.5, id="fraction"),
        pytest.param("2.", 2.0, id="point"),
        pytest.param("5, 120", 120.0, id="several headers, the longest wait"),
        pytest.param("5, nonsense", 5.0, id="several headers, one of them a number"),
        pytest.param("5, Tue, 03 Jun 2099 09:31:00 GMT", 5.0, id="a number and a date"),
        pytest.param("Tue, 03 Jun 2099 09:31:00 GMT", MAX_WAIT, id="date in 2099"),
        pytest.param("Tue, 03 Jun 2099 09:31:00 GMT, Tue, 03 Jun 2099 09:31:00 GMT", MAX_WAIT, id="two dates"),
        pytest.param("Sunday, 06-Nov-94 08:49:37 GMT", 0.1, id="obsolete date"),
        pytest.param("Sun Nov  6 08:49:37 1994", 0.1, id="asctime"),
        pytest.param("Mon, 01 Jan 0000 00:00:00 GMT", 0.1, id="year 0"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 -2359", MAX_WAIT, id="beyond year 9999"),
        pytest.param("Fri, 31 Dec 99999 23:59:59 GMT", 1.0, id="year 99999"),
        pytest.param("-5", 1.0, id="negative"),
        pytest.param("1e3", 1.0, id="exponent"),
        pytest.param("nan", 1.0, id="nan"),
        pytest.param("inf", 1.0, id="inf"),
        pytest.param("٣", 1.0, id="another digit"),
        pytest.param("soon", 1.0, id="word"),
        pytest.param("", 1.0, id="nothing"),
        pytest.param(None, 1.0, id="no header"),
        pytest.param(", " * MAX_DATE_CHARACTERS + "7", 1.0, id="too long"),
    ],
)
@pytest.mark.parametrize("status", [429, 503, 522])
def test_a_retry_after_is_read_within_bounds(status: int, retry_after: str | None, seconds: float) -> None:
    """RetryInfo is between 0.1 s and 300 s whatever Retry-After contains; 1 s when it is not readable."""
    error = fault(status, "", retry_after)
    assert error is not None
    assert error.retry_after == seconds


def test_a_retry_after_date_in_an_hour_is_3600_seconds() -> None:
    """Seconds from now on, by the date in the header."""
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    assert seconds_of(format_datetime(in_an_hour, usegmt=True), None) == pytest.approx(3600, abs=60)


@pytest.mark.parametrize(
    ("retry_after", "date", "seconds"),
    [
        pytest.param(
            "Sun, 06 Nov 1994 08:49:40 GMT", "Sun, 06 Nov 1994 08:49:37 GMT", 3.0, id="a clock that is behind"
        ),
        pytest.param("Sun, 06 Nov 2094 08:49:40 GMT", "Sun, 06 Nov 2094 08:49:37 GMT", 3.0, id="a clock that is ahead"),
        pytest.param("Sun Nov  6 08:49:40 1994", "Sunday, 06-Nov-94 08:49:37 GMT", 3.0, id="obsolete forms"),
        pytest.param("Sun, 06 Nov 1994 08:49:30 GMT", "Sun, 06 Nov 1994 08:49:37 GMT", -7.0, id="in its past"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 1000 00:00:00 +2359", 2.84e11, id="all of time"),
        pytest.param("7", "Sun, 06 Nov 1994 08:49:37 GMT", 7.0, id="seconds"),
    ],
)
def test_a_date_is_by_the_clock_of_who_sent_it(retry_after: str, date: str, seconds: float) -> None:
    """Where the reply has a Date: the vendor's clock may differ from ours."""
    assert seconds_of(retry_after, date) == pytest.approx(seconds, rel=0.1)


@pytest.mark.parametrize("date", ["", "soon", "Sun, 06 Nov 1994 08:49:37 GMT" + " " * MAX_DATE_CHARACTERS])
def test_without_a_date_our_clock_counts(date: str) -> None:
    """One that cannot be read is like none."""
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    assert seconds_of(format_datetime(in_an_hour, usegmt=True), date) == pytest.approx(3600, abs=60)


@pytest.mark.parametrize(
    ("message", "passed"),
    [
        pytest.param("Call request cannot be cancelled as check in is in the past.", True, id="as on the page"),
        pytest.param("Check-in has passed", True, id="hyphen"),
        pytest.param("checkInDate is in the past", True, id="camel case"),
        pytest.param("checkindate is in the past", True, id="camel case in lower case"),
        pytest.param("CHECK_IN_DATE_PASSED", True, id="constant"),
        pytest.param("The check\n in date is past", True, id="line break"),
        pytest.param("Past check-in", True, id="the other way round"),
        pytest.param("Check in is tomorrow", False, id="no past"),
        pytest.param("The past must rest", False, id="no check-in"),
        pytest.param("checking the past", False, id="another word"),
        pytest.param("The past: check. In time", False, id="two sentences"),
        pytest.param("", False, id="nothing"),
        pytest.param("check in " * 60_000, False, id="60 000 times without the past"),
        pytest.param("past " + "x" * MAX_PROSE_CHARACTERS + " check in", False, id="beyond what is searched"),
    ],
)
def test_a_passed_check_in_is_named_by_the_vendors_prose(message: str, passed: bool) -> None:
    """Both the check-in and the past, in any spelling, within the first 1 000 characters."""
    error = fault(200, failed("CANCELLATION_NOT_ALLOWED", message))
    assert error is not None
    assert error.rejected is not None
    reason = cancellations.CANCELLATION_REJECTION_REASON_CHECK_IN_PASSED
    assert error.rejected.reason == (reason if passed else 0)
