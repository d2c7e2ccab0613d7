"""The vendor's failures, mapped onto the catalogue: from its error bodies and HTTP statuses."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import cast

from callrequest.v1 import cancellation_pb2 as cancellations
from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.cancellation_pb2 import CancellationRejected

from ..errors import Delivery, GatewayError, Reason
from .mapping import ERROR_CODES, REJECTION_PATTERNS
from .quirks import Observations, Unreadable
from .translate import Envelope, malformed

_VENDOR_CODE = re.compile(r"[A-Z0-9_]{1,100}")


def fault_of(
    status: int, envelope: Envelope | None, retry_after: str | None, observations: Observations
) -> GatewayError | None:
    """What is wrong with a reply; None when it is a success. envelope: None when the body is no JSON object.

    Its delivery classifies the reply to a cancel: REJECTED for a known error code, 401, 403 and 429; UNKNOWN_CODE for
    an error body with any other code, at any other status; UNKNOWN for everything else.
    """
    if status in (401, 403):
        return GatewayError(
            reasons.ERROR_REASON_VENDOR_REJECTED_CREDENTIALS, delivery=Delivery.REJECTED, token_refused=status == 401
        )
    if envelope and envelope.failed and (known := _known_fault(envelope, observations)):
        return known
    if status == 429:
        wait = seconds_of(retry_after)
        return GatewayError(reasons.ERROR_REASON_VENDOR_RATE_LIMITED, retry_after=wait, delivery=Delivery.REJECTED)
    code = envelope.error_code if envelope and envelope.failed else None
    delivery = Delivery.UNKNOWN if code is None else Delivery.UNKNOWN_CODE
    vendor_code = code if code is not None and _VENDOR_CODE.fullmatch(code) else None
    if status in (502, 503, 504):
        reason, wait = reasons.ERROR_REASON_VENDOR_UNAVAILABLE, seconds_of(retry_after)
        return GatewayError(reason, retry_after=wait, vendor_code=vendor_code, delivery=delivery)
    if 500 <= status <= 599:
        return GatewayError(reasons.ERROR_REASON_VENDOR_FAILED, vendor_code=vendor_code, delivery=delivery)
    if envelope and envelope.failed:
        return GatewayError(reasons.ERROR_REASON_VENDOR_ERROR, vendor_code=vendor_code, delivery=delivery)
    if envelope and 200 <= status <= 299:
        return None
    return malformed()


def _known_fault(envelope: Envelope, observations: Observations) -> GatewayError | None:
    try:
        reason = cast("Reason", ERROR_CODES(envelope.error_code, observations))
    except Unreadable:
        return None
    if reason != reasons.ERROR_REASON_CANCELLATION_NOT_ALLOWED:
        return GatewayError(reason, delivery=Delivery.REJECTED)
    said = envelope.error_message or ""
    why = [meant for meant, pattern in REJECTION_PATTERNS.items() if pattern.search(said)]
    rejected = CancellationRejected(reason=why[0] if why else cancellations.CANCELLATION_REJECTION_REASON_UNSPECIFIED)
    return GatewayError(reason, delivery=Delivery.REJECTED, rejected=rejected)


def seconds_of(retry_after: str | None) -> float | None:
    """The seconds that a Retry-After header asks for, as a number or a date (RFC 9110, 10.2.3); None without any."""
    said = (retry_after or "").strip()
    if said.isascii() and said.isdigit():
        return float(said[:10])  # no one waits for more digits, and float() would raise for thousands of them
    try:
        moment = parsedate_to_datetime(said)
        return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
