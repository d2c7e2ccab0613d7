"""The catalogue: every ErrorReason is classified once, for callers and for reads."""

import re
from pathlib import Path

import pytest

from callrequest.v1.error_reason_pb2 import ErrorReason
from server.errors import CATALOGUE, GatewayError, VendorState

ROOT = Path(__file__).parents[1]

DOWN, DOUBTFUL, REFUSES, UP, NOT_SEEN = VendorState

READS = {
    "INVALID_REQUEST": (0, False, NOT_SEEN),
    "CALL_REQUEST_NOT_FOUND": (0, True, UP),
    "CANCELLATION_NOT_ALLOWED": (0, True, UP),
    "VENDOR_REJECTED_REQUEST": (0, True, UP),
    "VENDOR_REJECTED_CREDENTIALS": (0, True, REFUSES),
    "VENDOR_UNAVAILABLE": (2, False, DOWN),
    "VENDOR_RATE_LIMITED": (2, False, DOWN),
    "VENDOR_FAILED": (2, True, DOUBTFUL),
    "VENDOR_MALFORMED_RESPONSE": (1, True, DOUBTFUL),
    "VENDOR_ERROR": (0, True, UP),
    "DEADLINE_EXCEEDED": (0, False, NOT_SEEN),
    "VENDOR_TIMEOUT": (2, False, DOWN),
    "CANCELLATION_OUTCOME_UNKNOWN": (0, False, NOT_SEEN),
    "OVERLOADED": (0, False, NOT_SEEN),
    "CALLER_UNAUTHENTICATED": (0, False, NOT_SEEN),
    "CALLER_FORBIDDEN": (0, False, NOT_SEEN),
    "INTERNAL": (0, False, NOT_SEEN),
    "WATCH_ENDED": (0, False, NOT_SEEN),
    "CALLER_RATE_LIMITED": (0, False, NOT_SEEN),
}
"""For each reason: how often a read that fails like this is tried again, whether the failure is cached for its id, and
what it shows of the vendor as a whole."""


def test_what_a_read_does_about_each_failure_is_decided() -> None:
    """A new ErrorReason gets a line above, and its columns in the catalogue."""
    classified = {
        GatewayError(reason).reason_name: (spec.retries, spec.about_the_id, spec.vendor)
        for reason, spec in CATALOGUE.items()
    }
    assert classified == READS
    assert len(classified) == len(ErrorReason.values()) - 1


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in (ROOT / "server/reading").glob("*.py")])
def test_reads_classify_no_failure_anywhere_else(path: Path) -> None:
    """Beside the catalogue's columns a reason is only raised there, or compared with for Retry-After's default."""
    named = set(re.findall(r"ERROR_REASON_(\w+)", path.read_text()))
    assert named <= {
        "retries": {"VENDOR_RATE_LIMITED"},
        "throttle": {"VENDOR_RATE_LIMITED", "VENDOR_UNAVAILABLE"},
        "vendor_reads": {"VENDOR_TIMEOUT"},
        "batch": {"INTERNAL"},
    }.get(path.stem, set())


def test_the_same_failure_again_is_another_exception_with_all_its_details() -> None:
    """`again` copies every attribute: a field that is added to GatewayError is copied, too."""
    for reason in CATALOGUE:
        error = GatewayError(reason, retry_after=7.0, vendor_code="QUOTA", code=3, token_refused=True)
        again = error.again()
        assert again is not error
        assert again.__traceback__ is None
        assert vars(again) == vars(error)
        assert again.args == error.args
