"""The vendor is asked as little as the truth allows: one read for all who wait, and answers that are given again."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from callrequest.v1 import call_request_pb2 as pb
from callrequest.v1.call_request_service_pb2 import CancelCallRequestRequest, GetCallRequestResultRequest
from server.app import Gateway
from server.kept_results import ENTRY_BYTES, KeptResults
from tests.conftest import metrics_of, started
from tests.failure import failure
from tests.scripted_vendor import RESULT_ID, ScriptedVendor, hang_up, later, never, pending, send, with_status
from tests.virtual_time import run

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub

GET = GetCallRequestResultRequest(call_request_id=RESULT_ID)
CANCEL = CancelCallRequestRequest(call_request_id=RESULT_ID)
COMPLETED = with_status("COMPLETED") | {"result": {"callStatus": "SUCCESS"}}


def aged(seconds: float) -> GetCallRequestResultRequest:
    """A read that takes an answer of that age."""
    request = GetCallRequestResultRequest(call_request_id=RESULT_ID)
    request.max_age.FromNanoseconds(int(seconds * 1e9))
    return request


@pytest.fixture
async def gateway(vendor: ScriptedVendor) -> AsyncIterator[Gateway]:
    async with started(vendor.url, default_max_age=0.3, final_max_age=3600.0) as running:
        yield running


async def test_all_who_wait_for_an_id_share_one_read(
    gateway: Gateway, client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """Fifty readers at once: one request to the vendor, fifty answers."""
    vendor.answer("result", later(0.2, send(pending())))
    await asyncio.gather(*(client.GetCallRequestResult(GET) for _ in range(50)))
    assert len(vendor.requests("result")) == 1
    scraped = await metrics_of(gateway)
    assert 'result_reads_total{source="vendor"} 1.0' in scraped
    assert 'result_reads_total{source="shared"} 49.0' in scraped


async def test_a_failure_is_shared_with_those_who_wait_and_not_kept(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """Those who wait get the failure; who comes later asks anew."""
    vendor.answer("result", later(0.2, send("", 403)), send(pending()))
    told = await asyncio.gather(*(failure(client.GetCallRequestResult(GET)) for _ in range(10)))
    assert {each.reason for each in told} == {"VENDOR_REJECTED_CREDENTIALS"}
    await client.GetCallRequestResult(GET)
    assert len(vendor.requests("result")) == 2


async def test_each_reader_keeps_its_own_deadline_and_may_leave(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """The first reader runs out of time, the second leaves: the third gets the answer of their read."""
    vendor.answer("result", later(0.8, send(pending())))
    hasty = asyncio.ensure_future(client.GetCallRequestResult(GET, timeout=0.3))
    await vendor.until(lambda: vendor.requests("result"))
    leaving, patient = client.GetCallRequestResult(GET), client.GetCallRequestResult(GET, timeout=5)
    await asyncio.sleep(0.1)
    leaving.cancel()
    assert (await failure(hasty)).reason == "DEADLINE_EXCEEDED"
    assert (await patient).call_request_result.call_request_id == RESULT_ID
    assert len(vendor.requests("result")) == 1
    assert vendor.left == 0


async def test_when_the_last_reader_has_left_the_read_ends(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """Nobody waits: the vendor's call is ended, and the next reader begins a new one."""
    vendor.answer("result", never(), send(pending()))
    readers = [client.GetCallRequestResult(GET) for _ in range(3)]
    await vendor.until(lambda: vendor.requests("result"))
    await asyncio.sleep(0.1)
    for reader in readers:
        reader.cancel()
    await vendor.until(lambda: vendor.left)
    await client.GetCallRequestResult(GET)
    assert len(vendor.requests("result")) == 2


async def test_a_fresh_read_joins_no_older_one(client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor) -> None:
    """max_age 0: the vendor is asked after the call came, whatever is under way or kept."""
    vendor.answer("result", later(0.4, send(pending())), send(with_status("IN_PROGRESS")))
    older = asyncio.ensure_future(client.GetCallRequestResult(GET))
    await vendor.until(lambda: vendor.requests("result"))
    fresh = await client.GetCallRequestResult(aged(0))
    assert fresh.call_request_result.status == pb.CALL_REQUEST_STATUS_IN_PROGRESS
    assert (await older).call_request_result.status == pb.CALL_REQUEST_STATUS_PENDING_TO_CALL
    kept = await client.GetCallRequestResult(aged(60))
    assert kept.call_request_result.status == pb.CALL_REQUEST_STATUS_IN_PROGRESS, (
        "the older read replaced a fresher one"
    )
    assert len(vendor.requests("result")) == 2


async def test_an_answer_is_given_again_while_it_is_young_enough(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """Within the default, or what the caller allows, the same answer with its own time; afterwards a new one."""
    first = await client.GetCallRequestResult(GET)
    again = await client.GetCallRequestResult(GET)
    assert again == first
    await asyncio.sleep(0.35)
    assert await client.GetCallRequestResult(aged(60)) == first
    assert len(vendor.requests("result")) == 1
    later_one = await client.GetCallRequestResult(GET)
    assert (
        later_one.call_request_result.observed_at.ToNanoseconds()
        > first.call_request_result.observed_at.ToNanoseconds()
    )
    assert len(vendor.requests("result")) == 2


async def test_a_final_answer_is_given_again_for_far_longer(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """Its truth cannot change; a caller that says how old it may be is taken at its word."""
    vendor.answer("result", send(COMPLETED))
    first = await client.GetCallRequestResult(GET)
    await asyncio.sleep(0.4)
    assert await client.GetCallRequestResult(GET) == first
    assert len(vendor.requests("result")) == 1
    await client.GetCallRequestResult(aged(0.3))
    assert len(vendor.requests("result")) == 2


async def test_completed_without_an_outcome_is_not_final(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """The outcome may still come: it is asked for as that of a pending one is."""
    vendor.answer("result", send(with_status("COMPLETED")), send(COMPLETED))
    assert not (await client.GetCallRequestResult(GET)).call_request_result.HasField("outcome")
    await asyncio.sleep(0.35)
    assert (await client.GetCallRequestResult(GET)).call_request_result.HasField("outcome")


@pytest.mark.parametrize("lost", [False, True], ids=["answered", "lost"])
async def test_after_a_cancel_nothing_older_is_given(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor, lost: bool
) -> None:
    """A cancel drops what is kept and what is being read, however it was settled."""
    await client.GetCallRequestResult(GET)
    vendor.answer("result", later(0.6, send(pending())), send(with_status("CANCELLED")))
    slow = asyncio.ensure_future(client.GetCallRequestResult(aged(0)))
    await vendor.until(lambda: len(vendor.requests("result")) == 2)
    if lost:
        vendor.answer("cancel", hang_up())
    await client.CancelCallRequest(CANCEL)
    after = await client.GetCallRequestResult(aged(60))
    assert after.call_request_result.status == pb.CALL_REQUEST_STATUS_CANCELLED
    await slow
    after = await client.GetCallRequestResult(aged(60))
    assert after.call_request_result.status == pb.CALL_REQUEST_STATUS_CANCELLED, (
        "a read from before the cancel was kept"
    )


def _result(number: int, status: int = pb.CALL_REQUEST_STATUS_CANCELLED) -> pb.CallRequestResult:
    return pb.CallRequestResult(call_request_id=f"{number:016}", status=pb.CallRequestStatus.ValueType(status))


def test_what_is_kept_is_bounded_in_bytes() -> None:
    """Beyond the bound the least recently used make room; what is too large alone is not kept."""

    async def fill() -> None:
        entry = ENTRY_BYTES + _result(0).ByteSize()
        kept = KeptResults(1, 3600, entry * 10)
        for number in range(100):
            kept.keep(_result(number))
        assert [number for number in range(100) if kept.find(f"{number:016}", None)] == list(range(90, 100))
        huge = _result(200)
        huge.outcome.outcome_details = "x" * entry * 10
        kept.keep(huge)
        assert kept.find(f"{200:016}", None) is None

    run(fill())


def test_guests_data_leaves_the_memory_when_its_time_is_over() -> None:
    """Nobody has to ask for it: what is older than FINAL_MAX_AGE is let go."""

    async def wait() -> None:
        async with KeptResults(1, 60, 1 << 20) as kept:
            kept.keep(_result(1))
            await asyncio.sleep(59)
            assert kept.find(f"{1:016}", None)
            assert kept.bytes() > 0
            await asyncio.sleep(12)
            assert kept.bytes() == 0

    run(wait())


def test_a_slow_read_does_not_undo_a_final_answer() -> None:
    """CANCELLED and COMPLETED stay: what is not final can only be older."""

    async def undo() -> None:
        kept = KeptResults(1, 60, 1 << 20)
        kept.keep(_result(1))
        kept.keep(_result(1, pb.CALL_REQUEST_STATUS_PENDING_TO_CALL))
        found = kept.find(f"{1:016}", 60)
        assert found is not None
        assert found.status == pb.CALL_REQUEST_STATUS_CANCELLED

    run(undo())
