"""The vendor's failures, mapped onto the catalogue: from its error bodies and HTTP statuses."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import cast

from callrequest.v1 import cancellation_pb2 as cancellations
from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.cancellation_pb2 import CancellationRejected

from ..errors import Delivery, GatewayError, Reason
from .mapping import ALREADY_CANCELLED, ERROR_CODES, REJECTION_PHRASES
from .quirks import Observations, UnreadableValue
from .translate import Envelope, malformed

UNAVAILABLE_STATUSES = frozenset({502, 503, 504, *range(520, 531)})
"""A gateway's in front of the vendor, and a CDN's for an origin that it cannot reach."""

_VENDOR_CODE = re.compile(r"[A-Z0-9_]{1,100}")

MAX_DATE_CHARACTERS = 200
"""A longer Retry-After or Date, several joined by commas included, is not read."""

_SECONDS = re.compile(r"\d+(?:\.\d*)?", re.ASCII)


def fault_of(
    status: int, envelope: Envelope | None, retry_after: float | None, observations: Observations, *, is_page: bool
) -> GatewayError | None:
    """The failure of a reply, the first that matches; None for a success.

    envelope: None when the body is no JSON object. retry_after: seconds, None without them. is_page: whether
    the body is neither empty nor JSON.

    Its delivery classifies the reply to a cancel: REJECTED for a known error code, 401, 403 and 429; UNKNOWN_CODE for
    an error body with any other code, at any other status; UNKNOWN for everything else.
    """
    if status == 401:
        return _rejected_credentials(token_refused=True)
    error_body = envelope if envelope is not None and envelope.failed else None
    if error_body is not None and (known := _known_fault(error_body, observations)):
        return known
    if status == 403 and not is_page:  # the vendor answers in JSON or not at all: a page is a firewall's
        return _rejected_credentials(token_refused=False)
    if status == 429:
        reason = reasons.ERROR_REASON_VENDOR_RATE_LIMITED
        return GatewayError(reason, retry_after=retry_after, delivery=Delivery.REJECTED)
    code = None if error_body is None else error_body.error_code
    delivery = Delivery.UNKNOWN if code is None else Delivery.UNKNOWN_CODE
    vendor_code = code if code is not None and _VENDOR_CODE.fullmatch(code) else None
    if status in UNAVAILABLE_STATUSES:
        reason = reasons.ERROR_REASON_VENDOR_UNAVAILABLE
        return GatewayError(reason, retry_after=retry_after, vendor_code=vendor_code, delivery=delivery)
    if 500 <= status <= 599:
        return GatewayError(reasons.ERROR_REASON_VENDOR_FAILED, vendor_code=vendor_code, delivery=delivery)
    if error_body is not None:
        return GatewayError(reasons.ERROR_REASON_VENDOR_ERROR, vendor_code=vendor_code, delivery=delivery)
    if envelope is not None and 200 <= status <= 299:
        return None
    return malformed()


def is_already_cancelled(envelope: Envelope | None) -> bool:
    """Whether an error body has words for it, in its code or its message: the call request is cancelled already."""
    return (
        envelope is not None
        and envelope.failed
        and any(ALREADY_CANCELLED(text or "") for text in (envelope.error_code, envelope.error_message))
    )


def _rejected_credentials(*, token_refused: bool) -> GatewayError:
    reason = reasons.ERROR_REASON_VENDOR_REJECTED_CREDENTIALS
    return GatewayError(reason, delivery=Delivery.REJECTED, token_refused=token_refused)


def _known_fault(envelope: Envelope, observations: Observations) -> GatewayError | None:
    try:
        reason = cast("Reason", ERROR_CODES(envelope.error_code, observations))
    except UnreadableValue:
        return None
    if reason != reasons.ERROR_REASON_CANCELLATION_NOT_ALLOWED:
        return GatewayError(reason, delivery=Delivery.REJECTED)
    found = [meant for meant, named_in in REJECTION_PHRASES.items() if named_in(envelope.error_message or "")]
    unspecified = cancellations.CANCELLATION_REJECTION_REASON_UNSPECIFIED
    rejected = CancellationRejected(reason=found[0] if found else unspecified)
    return GatewayError(reason, delivery=Delivery.REJECTED, rejected=rejected)


def seconds_of(retry_after: str | None, date: str | None) -> float | None:
    """The seconds of a Retry-After header (RFC 9110, 10.2.3): a number or a date; None when it has neither.

    Of several numbers the largest. A fraction is read; a date that has passed is negative. date: the reply's Date, when
    it was sent by the clock that the other date is of; ours counts without one.
    """
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text.lstrip("0")[:10] or 0)  # more digits are years, and float() refuses thousands of them
    if len(text) > MAX_DATE_CHARACTERS:
        return None
    numbers = [float(part) for part in map(str.strip, text.split(",")) if _SECONDS.fullmatch(part)]
    if numbers:
        return max(numbers)
    until = http_date(text)
    return None if until is None else (until - (http_date(date or "") or datetime.now(UTC))).total_seconds()


def http_date(date: str) -> datetime | None:
    """A date of HTTP (RFC 9110, 5.6.7); None for any other text."""
    if len(date) > MAX_DATE_CHARACTERS:
        return None
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC)
