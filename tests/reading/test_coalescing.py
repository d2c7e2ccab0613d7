"""The vendor is asked as little as the truth allows: one read for all who wait, and answers that are given again."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from callrequest.v1 import call_request_pb2 as pb
from callrequest.v1.call_request_service_pb2 import CancelCallRequestRequest, GetCallRequestResultRequest
from server.app import Gateway
from server.reading.result_cache import ENTRY_BYTES, Reading, ResultCache
from testkit.failure import failure
from testkit.gateway import connected, metrics_of, started
from testkit.scripted_vendor import RESULT_ID, ScriptedVendor, hang_up, later, never, pending, send, with_status
from testkit.virtual_time import run

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
    assert 'result_reads_total{source="coalesced"} 49.0' in scraped


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


def _reading(number: int, status: int = pb.CALL_REQUEST_STATUS_CANCELLED) -> tuple[str, Reading]:
    call_request_id = f"{number:016}"
    result = pb.CallRequestResult(call_request_id=call_request_id, status=pb.CallRequestStatus.ValueType(status))
    return call_request_id, Reading.of(result)


def test_what_is_kept_is_bounded_in_bytes() -> None:
    """Beyond the bound the oldest make room; what is too large alone is not kept."""

    async def fill() -> None:
        entry = ENTRY_BYTES + len(_reading(0)[1].answer)
        kept = ResultCache(1, 3600, entry * 10)
        for number in range(100):
            kept.put(*_reading(number))
        assert [number for number in range(100) if kept.get(f"{number:016}")] == list(range(90, 100))
        kept.put(f"{200:016}", Reading(b"x" * entry * 10, final=True, read_at=0))
        assert kept.get(f"{200:016}") is None
        assert kept.get(f"{99:016}") is not None, "what is too large drove out the others"

    run(fill())


def test_the_size_of_an_entry_is_what_it_costs() -> None:
    """CACHE_BYTES bounds the real memory: 50 000 readings cost what is counted for them, within a quarter."""

    async def fill() -> None:
        kept = ResultCache(1, 3600, 1 << 30)
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for number in range(50_000):
                kept.put(*_reading(number))
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert 0.75 < (after - before) / kept.bytes() < 1.25

    run(fill())


def test_guests_data_leaves_the_memory_when_its_time_is_over() -> None:
    """Nobody has to ask for it: what is older than FINAL_MAX_AGE is let go, and what is younger stays."""

    async def wait() -> None:
        async with ResultCache(1, 60, 1 << 20) as kept:
            kept.put(*_reading(1))
            await asyncio.sleep(40)
            kept.put(*_reading(2))
            await asyncio.sleep(19)
            assert kept.get(f"{1:016}")
            await asyncio.sleep(12)
            assert kept.get(f"{1:016}") is None
            assert kept.get(f"{2:016}")
            await asyncio.sleep(40)
            assert kept.bytes() == 0

    run(wait())


def test_a_slow_read_does_not_undo_a_final_answer() -> None:
    """CANCELLED and COMPLETED stay: what is not final can only be older."""

    async def undo() -> None:
        kept = ResultCache(1, 60, 1 << 20)
        kept.put(*_reading(1))
        kept.put(*_reading(1, pb.CALL_REQUEST_STATUS_PENDING_TO_CALL))
        found = kept.get(f"{1:016}")
        assert found is not None
        assert found.final

    run(undo())


class TestRefreshAhead:
    """Who polls does not wait: an answer is read again while it still serves."""

    @pytest.fixture
    async def gateway(self, vendor: ScriptedVendor) -> AsyncIterator[Gateway]:
        async with started(vendor.url, default_max_age=0.5, final_max_age=3600.0) as running:
            yield running

    async def poll(self, client: "CallRequestServiceAsyncStub", seconds: float) -> list[float]:
        """Asks every 20 ms; gives how long each call took."""
        loop, took = asyncio.get_running_loop(), []
        end = loop.time() + seconds
        while loop.time() < end:
            begun = loop.time()
            await client.GetCallRequestResult(GET)
            took.append(loop.time() - begun)
            await asyncio.sleep(0.02)
        return took

    async def test_no_poller_waits_and_the_vendor_is_asked_about_once_an_age(
        self, gateway: Gateway, client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
    ) -> None:
        """After the first, no call takes as long as the vendor does."""
        vendor.answer("result", later(0.2, send(pending())))
        first, *others = await self.poll(client, 3.0)
        assert first >= 0.2
        assert sorted(others)[-2] < 0.15  # of a hundred and more
        assert 5 <= len(vendor.requests("result")) <= 11
        assert 'result_reads_total{source="refresh"}' in await metrics_of(gateway)

    async def test_it_stops_when_the_polling_stops(
        self, client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
    ) -> None:
        """Nobody asks: nor does the gateway."""
        await self.poll(client, 1.0)
        asked = len(vendor.requests("result"))
        await asyncio.sleep(1.5)
        assert len(vendor.requests("result")) <= asked + 1

    async def test_a_refresh_that_fails_is_nobodys_failure(
        self, client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
    ) -> None:
        """The answer serves until it is too old; then a caller asks for itself, and has the failure for itself."""
        vendor.answer("result", send(pending()), send("", 403), send("", 403), send(pending()))
        await client.GetCallRequestResult(GET)
        await asyncio.sleep(0.45)
        await client.GetCallRequestResult(GET)  # begins the refresh
        await vendor.until(lambda: len(vendor.requests("result")) == 2)
        await asyncio.sleep(0.01)
        await client.GetCallRequestResult(aged(0.5))
        assert len(vendor.requests("result")) == 2, "it was tried again"
        await asyncio.sleep(0.1)
        assert (await failure(client.GetCallRequestResult(GET))).reason == "VENDOR_REJECTED_CREDENTIALS"
        await client.GetCallRequestResult(GET)
        assert len(vendor.requests("result")) == 4

    async def test_a_read_under_way_needs_no_refresh(
        self, client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
    ) -> None:
        """Another has asked already: its answer will do."""
        vendor.answer("result", send(pending()), later(0.6, send(with_status("IN_PROGRESS"))))
        await client.GetCallRequestResult(GET)
        fresh = asyncio.ensure_future(client.GetCallRequestResult(aged(0)))
        await asyncio.sleep(0.45)
        await client.GetCallRequestResult(GET)
        await fresh
        assert len(vendor.requests("result")) == 2

    async def test_a_refresh_goes_on_when_those_who_joined_it_leave(
        self, client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
    ) -> None:
        """It was begun for whoever polls next."""
        vendor.answer("result", send(pending()), later(0.4, send(with_status("IN_PROGRESS"))))
        await client.GetCallRequestResult(GET)
        await asyncio.sleep(0.45)
        await client.GetCallRequestResult(GET)
        await asyncio.sleep(0.1)
        joined = client.GetCallRequestResult(GET)
        await asyncio.sleep(0.1)
        joined.cancel()
        await asyncio.sleep(0.3)
        kept = await client.GetCallRequestResult(GET)
        assert kept.call_request_result.status == pb.CALL_REQUEST_STATUS_IN_PROGRESS
        assert len(vendor.requests("result")) == 2
        assert vendor.left == 0

    async def test_a_cancel_ends_a_refresh_that_nobody_waits_for(
        self, client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
    ) -> None:
        """Its answer would not be kept: there is nobody left whom it could serve."""
        vendor.answer("result", send(pending()), never())
        await client.GetCallRequestResult(GET)
        await asyncio.sleep(0.45)
        await client.GetCallRequestResult(GET)
        await vendor.until(lambda: len(vendor.requests("result")) == 2)
        await client.CancelCallRequest(CANCEL)
        await vendor.until(lambda: vendor.left)

    async def test_it_never_makes_an_answer_pass_that_is_too_old(
        self, client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
    ) -> None:
        """A refresh under way is waited for once the old answer's time is over."""
        vendor.answer("result", send(pending()), later(0.4, send(with_status("IN_PROGRESS"))))
        await client.GetCallRequestResult(GET)
        await asyncio.sleep(0.45)
        await client.GetCallRequestResult(GET)
        await asyncio.sleep(0.1)
        after = await client.GetCallRequestResult(GET)
        assert after.call_request_result.status == pb.CALL_REQUEST_STATUS_IN_PROGRESS
        assert len(vendor.requests("result")) == 2

    async def test_a_cancel_passes_a_refresh_under_way(
        self, client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
    ) -> None:
        """What the refresh brings is from before the cancel, and is not kept."""
        vendor.answer("result", send(pending()), later(0.3, send(pending())), send(with_status("CANCELLED")))
        await client.GetCallRequestResult(GET)
        await asyncio.sleep(0.45)
        await client.GetCallRequestResult(GET)
        await vendor.until(lambda: len(vendor.requests("result")) == 2)
        await client.CancelCallRequest(CANCEL)
        await asyncio.sleep(0.35)
        after = await client.GetCallRequestResult(aged(60))
        assert after.call_request_result.status == pb.CALL_REQUEST_STATUS_CANCELLED


class TestCeiling:
    """VENDOR_MAX_CALLS_PER_SECOND: what does not fit waits, and is refused when its time would not do."""

    async def test_calls_wait_for_their_turn(self, vendor: ScriptedVendor) -> None:
        """Twenty at once and ten a second: ten go at once, ten within the next second, none is refused."""
        async with (
            started(vendor.url, vendor_max_calls_per_second=10.0) as gateway,
            connected(gateway) as client,
        ):
            loop = asyncio.get_running_loop()
            begun = loop.time()
            calls = [asyncio.ensure_future(client.GetCallRequestResult(GET, timeout=9)) for _ in range(20)]
            await asyncio.sleep(0.5)
            assert 10 <= len(vendor.requests("result")) <= 16
            await asyncio.gather(*calls)
            assert 0.8 < loop.time() - begun < 3

    async def test_a_read_that_cannot_go_in_time_is_told_at_once(self, vendor: ScriptedVendor) -> None:
        """RESOURCE_EXHAUSTED with RetryInfo, long before the deadline; the vendor sees nothing of it."""
        async with (
            started(vendor.url, vendor_max_calls_per_second=2.0) as gateway,
            connected(gateway) as client,
        ):
            patient = [asyncio.ensure_future(client.GetCallRequestResult(GET, timeout=9)) for _ in range(8)]
            await vendor.until(lambda: len(vendor.requests("result")) >= 2)
            begun = asyncio.get_running_loop().time()
            told = await failure(client.GetCallRequestResult(GET, timeout=1))
            assert asyncio.get_running_loop().time() - begun < 0.5
            assert (told.code, told.reason) == ("RESOURCE_EXHAUSTED", "VENDOR_RATE_LIMITED")
            assert told.retry is not None
            assert told.retry > 1
            for call in patient:
                call.cancel()
            assert len(vendor.requests("result")) < 6

    async def test_a_read_whose_turn_does_not_come_is_told_before_its_deadline(self, vendor: ScriptedVendor) -> None:
        """RESOURCE_EXHAUSTED, not DEADLINE_EXCEEDED: more time is not what it lacked."""
        async with (
            started(vendor.url, vendor_max_calls_per_second=0.2) as gateway,
            connected(gateway) as client,
        ):
            await client.GetCallRequestResult(GET)
            told = await failure(client.GetCallRequestResult(GET, timeout=0.5))
            assert (told.code, told.reason) == ("RESOURCE_EXHAUSTED", "VENDOR_RATE_LIMITED")

    async def test_a_more_patient_reader_gives_the_read_more_time(self, vendor: ScriptedVendor) -> None:
        """It joins a read that waits for its turn: the turn comes too late for the first reader, not for this one."""
        async with (
            started(vendor.url, vendor_max_calls_per_second=0.5) as gateway,
            connected(gateway) as client,
        ):
            await client.GetCallRequestResult(GET)
            hasty = asyncio.ensure_future(client.GetCallRequestResult(aged(0.01), timeout=0.5))
            await asyncio.sleep(0.1)
            patient = asyncio.ensure_future(client.GetCallRequestResult(aged(0.01), timeout=9))
            assert (await failure(hasty)).reason in {"VENDOR_RATE_LIMITED", "DEADLINE_EXCEEDED"}
            assert (await patient).call_request_result.call_request_id == RESULT_ID
            assert len(vendor.requests("result")) == 2

    async def test_a_cancel_goes_before_the_reads_that_wait(self, vendor: ScriptedVendor) -> None:
        """Thirty reads wait for three seconds; a cancel waits for its own turn only."""
        async with (
            started(vendor.url, vendor_max_calls_per_second=10.0) as gateway,
            connected(gateway) as client,
        ):
            reads = [asyncio.ensure_future(client.GetCallRequestResult(GET, timeout=9)) for _ in range(40)]
            await vendor.until(lambda: len(vendor.requests("result")) >= 10)
            begun = asyncio.get_running_loop().time()
            await client.CancelCallRequest(CANCEL)
            assert asyncio.get_running_loop().time() - begun < 1
            assert len(vendor.requests("result")) < 25
            for read in reads:
                read.cancel()

    async def test_a_refresh_yields_to_it(self, vendor: ScriptedVendor) -> None:
        """Ahead of callers nothing is read that a caller would then have to wait for."""
        async with (
            started(vendor.url, vendor_max_calls_per_second=0.5, default_max_age=0.4, final_max_age=60.0) as gateway,
            connected(gateway) as client,
        ):
            await client.GetCallRequestResult(GET)
            await asyncio.sleep(0.35)
            await client.GetCallRequestResult(GET)
            assert 'result_reads_total{source="refresh"} 0.0' in await metrics_of(gateway)
            await asyncio.sleep(0.05)
            assert len(vendor.requests("result")) == 1
