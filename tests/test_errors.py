"""The catalogue: every ErrorReason is classified once, for callers and for reads."""

import re
from pathlib import Path

import pytest

from callrequest.v1.error_reason_pb2 import ErrorReason
from server.errors import CATALOGUE, Decision, GatewayError, VendorState

ROOT = Path(__file__).parents[1]

ANSWERED = {VendorState.UP, VendorState.REFUSES, VendorState.DOUBTFUL}
"""What the vendor has answered is about the id that was read."""
TRIED_AGAIN = {VendorState.DOWN, VendorState.DOUBTFUL}
"""What may be over a moment later."""


@pytest.mark.parametrize("reason", [pytest.param(reason, id=ErrorReason.Name(reason)) for reason in CATALOGUE])
def test_what_a_read_does_about_a_failure_follows_from_the_vendors_state(reason: ErrorReason.ValueType) -> None:
    """A row must have the vendor's state; retries, cached failures and the decision for callers agree with it."""
    spec = CATALOGUE[reason]
    assert (spec.retries > 0) == (spec.vendor in TRIED_AGAIN)
    assert spec.about_the_id == (spec.vendor in ANSWERED)
    if spec.retries:
        assert spec.decision is Decision.RETRY_LATER


def test_every_reason_has_its_row() -> None:
    """The catalogue has each ErrorReason of the contract once."""
    assert set(CATALOGUE) == set(ErrorReason.values()) - {0}


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
        again = error.copy()
        assert again is not error
        assert again.__traceback__ is None
        assert vars(again) == vars(error)
        assert again.args == error.args
