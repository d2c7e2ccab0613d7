"""The gateway in front of the sandbox, as it comes without any setting: what callers' own tests will meet."""

import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from callrequest.v1 import call_request_pb2 as results
from callrequest.v1 import cancellation_pb2 as cancellations
from callrequest.v1.call_request_service_pb2 import CancelCallRequestRequest, GetCallRequestResultRequest
from testkit.failure import failure
from testkit.gateway import connected, started
from tests.sandbox.caller import DOCS

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub


@pytest.fixture
async def client() -> AsyncIterator["CallRequestServiceAsyncStub"]:
    async with started(None, vendor_timeout=1.0) as gateway, connected(gateway) as stub:
        yield stub


async def test_the_published_call_requests_read_as_published(client: "CallRequestServiceAsyncStub") -> None:
    """The three ids of the vendor's pages, typed."""

    async def read(call_request_id: str) -> results.CallRequestResult:
        request = GetCallRequestResultRequest(call_request_id=call_request_id)
        return (await client.GetCallRequestResult(request)).call_request_result

    verified = await read("77b2c4d5e6f7g890")
    assert verified.status == results.CALL_REQUEST_STATUS_COMPLETED
    assert verified.outcome.call_status == results.CALL_STATUS_SUCCESS
    assert verified.outcome.call_type == results.CALL_TYPE_AUTHORIZATION_VERIFICATION
    assert not verified.outcome.HasField("action_required")
    assert verified.outcome.dial_time.ToJsonString() == "2025-06-03T10:10:00Z"
    failed = await read("bcpFuj1ipoBKLz5G")
    assert failed.outcome.call_status == results.CALL_STATUS_ERROR_OUTCOME
    assert failed.outcome.status_reason_category == results.STATUS_REASON_CATEGORY_RESERVATION_NOT_FOUND
    pending = await read("66a1b2c3d4e5f678")
    assert pending.status == results.CALL_REQUEST_STATUS_PENDING_TO_CALL
    assert not pending.HasField("outcome")


async def test_a_cancel_takes_effect_and_may_be_repeated(client: "CallRequestServiceAsyncStub") -> None:
    """CANCELLED, then ALREADY_CANCELLED, and the result reads as CANCELLED."""
    request = CancelCallRequestRequest(call_request_id="66a1b2c3d4e5f678")
    first = (await client.CancelCallRequest(request)).cancellation
    second = (await client.CancelCallRequest(request)).cancellation
    assert first.outcome == cancellations.CANCELLATION_OUTCOME_CANCELLED
    assert first.HasField("cancelled_at")
    assert second.outcome == cancellations.CANCELLATION_OUTCOME_ALREADY_CANCELLED
    read = await client.GetCallRequestResult(GetCallRequestResultRequest(call_request_id="66a1b2c3d4e5f678"))
    assert read.call_request_result.status == results.CALL_REQUEST_STATUS_CANCELLED


READS = {
    "aaaaaaaaaaaaaaaa": ("NOT_FOUND", "CALL_REQUEST_NOT_FOUND"),
    "q10NotFoundAt404": ("NOT_FOUND", "CALL_REQUEST_NOT_FOUND"),
    "faultNotFound001": ("NOT_FOUND", "CALL_REQUEST_NOT_FOUND"),
    "faultHtmlPage001": ("INTERNAL", "VENDOR_MALFORMED_RESPONSE"),
    "faultEmptyBody01": ("INTERNAL", "VENDOR_MALFORMED_RESPONSE"),
    "faultTruncated01": ("INTERNAL", "VENDOR_MALFORMED_RESPONSE"),
    "faultPage0000403": ("INTERNAL", "VENDOR_MALFORMED_RESPONSE"),
    "faultPage0000404": ("INTERNAL", "VENDOR_MALFORMED_RESPONSE"),
    "faultRedirect302": ("INTERNAL", "VENDOR_MALFORMED_RESPONSE"),
    "faultAnotherId01": ("INTERNAL", "VENDOR_MALFORMED_RESPONSE"),
    "faultTooLong0001": ("INTERNAL", "VENDOR_MALFORMED_RESPONSE"),
    "faultTooMany0429": ("RESOURCE_EXHAUSTED", "VENDOR_RATE_LIMITED"),
    "faultUnavail0503": ("UNAVAILABLE", "VENDOR_UNAVAILABLE"),
    "faultCutOff00001": ("UNAVAILABLE", "VENDOR_UNAVAILABLE"),
    "faultCutInBody01": ("UNAVAILABLE", "VENDOR_UNAVAILABLE"),
    "faultSlow0000001": ("UNAVAILABLE", "VENDOR_TIMEOUT"),
    "faultHang0000001": ("UNAVAILABLE", "VENDOR_TIMEOUT"),
    "faultError000500": ("INTERNAL", "VENDOR_FAILED"),
    "faultToken000401": ("INTERNAL", "VENDOR_REJECTED_CREDENTIALS"),
    "faultBadRequest1": ("INVALID_ARGUMENT", "VENDOR_REJECTED_REQUEST"),
    "faultNewCode0001": ("UNKNOWN", "VENDOR_ERROR"),
    "faultNoError0001": ("UNKNOWN", "VENDOR_ERROR"),
}


@pytest.mark.parametrize(("call_request_id", "code", "reason"), [pytest.param(i, *r, id=i) for i, r in READS.items()])
async def test_each_fault_of_the_sandbox_is_its_error(
    client: "CallRequestServiceAsyncStub", call_request_id: str, code: str, reason: str
) -> None:
    """Whoever tests against the sandbox gets each error of the contract by an id."""
    got = await failure(client.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=call_request_id)))
    assert (got.code, got.reason) == (code, reason)


def _table() -> dict[str, tuple[set[str], set[str]]]:
    """The page's rows by ErrorReason: the ids in its column of reads, and in that of cancels."""
    (section,) = re.findall(r"## What callers get\n(.*?)\n## ", DOCS.read_text(), re.DOTALL)
    rows = re.findall(r"^\| ([A-Z_]+) \| (.*?) ?\| (.*?) ?\|$", section, re.MULTILINE)
    return {reason: (set(_ids(reads)), set(_ids(cancels))) for reason, reads, cancels in rows}


def _ids(cell: str) -> list[str]:
    return re.findall(r"`([A-Za-z0-9]{16})`", cell)


def test_the_page_has_each_error_of_a_read() -> None:
    """What a tester looks up by ErrorReason is what the reads above end with, no more and no less."""
    listed = {reason: reads for reason, (reads, _) in _table().items() if reads and reason != "DEADLINE_EXCEEDED"}
    assert listed == {
        reason: {known for known, (_, its) in READS.items() if its == reason and known != "aaaaaaaaaaaaaaaa"}
        for _, reason in READS.values()
    }


def test_the_page_has_each_refusal_of_a_cancel() -> None:
    """And which cancel stays in doubt."""
    assert _table()["CANCELLATION_NOT_ALLOWED"][1] == REFUSALS.keys()
    assert _table()["CANCELLATION_OUTCOME_UNKNOWN"][1] == {"lostReplyAndRead"}


REFUSALS = {
    "cancelCompleted1": "CALL_COMPLETED",
    "cancelInProgress": "CALL_IN_PROGRESS",
    "cancelCheckedIn1": "CHECK_IN_PASSED",
    "cancelBareWords1": "UNSPECIFIED",
}


@pytest.mark.parametrize(("call_request_id", "reason"), REFUSALS.items())
async def test_each_refusal_of_the_sandbox_has_its_reason(
    client: "CallRequestServiceAsyncStub", call_request_id: str, reason: str
) -> None:
    """And each reason why a call request cannot be cancelled."""
    got = await failure(client.CancelCallRequest(CancelCallRequestRequest(call_request_id=call_request_id)))
    assert got.code == "FAILED_PRECONDITION"
    assert got.rejected is not None
    name = cancellations.CancellationRejectionReason.Name(got.rejected.reason)
    assert name == f"CANCELLATION_REJECTION_REASON_{reason}"


@pytest.mark.parametrize("call_request_id", ["faultLostReply01", "faultDoneError01"])
async def test_a_cancel_that_took_effect_is_read_back(
    client: "CallRequestServiceAsyncStub", call_request_id: str
) -> None:
    """OK, although its reply was lost or was an error: the status shows it, and no time is known."""
    request = CancelCallRequestRequest(call_request_id=call_request_id)
    cancellation = (await client.CancelCallRequest(request)).cancellation
    assert cancellation.outcome == cancellations.CANCELLATION_OUTCOME_CANCELLED
    assert not cancellation.HasField("cancelled_at")


async def test_a_reply_lost_after_the_commit_leaves_the_cancel_in_doubt(client: "CallRequestServiceAsyncStub") -> None:
    """The effect of a cancel whose reply is lost is not guessed."""
    request = CancelCallRequestRequest(call_request_id="lostReplyAndRead")
    got = await failure(client.CancelCallRequest(request, timeout=2))
    assert got.reason == "CANCELLATION_OUTCOME_UNKNOWN"
