"""Who polls does not wait: an answer is read again while it still serves."""

import asyncio

import pytest

from server.deadline import now
from server.observability.metrics import Metrics
from server.reading.results import Results
from testkit.scripted_vendor import RESULT_ID
from testkit.virtual_time import run
from testkit.virtual_vendor import VirtualVendor, bare, good, outcome_of, reading_from


async def poll(results: Results, seconds: float, max_age: float | None = None) -> list[float]:
    """Reads every 20 ms; how long each read took."""
    took, end = [], now() + seconds
    while now() < end:
        begun = now()
        await outcome_of(results, RESULT_ID, max_age=max_age)
        took.append(now() - begun)
        await asyncio.sleep(0.02)
    return took


@pytest.mark.parametrize(
    ("vendor_seconds", "max_age", "requests"),
    [
        pytest.param(0.05, None, (9, 14), id="a quick vendor"),
        pytest.param(0.3, None, (9, 14), id="a vendor that takes longer than the last fifth"),
        pytest.param(0.05, 5.0, (1, 4), id="a caller that allows more"),
        pytest.param(0.05, 0.3, (30, 50), id="a caller that allows less"),
    ],
)
def test_no_poller_waits_and_the_vendor_is_asked_about_once_an_age(
    vendor_seconds: float, max_age: float | None, requests: tuple[int, int]
) -> None:
    """Once the gateway knows how slow the vendor is, no read of 10 s of polling waits; requests: in this time."""

    async def polled() -> None:
        vendor, metrics = VirtualVendor(seconds=vendor_seconds), Metrics()
        async with reading_from(vendor, metrics=metrics) as results:
            await poll(results, 10, max_age)
            begun = now()
            assert max(await poll(results, 10, max_age)) < 0.001
            assert requests[0] <= vendor.asked_since(begun) <= requests[1]
        assert b'result_reads_total{source="refresh"}' in metrics.exposition()

    run(polled())


def test_it_stops_when_the_polling_stops() -> None:
    """Nobody asks: nor does the gateway."""

    async def stopped() -> None:
        vendor = VirtualVendor()
        async with reading_from(vendor) as results:
            await poll(results, 3)
            asked = len(vendor.reads)
            await asyncio.sleep(60)
            assert len(vendor.reads) <= asked + 1

    run(stopped())


def test_a_final_answer_is_not_refreshed() -> None:
    """There is nothing new to learn."""

    async def final() -> None:
        vendor = VirtualVendor(lambda asked: good(asked, "CANCELLED"))
        async with reading_from(vendor, final_max_age=5.0) as results:
            await poll(results, 4.9)
        assert len(vendor.reads) == 1

    run(final())


def test_a_refresh_that_fails_is_nobodys_failure() -> None:
    """The answer serves until it is too old; then a caller asks for itself, and has the failure for itself."""

    async def failing() -> None:
        vendor = VirtualVendor()
        async with reading_from(vendor) as results:
            await outcome_of(results, RESULT_ID)
            vendor.rule = lambda _: bare(403)
            await asyncio.sleep(0.85)
            assert await outcome_of(results, RESULT_ID) == "PENDING_TO_CALL"  # begins the refresh
            await asyncio.sleep(0.1)
            assert await outcome_of(results, RESULT_ID) == "PENDING_TO_CALL"
            assert vendor.asked(RESULT_ID) == 2, "it was tried again"
            await asyncio.sleep(0.1)
            assert await outcome_of(results, RESULT_ID) == "VENDOR_REJECTED_CREDENTIALS"
            vendor.rule = good
            assert await outcome_of(results, RESULT_ID) == "PENDING_TO_CALL"
        assert vendor.asked(RESULT_ID) == 4

    run(failing())


async def _refreshing(results: Results, vendor: VirtualVendor, then: str, seconds: float) -> None:
    """Reads, and then again late enough for a refresh to begin, which takes so long and finds that status."""
    assert await outcome_of(results, RESULT_ID) == "PENDING_TO_CALL"
    vendor.rule, vendor.seconds = (lambda asked: good(asked, then)), seconds
    await asyncio.sleep(0.85)
    assert await outcome_of(results, RESULT_ID) == "PENDING_TO_CALL"
    await asyncio.sleep(0.01)
    assert vendor.asked(RESULT_ID) == 2


def test_a_read_under_way_needs_no_refresh() -> None:
    """Another has asked already: its answer will do."""

    async def fresh() -> None:
        vendor = VirtualVendor()
        async with reading_from(vendor) as results:
            await outcome_of(results, RESULT_ID)
            vendor.seconds = 1.0
            reading = asyncio.create_task(outcome_of(results, RESULT_ID, max_age=0))
            await asyncio.sleep(0.85)
            await outcome_of(results, RESULT_ID)
            await reading
        assert vendor.asked(RESULT_ID) == 2

    run(fresh())


def test_a_refresh_goes_on_when_those_who_joined_it_leave() -> None:
    """It was begun for whoever polls next."""

    async def joined() -> None:
        vendor = VirtualVendor()
        async with reading_from(vendor) as results:
            await _refreshing(results, vendor, "IN_PROGRESS", 0.5)
            await asyncio.sleep(0.2)
            joining = asyncio.create_task(outcome_of(results, RESULT_ID))
            await asyncio.sleep(0.1)
            joining.cancel()
            await asyncio.sleep(0.3)
            assert await outcome_of(results, RESULT_ID) == "IN_PROGRESS"
        assert (vendor.asked(RESULT_ID), vendor.left) == (2, 0)

    run(joined())


def test_it_never_makes_an_answer_pass_that_is_too_old() -> None:
    """A refresh under way is waited for once the old answer's time is over."""

    async def waited() -> None:
        vendor = VirtualVendor()
        async with reading_from(vendor) as results:
            await _refreshing(results, vendor, "IN_PROGRESS", 0.5)
            await asyncio.sleep(0.2)
            begun = now()
            assert await outcome_of(results, RESULT_ID) == "IN_PROGRESS"
            assert now() - begun > 0.2
        assert vendor.asked(RESULT_ID) == 2

    run(waited())


def test_a_cancel_ends_a_refresh_that_nobody_waits_for() -> None:
    """Its answer would not be kept: there is nobody left whom it could serve."""

    async def cancelled() -> None:
        vendor = VirtualVendor()
        async with reading_from(vendor) as results:
            await _refreshing(results, vendor, "IN_PROGRESS", 0.5)
            results.invalidate(RESULT_ID)
            await asyncio.sleep(0.01)
            assert vendor.left == 1

    run(cancelled())


def test_a_cancel_passes_a_refresh_that_others_wait_for() -> None:
    """What it brings is from before the cancel: not kept, and not theirs once a final result is known."""

    async def passed() -> None:
        vendor = VirtualVendor()
        async with reading_from(vendor) as results:
            await _refreshing(results, vendor, "IN_PROGRESS", 0.5)
            await asyncio.sleep(0.2)
            joined = asyncio.create_task(outcome_of(results, RESULT_ID))
            await asyncio.sleep(0.01)
            results.invalidate(RESULT_ID)
            vendor.rule, vendor.seconds = (lambda asked: good(asked, "CANCELLED")), 0.05
            assert await outcome_of(results, RESULT_ID) == "CANCELLED"
            assert await joined == "CANCELLED"
            assert await outcome_of(results, RESULT_ID, max_age=60) == "CANCELLED"

    run(passed())


def test_it_yields_to_the_rate_limit() -> None:
    """Ahead of callers nothing is read that a caller would then have to wait for."""

    async def limited() -> bytes:
        vendor, metrics = VirtualVendor(), Metrics()
        async with reading_from(vendor, max_per_second=0.5, metrics=metrics) as results:
            await outcome_of(results, RESULT_ID)
            await asyncio.sleep(0.9)
            await outcome_of(results, RESULT_ID)
            await asyncio.sleep(0.05)
            assert len(vendor.reads) == 1
        return metrics.exposition()

    assert b'source="refresh"' not in run(limited())
