"""Retry-After: reads fail at once until it is over, then one goes first, and a good answer ends it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import httpx
import pytest

from server.deadline import now
from server.observability.metrics import Metrics
from server.reading.results import Results
from testkit.virtual_time import run
from testkit.virtual_vendor import (
    Answer,
    VirtualVendor,
    bare,
    error_body,
    failure_of,
    good,
    ids,
    outcome_of,
    reading_from,
)

A, B, C = "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "cccccccccccccccc"
REASONS = {429: "VENDOR_RATE_LIMITED", 503: "VENDOR_UNAVAILABLE"}

each_status = pytest.mark.parametrize("status", REASONS)


def asks_to_wait(status: int, retry_after: object, *busy: str) -> VirtualVendor:
    """A vendor that answers these ids, all without any, with a Retry-After."""
    return VirtualVendor(lambda asked: bare(status, retry_after) if not busy or asked in busy else good(asked))


async def waits_of(results: Results, *call_request_ids: str, seconds: float = 10.0) -> list[float | None]:
    """Reads ids one after the other; RetryInfo's seconds of each failure, None for an answer."""
    failures = [await failure_of(results, each, seconds=seconds) for each in call_request_ids]
    return [None if failure is None else round(failure.retry_after, 1) for failure in failures]


@each_status
def test_it_holds_for_its_id_from_the_first_reply_on(status: int) -> None:
    """Reads of the id fail at once with what is left of it, with max_age 0 too; other ids are read."""

    async def first() -> None:
        vendor = asks_to_wait(status, 30, A)
        async with reading_from(vendor) as results:
            assert await waits_of(results, A) == [30.0]
            await asyncio.sleep(10)
            begun = now()
            failure = await failure_of(results, A, max_age=0)
            assert failure is not None
            assert (failure.reason_name, round(failure.retry_after)) == (REASONS[status], 20)
            assert now() - begun < 0.01
            assert await waits_of(results, B, C) == [None, None]
            assert vendor.asked(A) == 1

    run(first())


@each_status
def test_it_holds_for_all_from_the_second_in_a_row_on(status: int) -> None:
    """No read reaches the vendor until it is over: all fail at once."""

    async def second() -> None:
        vendor = asks_to_wait(status, 30)
        async with reading_from(vendor) as results:
            assert await waits_of(results, A, B) == [30.0, 30.0]
            begun = now()
            for each in ids("each", 200):
                failure = await failure_of(results, each)
                assert failure is not None
                assert failure.reason_name == REASONS[status]
                assert 10 < failure.retry_after <= 30
                await asyncio.sleep(0.09)
            assert vendor.asked_since(begun) == 0

    run(second())


def test_a_good_answer_in_between_is_not_in_a_row() -> None:
    """What the vendor knows, it knows: NOT_FOUND and the like are good answers too; a failure is none."""

    async def between(answer: Answer) -> bool:
        vendor = VirtualVendor(lambda asked: answer if asked == B else bare(429, 30))
        async with reading_from(vendor) as results:
            await waits_of(results, A, B, C)
            return await outcome_of(results, B, max_age=0) != "VENDOR_RATE_LIMITED"

    assert run(between(good(B)))
    assert run(between(error_body("NOT_FOUND")))
    assert not run(between(bare(500)))
    assert not run(between(httpx.ReadError("sent")))


@each_status
def test_at_its_end_at_most_one_request_is_sent(status: int) -> None:
    """Retry-After 5 for ever, 50 reads a second: two requests at first, one each time it is over."""

    async def again_and_again() -> list[float]:
        vendor = asks_to_wait(status, 5)
        async with reading_from(vendor) as results:
            await waits_of(results, A, B)
            begun, reads = now(), []
            for number in range(50 * 21):
                reads.append(asyncio.create_task(outcome_of(results, f"{number:016}", seconds=3)))
                await asyncio.sleep(0.02)
            assert set(await asyncio.gather(*reads)) == {REASONS[status]}
            return [at - begun for at, _ in vendor.reads if at >= begun]

    probes = run(again_and_again())
    assert len(probes) == 4
    assert all(later - earlier >= 5 for earlier, later in pairwise(probes))


@each_status
def test_one_read_goes_first_and_a_good_answer_ends_it(status: int) -> None:
    """Reads that come while the probe is under way wait for it, and are then read."""

    async def recovered() -> None:
        vendor = asks_to_wait(status, 5)
        vendor.seconds = 0.5
        async with reading_from(vendor) as results:
            await asyncio.gather(waits_of(results, A, seconds=2), waits_of(results, B, seconds=2))
            vendor.rule = good
            await asyncio.sleep(4.9)
            assert await outcome_of(results, C) == REASONS[status]
            await asyncio.sleep(0.2)
            begun = now()
            reads = [asyncio.create_task(outcome_of(results, each)) for each in ids("each", 20)]
            await asyncio.sleep(0.4)
            assert vendor.asked_since(begun) == 1
            assert set(await asyncio.gather(*reads)) == {"PENDING_TO_CALL"}
            assert vendor.asked_since(begun) == 20
            assert now() - begun < 1.2

    run(recovered())


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda: bare(503), id="503 without Retry-After"),
        pytest.param(lambda: bare(429), id="429 without Retry-After"),
        pytest.param(lambda: bare(500), id="500"),
        pytest.param(lambda: httpx.ReadError("sent"), id="disconnects"),
        pytest.param(lambda: httpx.ConnectError("not sent"), id="no connection"),
        pytest.param(lambda: None, id="no answer"),
    ],
)
def test_a_probe_that_fails_in_another_way_is_followed_by_another_a_second_later(answer: Callable[[], Answer]) -> None:
    """One request at a time until a good answer; the id whose probe failed is not the next to probe."""

    async def failing() -> None:
        vendor = asks_to_wait(429, 5)
        async with reading_from(vendor, vendor_timeout=0.4) as results:
            await waits_of(results, A, B, seconds=2)
            vendor.rule = lambda asked: answer() if asked == C else good(asked)
            await asyncio.sleep(5.1)
            assert await outcome_of(results, C, seconds=1) != "PENDING_TO_CALL"
            begun = now()
            assert await outcome_of(results, A, seconds=1) == "VENDOR_RATE_LIMITED"
            await asyncio.sleep(1.1)
            first, second = await asyncio.gather(outcome_of(results, C, seconds=1), outcome_of(results, A, seconds=1))
            assert (first, second) == ("VENDOR_RATE_LIMITED", "PENDING_TO_CALL")
            assert vendor.asked_since(begun) == 1
            assert {await outcome_of(results, each) for each in ids("each", 5)} == {"PENDING_TO_CALL"}

    run(failing())


def test_a_probe_whose_caller_leaves_is_followed_by_the_next() -> None:
    """Nobody waits for a probe that nobody waits for."""

    async def left() -> None:
        vendor = asks_to_wait(429, 5)
        async with reading_from(vendor) as results:
            await waits_of(results, A, B, seconds=2)
            vendor.rule = lambda asked: None if asked == C else good(asked)
            await asyncio.sleep(5.1)
            probe = asyncio.create_task(outcome_of(results, C))
            await asyncio.sleep(0.1)
            waiting = asyncio.create_task(outcome_of(results, A))
            await asyncio.sleep(0.1)
            assert not waiting.done()
            probe.cancel()
            assert await waiting == "PENDING_TO_CALL"

    run(left())


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        pytest.param(120, 60, id="longer than a minute"),
        pytest.param("9" * 30, 60, id="thirty digits"),
        pytest.param(format_datetime(datetime.now(UTC) + timedelta(days=30000), usegmt=True), 60, id="a date"),
        pytest.param(0, 0.1, id="0"),
        pytest.param("Mon, 01 Jan 2024 00:00:00 GMT", 0.1, id="a date that is over"),
        pytest.param(7, 7, id="7"),
    ],
)
def test_it_holds_for_a_minute_at_most(retry_after: object, seconds: float) -> None:
    """Whatever the vendor asks for."""

    async def bounded() -> None:
        vendor = asks_to_wait(429, retry_after)
        async with reading_from(vendor) as results:
            await waits_of(results, A, B, seconds=0.15)
            vendor.rule = good
            asked = len(vendor.reads)
            await asyncio.sleep(seconds * 0.9 - 0.02)
            assert await outcome_of(results, C, seconds=0.15) == "VENDOR_RATE_LIMITED"
            assert len(vendor.reads) == asked
            await asyncio.sleep(seconds * 0.1 + 0.1)
            assert await outcome_of(results, C) == "PENDING_TO_CALL"

    run(bounded())


@pytest.mark.parametrize("retry_after", [None, "soon", "-5", "1e3"])
def test_without_a_readable_one_nothing_is_held(retry_after: str | None) -> None:
    """Such an answer is a failure like others."""

    async def nothing() -> None:
        vendor = asks_to_wait(503, retry_after, A, B)
        async with reading_from(vendor) as results:
            await waits_of(results, A, B)
            assert await outcome_of(results, C) == "PENDING_TO_CALL"
            asked = vendor.asked(A)
            await outcome_of(results, A)
            assert vendor.asked(A) > asked

    run(nothing())


def test_cached_answers_and_known_failures_are_given_while_it_holds() -> None:
    """Only what would need the vendor fails."""

    async def known() -> None:
        vendor = VirtualVendor(lambda asked: error_body("NOT_FOUND") if asked == A else good(asked))
        async with reading_from(vendor) as results:
            assert [await outcome_of(results, each) for each in (A, B)] == ["CALL_REQUEST_NOT_FOUND", "PENDING_TO_CALL"]
            vendor.rule = lambda _: bare(429, 30)
            await waits_of(results, *ids("each", 2))
            assert [await outcome_of(results, each) for each in (A, B)] == ["CALL_REQUEST_NOT_FOUND", "PENDING_TO_CALL"]
            assert await outcome_of(results, B, max_age=0) == "VENDOR_RATE_LIMITED"

    run(known())


def test_an_answer_that_was_under_way_does_not_end_it() -> None:
    """A slow read that began before the vendor asked to wait says nothing of after."""

    async def slow() -> None:
        vendor = VirtualVendor(seconds=1.0)
        async with reading_from(vendor) as results:
            older = asyncio.create_task(outcome_of(results, A))
            await asyncio.sleep(0.1)
            vendor.rule, vendor.seconds = (lambda _: bare(429, 30)), 0.05
            await waits_of(results, B, C)
            assert await older == "PENDING_TO_CALL"
            assert await outcome_of(results, "d" * 16) == "VENDOR_RATE_LIMITED"
            assert len(vendor.reads) == 3

    run(slow())


@each_status
def test_a_retry_waits_for_it_when_it_fits_into_half_of_the_time_left(status: int) -> None:
    """Five reads at once that are asked to wait for 2 s, of 10: all are answered after it, by one request each."""

    async def waited() -> None:
        vendor = asks_to_wait(status, 2)
        async with reading_from(vendor) as results:
            begun = now()
            reads = [asyncio.create_task(outcome_of(results, each)) for each in ids("each", 5)]
            await asyncio.sleep(0.2)
            vendor.rule = good
            assert set(await asyncio.gather(*reads)) == {"PENDING_TO_CALL"}
            assert 2.0 < now() - begun < 2.5
            assert len(vendor.reads) == 10

    run(waited())


@each_status
def test_a_retry_does_not_wait_for_one_that_does_not_fit(status: int) -> None:
    """The failure comes at once, and says how long to wait."""

    async def too_long() -> None:
        vendor = asks_to_wait(status, 2)
        async with reading_from(vendor) as results:
            begun = now()
            assert await waits_of(results, A, seconds=3.9) == [2.0]
            assert now() - begun < 0.1
            assert len(vendor.reads) == 1

    run(too_long())


def test_one_id_that_is_always_asked_to_wait_does_not_hold_the_others_for_ever() -> None:
    """It is polled ten times a second, another once a second: of that one's reads almost all are answered."""

    async def polled() -> list[str]:
        vendor = asks_to_wait(429, 5, A)
        async with reading_from(vendor) as results:
            await outcome_of(results, A, seconds=1)
            await asyncio.sleep(6)
            await outcome_of(results, A, seconds=1)  # a second in a row: all are held
            others = []
            for number in range(600):
                reads = [outcome_of(results, A, seconds=1)]
                if number % 10 == 5:
                    reads.append(outcome_of(results, B, seconds=1))
                others += (await asyncio.gather(*reads))[1:]
                await asyncio.sleep(0.1)
            return others

    assert run(polled()).count("PENDING_TO_CALL") >= 54


def test_held_reads_are_counted() -> None:
    """result_reads_total has them as a source of their own."""

    async def count() -> bytes:
        metrics = Metrics()
        async with reading_from(asks_to_wait(429, 30), metrics=metrics) as results:
            await waits_of(results, A, B, C, C)
        return metrics.exposition()

    assert b'result_reads_total{source="held"} 2.0' in run(count())
