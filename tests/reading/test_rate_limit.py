"""VENDOR_MAX_CALLS_PER_SECOND: what does not fit waits, and is refused when its turn would come too late."""

import asyncio

from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.call_request_service_pb2 import (
    BatchGetCallRequestResultsResponse,
    CancelCallRequestRequest,
    GetCallRequestResultRequest,
)
from server.deadline import Deadline, now
from server.observability.metrics import Metrics
from server.reading.batch import Batches
from server.vendor_api.read_queue import ReadQueue
from testkit.gateway import connected, started
from testkit.scripted_vendor import RESULT_ID, ScriptedVendor
from testkit.virtual_time import run
from testkit.virtual_vendor import VirtualVendor, bare, failure_of, good, ids, outcome_of, reading_from


def test_reads_wait_for_their_turn() -> None:
    """Twenty at once and ten a second: ten go at once, ten within the next second, none is refused."""

    async def turns() -> None:
        vendor = VirtualVendor()
        async with reading_from(vendor, max_per_second=10) as results:
            begun = now()
            reads = [asyncio.create_task(outcome_of(results, each)) for each in ids("each", 20)]
            await asyncio.sleep(0.55)
            assert 14 <= len(vendor.reads) <= 16
            assert set(await asyncio.gather(*reads)) == {"PENDING_TO_CALL"}
            assert 0.9 < now() - begun < 1.2

    run(turns())


def test_a_read_that_cannot_go_in_time_fails_at_once() -> None:
    """VENDOR_RATE_LIMITED with RetryInfo, long before the deadline; the vendor sees nothing of it."""

    async def refused() -> None:
        vendor = VirtualVendor()
        async with reading_from(vendor, max_per_second=2) as results:
            patient = [asyncio.create_task(outcome_of(results, each)) for each in ids("each", 8)]
            await asyncio.sleep(0.1)
            begun = now()
            failure = await failure_of(results, RESULT_ID, seconds=1)
            assert failure is not None
            assert (failure.reason_name, now() - begun) == ("VENDOR_RATE_LIMITED", 0)
            assert failure.retry_after > 1
            assert set(await asyncio.gather(*patient)) == {"PENDING_TO_CALL"}
        assert len(vendor.reads) == 8

    run(refused())


def test_a_read_whose_turn_does_not_come_fails_before_its_deadline() -> None:
    """VENDOR_RATE_LIMITED, not DEADLINE_EXCEEDED: more time is not what it lacked."""

    async def refused() -> None:
        async with reading_from(VirtualVendor(), max_per_second=0.2) as results:
            await outcome_of(results, ids("first", 1)[0])
            assert await outcome_of(results, RESULT_ID, seconds=0.5) == "VENDOR_RATE_LIMITED"

    run(refused())


def test_a_more_patient_reader_gives_the_read_more_time() -> None:
    """It joins a read that waits for its turn: the turn comes too late for the first reader, not for this one."""

    async def joined() -> None:
        vendor = VirtualVendor()
        async with reading_from(vendor, max_per_second=0.5) as results:
            await outcome_of(results, ids("first", 1)[0])
            hasty = asyncio.create_task(outcome_of(results, RESULT_ID, seconds=0.5))
            await asyncio.sleep(0.1)
            patient = asyncio.create_task(outcome_of(results, RESULT_ID, seconds=9))
            assert await hasty in {"VENDOR_RATE_LIMITED", "DEADLINE_EXCEEDED"}
            assert await patient == "PENDING_TO_CALL"
        assert len(vendor.reads) == 2

    run(joined())


def test_a_refusal_of_our_own_is_no_retry_after_of_the_vendors() -> None:
    """A read is refused by the rate limit after a 401, before it is sent again: nothing is held for that."""

    async def refused() -> bytes:
        vendor, metrics = VirtualVendor(lambda asked: bare(401) if asked == RESULT_ID else good(asked)), Metrics()
        async with reading_from(vendor, max_per_second=1, metrics=metrics) as results:
            await outcome_of(results, ids("first", 1)[0])
            await asyncio.sleep(100)  # a token that has just been fetched is not given up for one 401
            vendor.seconds = 0.8
            read = asyncio.create_task(outcome_of(results, RESULT_ID, seconds=30))
            await asyncio.sleep(0.1)
            waiting = [asyncio.create_task(outcome_of(results, each, seconds=30)) for each in ids("wait", 40)]
            assert await read == "VENDOR_RATE_LIMITED"
            for each in waiting:
                each.cancel()
            await asyncio.sleep(1)
            assert await outcome_of(results, RESULT_ID) == "VENDOR_REJECTED_CREDENTIALS"
        return metrics.exposition()

    assert b'source="held"' not in run(refused())


def test_single_reads_go_before_those_of_a_batch() -> None:
    """A batch that takes all the time there is refuses no call that comes with it, nor makes it wait behind."""

    async def both() -> None:
        vendor = VirtualVendor()
        async with reading_from(vendor, max_per_second=2) as results:
            batches = Batches(results, lambda number: None, lambda reason: None)
            batch = asyncio.create_task(batches.read(ids("item", 100), None, Deadline.after(10)))
            await asyncio.sleep(0)
            begun = now()
            singles = [asyncio.create_task(outcome_of(results, each, seconds=9)) for each in ids("each", 8)]
            assert set(await asyncio.gather(*singles)) == {"PENDING_TO_CALL"}
            assert now() - begun < 6, "eight at two a second, behind the two or three that had their turn"
            answered = BatchGetCallRequestResultsResponse.FromString(await batch).items
        assert now() - begun < 10
        failures = {item.error.reason for item in answered if item.HasField("error")}
        assert failures == {reasons.ERROR_REASON_VENDOR_RATE_LIMITED}
        assert sum(not item.HasField("error") for item in answered) >= 10, "what the limit left to it"
        assert len(vendor.reads) <= 22, "nothing above the limit"

    run(both())


def test_a_single_read_that_joins_one_of_a_batch_brings_it_forward() -> None:
    """The one read is for both: it waits behind no more of the batch than the other would."""

    async def joined() -> None:
        vendor = VirtualVendor()
        async with reading_from(vendor, max_per_second=2) as results:
            batches, asked = Batches(results, lambda number: None, lambda reason: None), ids("item", 15)
            batch = asyncio.create_task(batches.read(asked, None, Deadline.after(20)))
            await asyncio.sleep(0.1)
            begun = now()
            assert await outcome_of(results, asked[-1], seconds=9) == "PENDING_TO_CALL"
            assert now() - begun < 2
            await batch
        assert len(vendor.reads) == 15

    run(joined())


def test_a_batch_alone_has_all_that_the_limit_allows() -> None:
    """And readers that leave their places leave nothing behind."""

    async def alone() -> None:
        vendor = VirtualVendor()
        async with reading_from(vendor, max_per_second=2) as results:
            batches = Batches(results, lambda number: None, lambda reason: None)
            leaving = [asyncio.create_task(outcome_of(results, each, seconds=9)) for each in ids("each", 8)]
            batch = asyncio.create_task(batches.read(ids("item", 12), None, Deadline.after(9)))
            await asyncio.sleep(0.1)
            for each in leaving:
                each.cancel()
            answered = BatchGetCallRequestResultsResponse.FromString(await batch).items
        assert not any(item.HasField("error") for item in answered)

    run(alone())


def test_a_read_that_leaves_as_its_turn_comes_passes_it_on() -> None:
    """Else none would go any more."""

    async def left() -> None:
        queue = ReadQueue()

        async def take(deadline: Deadline) -> None:
            async with queue.turn(deadline):
                pass

        async with queue.turn(Deadline.after(9)):
            leaving, next_one = (asyncio.create_task(take(Deadline.after(9))) for _ in range(2))
            await asyncio.sleep(0.1)
        leaving.cancel()
        await next_one
        assert not queue

    run(left())


async def test_a_cancel_goes_before_the_reads_that_wait(vendor: ScriptedVendor) -> None:
    """Forty reads wait for three seconds; a cancel waits for its own turn only."""
    get = GetCallRequestResultRequest(call_request_id=RESULT_ID)
    cancel = CancelCallRequestRequest(call_request_id=RESULT_ID)
    async with started(vendor.url, vendor_max_calls_per_second=10.0) as gateway, connected(gateway) as client:
        reads = [asyncio.ensure_future(client.GetCallRequestResult(get, timeout=9)) for _ in range(40)]
        await vendor.until(lambda: len(vendor.requests("result")) >= 10)
        await client.CancelCallRequest(cancel)
        assert len(vendor.requests("result")) < 30, "the cancel waited for the reads before it"
        for read in reads:
            read.cancel()
