"""A vendor that is down is left alone, and found again soon; one that answers is never throttled."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import pytest

from callrequest.v1 import error_reason_pb2 as reasons
from server.deadline import now
from server.errors import CATALOGUE, GatewayError, Reason, VendorState
from server.observability.metrics import Metrics
from server.reading.results import Results
from server.reading.throttle import GOOD_IN_A_ROW, HALF_LIFE, UNCOUNTED_TRIES, Throttle
from testkit.virtual_time import run
from testkit.virtual_vendor import Answer, VirtualVendor, bare, error_body, good, ids, outcome_of, reading_from

UNAVAILABLE = reasons.ERROR_REASON_VENDOR_UNAVAILABLE
FAILED = reasons.ERROR_REASON_VENDOR_FAILED


class Watched:
    """A throttle, and how many of the reads that it is asked for go through."""

    def __init__(self) -> None:
        self.throttle = Throttle()
        self._number = 0

    async def reads(self, seconds: float, reason: Reason | None, per_second: int = 100) -> float:
        """Reads ids that nobody has read before; the share of reads that went through."""
        let_through, number = 0, round(seconds * per_second)
        for _ in range(number):
            self._number += 1
            let_through += self.read(f"{self._number:016}", reason)
            await asyncio.sleep(1 / per_second)
        return let_through / number

    def read(self, call_request_id: str, reason: Reason | None) -> bool:
        try:
            self.throttle.admit()
        except GatewayError:
            return False
        self.throttle.answered(call_request_id, None if reason is None else GatewayError(reason))
        return True


def test_few_reads_reach_a_vendor_that_is_down_and_all_do_two_seconds_after_its_return() -> None:
    """At 100 reads a second."""

    async def weather() -> tuple[float, float]:
        watched = Watched()
        await watched.reads(10, None)
        await watched.reads(5, UNAVAILABLE)
        outage = await watched.reads(30, UNAVAILABLE)
        await watched.reads(2, None)
        return outage, await watched.reads(5, None)

    for outage, after in (run(weather()) for _ in range(4)):  # so that no luck of the dice passes for a rule
        assert 0.005 < outage < 0.04
        assert after == 1


def test_a_vendor_that_fails_less_than_half_the_time_is_not_throttled() -> None:
    """K = 2: two in five failing leave every read its chance."""

    async def mixed() -> None:
        watched = Watched()
        for number in range(5000):
            assert watched.read(f"{number:016}", UNAVAILABLE if number % 5 in {0, 2} else None)
            await asyncio.sleep(0.01)

    run(mixed())


def test_a_few_failures_are_no_outage() -> None:
    """A quiet gateway does not refuse a read because the ten before it failed."""

    async def few() -> None:
        watched = Watched()
        for number in range(int(UNCOUNTED_TRIES) + 1):
            assert watched.read(f"{number:016}", UNAVAILABLE)

    run(few())


def test_an_outage_is_forgotten_when_nobody_reads() -> None:
    """After a quiet hour a burst is read as if there had been no outage."""

    async def quiet() -> None:
        watched = Watched()
        await watched.reads(10, UNAVAILABLE)
        assert watched.throttle.is_active()
        await asyncio.sleep(3600)
        assert not watched.throttle.is_active()
        assert all(watched.read(each, UNAVAILABLE) for each in ids("burst", int(UNCOUNTED_TRIES)))

    run(quiet())


def test_three_good_answers_in_a_row_clear_the_record() -> None:
    """Two and a failure do not."""

    async def cleared() -> None:
        watched = Watched()
        throttle = watched.throttle
        for each in ids("bad", 100):
            throttle.answered(each, GatewayError(UNAVAILABLE))
        for each in ids("good", GOOD_IN_A_ROW - 1):
            throttle.answered(each, None)
        throttle.answered("bad0000000000999", GatewayError(UNAVAILABLE))
        assert throttle.is_active()
        for each in ids("other", GOOD_IN_A_ROW):
            assert throttle.is_active()
            throttle.answered(each, None)
        assert not throttle.is_active()

    run(cleared())


@pytest.mark.parametrize("reason", [pytest.param(reason, id=GatewayError(reason).reason_name) for reason in CATALOGUE])
def test_every_reason_counts_as_the_catalogue_has_it(reason: Reason) -> None:
    """DOWN counts for each id, DOUBTFUL too; what was answered or not seen never throttles."""

    async def throttled() -> bool:
        watched = Watched()
        await watched.reads(5, reason)
        return watched.throttle.is_active()

    assert run(throttled()) == (CATALOGUE[reason].vendor in (VendorState.DOWN, VendorState.DOUBTFUL))


def test_a_500_counts_once_an_id_and_half_life() -> None:
    """An id that is polled and fails is no outage, whether or not others are read; many ids that fail are one."""

    async def polled() -> None:
        watched = Watched()
        for _ in range(round(60 * HALF_LIFE)):
            assert watched.read("bad0000000000000", FAILED)
            await asyncio.sleep(0.1)
        assert not watched.throttle.is_active()
        await watched.reads(5, FAILED)
        assert watched.throttle.is_active()

    run(polled())


@dataclass(frozen=True)
class Outage:
    """How the vendor fails for every id."""

    answer: Callable[[], Answer]
    reasons: frozenset[str] = frozenset({"VENDOR_UNAVAILABLE"})


OUTAGES = {
    "502": Outage(lambda: bare(502)),
    "503": Outage(lambda: bare(503)),
    "504": Outage(lambda: bare(504)),
    "520 of a CDN": Outage(lambda: bare(520)),
    "disconnects": Outage(lambda: httpx.ReadError("sent")),
    "no connection": Outage(lambda: httpx.ConnectError("not sent")),
    "no connection free": Outage(lambda: httpx.ConnectTimeout("not sent")),
    "429": Outage(lambda: bare(429), frozenset({"VENDOR_RATE_LIMITED"})),
    "times out": Outage(lambda: None, frozenset({"VENDOR_UNAVAILABLE", "VENDOR_TIMEOUT"})),
    "500": Outage(lambda: bare(500), frozenset({"VENDOR_FAILED", "VENDOR_UNAVAILABLE"})),
    "pages": Outage(
        lambda: httpx.Response(200, text="<html>"), frozenset({"VENDOR_MALFORMED_RESPONSE", "VENDOR_UNAVAILABLE"})
    ),
}


async def at_rate(results: Results, names: list[str], per_second: float, seconds: float) -> list[str]:
    """Reads the ids in turn at a rate, whatever becomes of the reads before; the outcomes."""
    reads = []
    for number in range(round(per_second * seconds)):
        reads.append(asyncio.create_task(outcome_of(results, names[number % len(names)], seconds=3)))
        await asyncio.sleep(1 / per_second)
    return await asyncio.gather(*reads)


@pytest.mark.parametrize("outage", [pytest.param(outage, id=name) for name, outage in OUTAGES.items()])
@pytest.mark.parametrize(("number", "per_second"), [(1200, 30), (10, 100)], ids=["each once", "ten polled"])
def test_an_outage_costs_the_vendor_no_more_than_before(outage: Outage, number: int, per_second: float) -> None:
    """Requests in 10 s of it ≤ 1.1 × those in 10 s before, and after its end all succeed within 2 s."""

    async def weather() -> None:
        vendor, names = VirtualVendor(), ids("each", number)
        async with reading_from(vendor, vendor_timeout=0.8) as results:
            begun = now()
            before = set(await at_rate(results, names, per_second, 10))
            usual, begun = vendor.asked_since(begun), now()
            vendor.rule = lambda _: outage.answer()
            during = set(await at_rate(results, names, per_second, 10))
            asked = vendor.asked_since(begun)
            vendor.rule = good
            await at_rate(results, names, per_second, 2)
            after = set(await at_rate(results, names, per_second, 2))
        assert before == after == {"PENDING_TO_CALL"}
        assert during & outage.reasons
        assert during <= outage.reasons | {"PENDING_TO_CALL"}
        assert asked <= 1.1 * usual

    run(weather())


def test_a_vendor_that_swallows_requests_is_throttled_and_seen() -> None:
    """Callers give up after 3 s, before any attempt times out: it is an outage, in the metrics as `unanswered`."""

    async def swallowed() -> tuple[float, bytes]:
        vendor, metrics, names = VirtualVendor(), Metrics(), ids("each", 2000)
        async with reading_from(vendor, metrics=metrics) as results:
            await at_rate(results, ids("warm", 20), 20, 1)
            vendor.rule = lambda _: None
            begun = now()
            outcomes = set(await at_rate(results, names, 50, 30))
            asked = vendor.asked_since(begun)
            assert outcomes == {"DEADLINE_EXCEEDED", "VENDOR_UNAVAILABLE"}
            vendor.rule = good
            await at_rate(results, names, 50, 2)
            assert set(await at_rate(results, names, 50, 5)) == {"PENDING_TO_CALL"}
        return asked / 1500, metrics.exposition()

    share, exposition = run(swallowed())
    assert share < 0.2
    assert b'vendor_request_seconds_count{operation="result",outcome="unanswered"}' in exposition
    assert b'result_reads_total{source="throttled"}' in exposition


def test_callers_in_a_hurry_do_not_count_against_the_vendor() -> None:
    """Who leaves within a second has not waited long enough to know."""

    async def hasty() -> bytes:
        vendor, metrics, names = VirtualVendor(seconds=0.9), Metrics(), ids("each", 1000)
        async with reading_from(vendor, metrics=metrics) as results:
            assert {await outcome_of(results, each, seconds=0.5) for each in names[:300]} == {"DEADLINE_EXCEEDED"}
            assert await outcome_of(results, names[999]) == "PENDING_TO_CALL"
        return metrics.exposition()

    exposition = run(hasty())
    assert b'outcome="abandoned"} 300.0' in exposition
    assert b'source="throttled"' not in exposition


def test_waiting_for_our_own_rate_limit_says_nothing_of_the_vendor() -> None:
    """Reads that wait for their turn, or are refused since it comes too late, throttle nothing."""

    async def limited() -> bytes:
        vendor, metrics, names = VirtualVendor(), Metrics(), ids("each", 400)
        async with reading_from(vendor, metrics=metrics, max_per_second=5) as results:
            outcomes = await at_rate(results, names, 20, 10)
            assert set(outcomes) == {"PENDING_TO_CALL", "VENDOR_RATE_LIMITED"}
            assert outcomes.count("PENDING_TO_CALL") > 45
        return metrics.exposition()

    assert b'source="throttled"' not in run(limited())


def test_cached_answers_count_as_nothing() -> None:
    """However many callers a cached answer serves, the vendor's failures for others are an outage."""

    async def cached() -> None:
        vendor = VirtualVendor(lambda asked: good(asked) if asked.startswith("final") else bare(503))
        vendor.rule = lambda asked: good(asked, "CANCELLED") if asked.startswith("final") else bare(503)
        async with reading_from(vendor) as results:
            (final,) = ids("final", 1)
            reads = ids("each", 1000)
            begun = now()
            for each in reads:
                await asyncio.gather(*(outcome_of(results, final) for _ in range(5)), outcome_of(results, each))
            assert vendor.asked_since(begun) < 300

    run(cached())


def test_an_error_body_is_an_answer() -> None:
    """A vendor that knows none of the ids is up."""

    async def unknown() -> None:
        vendor = VirtualVendor(lambda _: error_body("NOT_FOUND"))
        async with reading_from(vendor) as results:
            for each in ids("each", 200):
                assert await outcome_of(results, each) == "CALL_REQUEST_NOT_FOUND"
        assert len(vendor.reads) == 200

    run(unknown())
