"""The cache of results: how old an answer may be, and what it costs."""

import asyncio
import time
import tracemalloc

import pytest

from callrequest.v1 import call_request_pb2 as pb
from server.deadline import Deadline
from server.reading.recent_ids import RecentIds
from server.reading.result_cache import ENTRY_BYTES, Reading, ResultCache
from testkit.scripted_vendor import RESULT_ID
from testkit.virtual_time import run
from testkit.virtual_vendor import VirtualVendor, good, ids, outcome_of, reading_from

FINAL = {"result": {"callStatus": "SUCCESS"}}


def _reading(number: int, status: int = pb.CALL_REQUEST_STATUS_CANCELLED) -> tuple[str, Reading]:
    call_request_id = f"{number:016}"
    result = pb.CallRequestResult(call_request_id=call_request_id, status=pb.CallRequestStatus.ValueType(status))
    return call_request_id, Reading.of(result)


@pytest.mark.parametrize(
    ("max_age", "status", "seconds"),
    [
        pytest.param(None, "PENDING_TO_CALL", 1.0, id="default"),
        pytest.param(None, "IN_PROGRESS", 1.0, id="in progress"),
        pytest.param(None, "COMPLETED", 1.0, id="completed without its outcome: it may still come"),
        pytest.param(None, "CANCELLED", 60.0, id="final: its truth cannot change"),
        pytest.param(5.0, "PENDING_TO_CALL", 5.0, id="a caller that allows more"),
        pytest.param(0.2, "PENDING_TO_CALL", 0.2, id="a caller that allows less"),
        pytest.param(0.2, "CANCELLED", 0.2, id="a caller that allows less, of a final one"),
        pytest.param(1e9, "PENDING_TO_CALL", 60.0, id="more than FINAL_MAX_AGE means that"),
        pytest.param(61.0, "CANCELLED", 60.0, id="more than FINAL_MAX_AGE means that, of a final one"),
    ],
)
def test_an_answer_is_given_again_while_it_is_young_enough(max_age: float | None, status: str, seconds: float) -> None:
    """Until its age is reached the same answer, without the vendor; then a new one."""

    async def aged() -> None:
        vendor = VirtualVendor(lambda asked: good(asked, status), seconds=0)
        async with reading_from(vendor, final_max_age=60.0) as results:
            first = await results.read(RESULT_ID, max_age, Deadline.after(5))
            await asyncio.sleep(seconds * 0.75)
            assert await results.read(RESULT_ID, max_age, Deadline.after(5)) is first
            assert vendor.asked(RESULT_ID) == 1
            await asyncio.sleep(seconds * 0.25 + 1e-9)
            assert await results.read(RESULT_ID, max_age, Deadline.after(5)) is not first
            assert vendor.asked(RESULT_ID) == 2

    run(aged())


def test_completed_with_its_outcome_is_final() -> None:
    """COMPLETED alone is not: an outcome may still come."""

    async def completed() -> None:
        vendor = VirtualVendor(lambda asked: good(asked, "COMPLETED"))
        async with reading_from(vendor) as results:
            assert not (await results.read(RESULT_ID, None, Deadline.after(5))).final
            await asyncio.sleep(1.1)
            vendor.rule = lambda asked: good(asked, "COMPLETED", **FINAL)
            assert (await results.read(RESULT_ID, None, Deadline.after(5))).final
            await asyncio.sleep(3000)
            await outcome_of(results, RESULT_ID)
        assert vendor.asked(RESULT_ID) == 2

    run(completed())


@pytest.mark.parametrize("final_max_age", [0.0, 0.5])
def test_nothing_is_older_than_final_max_age(final_max_age: float) -> None:
    """A default that is longer does not lengthen it; 0: nothing is kept at all."""

    async def oldest() -> int:
        vendor = VirtualVendor(lambda asked: good(asked, "CANCELLED"))
        async with reading_from(vendor, default_max_age=5.0, final_max_age=final_max_age) as results:
            for _ in range(10):
                await outcome_of(results, RESULT_ID)
                await asyncio.sleep(0.2)
        return vendor.asked(RESULT_ID)

    assert run(oldest()) == (4 if final_max_age else 10)


def test_what_is_kept_is_bounded_in_bytes() -> None:
    """Beyond the bound the oldest make room; what is too large alone is not kept."""

    async def fill() -> None:
        entry = ENTRY_BYTES + len(_reading(0)[1].answer)
        cache = ResultCache(1, 3600, entry * 10)
        for number in range(100):
            assert cache.put(*_reading(number))
        assert [number for number in range(100) if cache.get(f"{number:016}")] == list(range(90, 100))
        assert cache.put(f"{200:016}", Reading(b"x" * entry * 10, final=True, read_at=0))
        assert cache.get(f"{200:016}") is None
        assert cache.get(f"{99:016}") is not None, "what is too large drove out the others"

    run(fill())


def test_the_size_of_an_entry_is_what_it_costs() -> None:
    """CACHE_BYTES bounds the real memory: 10 000 readings cost what is counted for them, within a quarter."""

    async def fill() -> None:
        cache = ResultCache(1, 3600, 1 << 30)
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for number in range(10_000):
                cache.put(*_reading(number))
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert 0.75 < (after - before) / cache.bytes() < 1.25

    run(fill())


def test_to_remove_a_hundred_thousand_costs_no_more_than_to_store_them() -> None:
    """Their time ends at once after a burst of reads: as a ratio of CPU, far below what blocks the event loop."""

    async def burst() -> float:
        readings = [_reading(number) for number in range(100_000)]
        async with ResultCache(1, 60, 1 << 30) as cache:
            begun = time.thread_time()
            for each in readings:
                cache.put(*each)
            stored = time.thread_time()
            await asyncio.sleep(200)
            assert len(cache) == 0
            return (time.thread_time() - stored) / (stored - begun)

    assert min(run(burst()) for _ in range(3)) < 3


def test_guests_data_leaves_the_memory_when_its_time_is_over() -> None:
    """Nobody has to ask for it: what is older than FINAL_MAX_AGE is removed, and what is younger stays."""

    async def wait() -> None:
        async with ResultCache(1, 60, 1 << 20) as cache:
            cache.put(*_reading(1))
            await asyncio.sleep(40)
            cache.put(*_reading(2))
            await asyncio.sleep(19)
            assert cache.get(f"{1:016}")
            await asyncio.sleep(12)
            assert cache.get(f"{1:016}") is None
            assert cache.get(f"{2:016}")
            await asyncio.sleep(40)
            assert cache.bytes() == 0

    run(wait())


def test_a_slow_read_does_not_undo_a_final_answer() -> None:
    """CANCELLED and COMPLETED stay: what is not final can only be older."""

    async def undo() -> None:
        cache = ResultCache(1, 60, 1 << 20)
        assert cache.put(*_reading(1))
        assert not cache.put(*_reading(1, pb.CALL_REQUEST_STATUS_PENDING_TO_CALL))
        found = cache.get(f"{1:016}")
        assert found is not None
        assert found.final

    run(undo())


def test_recent_ids_are_bounded_in_time_and_in_number() -> None:
    """An id that is put again begins anew; the first one makes room."""

    async def fill() -> None:
        recent = RecentIds[int](10, max_ids=3)
        for number, each in enumerate(ids("id", 3)):
            recent.put(each, number)
            await asyncio.sleep(1)
        first, second, third = ids("id", 3)
        recent.put(first, 7)
        recent.put("new0000000000000", 9)
        assert [recent.get(each) for each in (first, second, third)] == [7, None, 2]
        assert len(recent) == 3
        await asyncio.sleep(9.5)
        assert (recent.get(third), recent.get(first), len(recent)) == (None, 7, 2)
        recent.pop(first)
        assert (recent.get(first), len(recent)) == (None, 1)

    run(fill())
