"""The outcomes of the examples on the vendor's pages, word for word, in valid JSON."""

from collections.abc import Mapping
from typing import Any

_NO_ACTION = {"action": "", "email": "", "fax": ""}

SUCCESS_EXAMPLE: Mapping[str, Any] = {
    "callType": "AUTHORIZATION_VERIFICATION",
    "callStatus": "SUCCESS",
    "outcomeSummary": "Authorization verification successfully",
    "outcomeDetails": (
        "Credit card authorization was verified with the hotel. Guest Iago Aspas's Visa ending in 1234 was confirmed "
        "for charges including room, tax, and parking."
    ),
    "actionRequired": _NO_ACTION,
    "dialTime": "2025-06-03T10:10:00Z",
}

ERROR_OUTCOME_EXAMPLE: Mapping[str, Any] = {
    "callType": "AUTHORIZATION_VERIFICATION",
    "callStatus": "ERROR_OUTCOME",
    "statusReasonCategory": "RESERVATION_NOT_FOUND",
    "statusReason": (
        "Front desk agent didnt find a reservation for Leo Messi or with the Booking ID, for that reason payment "
        "couldnt be verify"
    ),
    "actionRequired": _NO_ACTION,
    "dialTime": "2025-06-03T10:10:00Z",
}

NOT_FOUND_CODE = "NOT_FOUND"
NOT_FOUND_MESSAGE = "Can not found the corresponding call request base on the call request id."
CANCELLATION_NOT_ALLOWED_CODE = "CANCELLATION_NOT_ALLOWED"
CHECK_IN_PAST_MESSAGE = "Call request cannot be cancelled as check in is in the past."
REFERENCE = "bc8f34aO-d6d8-4575-a70a-f78453761214"
"""The cancel page's example of a UUID, its letter O included."""
