"""A failure that is about one call request is known like an answer, and is nobody else's failure."""

import asyncio
import math
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import pytest

from callrequest.v1 import error_reason_pb2 as reasons
from server.errors import GatewayError
from server.observability.metrics import Metrics
from server.reading.known_failures import KnownFailures
from server.reading.recent_ids import MAX_IDS
from server.reading.results import Results
from testkit.scripted_vendor import RESULT_ID
from testkit.virtual_time import run
from testkit.virtual_vendor import Answer, VirtualVendor, bare, error_body, good, ids, outcome_of, reading_from

BAD = RESULT_ID


@dataclass(frozen=True)
class Failing:
    """How the vendor answers the bad id, and the reason that its callers get.

    tries: of a read whose failure is not known. requests: at most, for one try.
    """

    answer: Callable[[], Answer]
    reason: str
    tries: int = 1
    requests: int = 1


ABOUT_THE_ID = {
    "NOT_FOUND": Failing(lambda: error_body("NOT_FOUND", 404), "CALL_REQUEST_NOT_FOUND"),
    "BAD_REQUEST": Failing(lambda: error_body("BAD_REQUEST", 400), "VENDOR_REJECTED_REQUEST"),
    "unknown code": Failing(lambda: error_body("QUOTA"), "VENDOR_ERROR"),
    "no code": Failing(lambda: httpx.Response(200, json={"success": False}), "VENDOR_ERROR"),
    "a cancel's refusal": Failing(lambda: error_body("CANCELLATION_NOT_ALLOWED"), "CANCELLATION_NOT_ALLOWED"),
    "500": Failing(lambda: bare(500), "VENDOR_FAILED", tries=3),
    "500 with an error body": Failing(lambda: error_body("SYSTEM_ERROR", 500), "VENDOR_FAILED", tries=3),
    "501": Failing(lambda: bare(501), "VENDOR_FAILED", tries=3),
    "page at 200": Failing(lambda: httpx.Response(200, text="<html>"), "VENDOR_MALFORMED_RESPONSE", tries=2),
    "page at 404": Failing(lambda: httpx.Response(404, text="<html>"), "VENDOR_MALFORMED_RESPONSE", tries=2),
    "302": Failing(lambda: bare(302), "VENDOR_MALFORMED_RESPONSE", tries=2),
    "no HTTP": Failing(lambda: httpx.RemoteProtocolError("sent"), "VENDOR_MALFORMED_RESPONSE", tries=2),
    "another id": Failing(lambda: good("bcpFuj1ipoBKLz5G"), "VENDOR_MALFORMED_RESPONSE", tries=2),
    "401": Failing(lambda: bare(401), "VENDOR_REJECTED_CREDENTIALS", requests=2),
    "403": Failing(lambda: bare(403), "VENDOR_REJECTED_CREDENTIALS"),
}
NOT_KNOWN = {
    "503": Failing(lambda: bare(503), "VENDOR_UNAVAILABLE", tries=3),
    "504": Failing(lambda: bare(504), "VENDOR_UNAVAILABLE", tries=3),
    "429": Failing(lambda: bare(429), "VENDOR_RATE_LIMITED", tries=3),
    "disconnects": Failing(lambda: httpx.ReadError("sent"), "VENDOR_UNAVAILABLE", tries=3),
    "no connection": Failing(lambda: httpx.ConnectError("not sent"), "VENDOR_UNAVAILABLE", tries=3),
}


def each_of(cases: dict[str, Failing]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("failing", [pytest.param(case, id=name) for name, case in cases.items()])


def one_bad(failing: Failing) -> VirtualVendor:
    """A vendor that fails for one id, and answers all others."""
    return VirtualVendor(lambda asked: failing.answer() if asked == BAD else good(asked))


async def poll(results: Results, call_request_id: str, every: float, seconds: float) -> set[str]:
    """Reads an id at a pace, whatever becomes of the reads before; returns the different outcomes."""
    reads = []
    for _ in range(round(seconds / every)):
        reads.append(asyncio.create_task(outcome_of(results, call_request_id)))
        await asyncio.sleep(every)
    return set(await asyncio.gather(*reads))


async def five_poll_it_and_others_read(vendor: VirtualVendor) -> tuple[set[str], set[str]]:
    """For 20 s five callers poll the bad id, and five other ids are read less often; returns the outcomes of both."""
    async with reading_from(vendor) as results:
        assert await outcome_of(results, ids("warm", 1)[0]) == "PENDING_TO_CALL"
        bad = asyncio.gather(*(poll(results, BAD, 0.1, 20) for _ in range(5)))
        healthy = asyncio.gather(*(poll(results, each, 1.3, 20) for each in ids("good", 5)))
        return set().union(*await bad), set().union(*await healthy)


@each_of(ABOUT_THE_ID)
def test_a_bad_id_costs_the_vendor_one_call_an_age_and_nobody_else_anything(failing: Failing) -> None:
    """Five callers that poll it for 20 s cost one read a second, and every read of another id is answered."""
    vendor = one_bad(failing)
    bad, healthy = run(five_poll_it_and_others_read(vendor))
    assert bad == {failing.reason}
    assert healthy == {"PENDING_TO_CALL"}
    assert 17 <= vendor.asked(BAD) <= (20 + failing.tries) * failing.requests


@each_of(NOT_KNOWN)
def test_an_id_that_gets_an_outage_for_itself_is_nobody_elses_either(failing: Failing) -> None:
    """503 or a disconnect for one id is not known for it; while others are answered, they are not throttled for it."""
    bad, healthy = run(five_poll_it_and_others_read(one_bad(failing)))
    assert bad <= {failing.reason, "VENDOR_UNAVAILABLE"}
    assert healthy == {"PENDING_TO_CALL"}


def test_an_id_whose_reads_hang_is_nobody_elses() -> None:
    """Its callers give up, or its attempts time out; others are answered all the while."""

    async def hanging() -> None:
        vendor = VirtualVendor(lambda asked: None if asked == BAD else good(asked))
        async with reading_from(vendor) as results:

            async def give_up() -> None:
                for _ in range(20):
                    assert await outcome_of(results, BAD, max_age=0, seconds=2) in {
                        "DEADLINE_EXCEEDED",
                        "VENDOR_UNAVAILABLE",
                    }

            bad = asyncio.gather(*(give_up() for _ in range(5)))
            healthy = [await poll(results, each, 2.1, 8) for each in ids("good", 5)]
            assert set().union(*healthy) == {"PENDING_TO_CALL"}
            await bad

    run(hanging())


@each_of(ABOUT_THE_ID)
def test_the_read_that_renews_a_known_failure_is_not_retried(failing: Failing) -> None:
    """The first read is tried as often as may help; those of the next seconds once each, and one long after again."""

    async def renewed() -> list[int]:
        vendor = one_bad(failing)
        async with reading_from(vendor) as results:
            await outcome_of(results, ids("warm", 1)[0])
            asked = []
            for pause in (1.1, 5.0, 60.0, 0.0):
                before = vendor.asked(BAD)
                assert await outcome_of(results, BAD) == failing.reason
                asked.append(math.ceil((vendor.asked(BAD) - before) / failing.requests))
                await asyncio.sleep(pause)
                await outcome_of(results, ids("warm", 1)[0])
            return asked

    assert run(renewed()) == [failing.tries, 1, 1, failing.tries]


@each_of(ABOUT_THE_ID)
def test_max_age_0_asks_anew_for_a_bad_id_too(failing: Failing) -> None:
    """A known failure answers no caller that wants what is true from now on; each such call is one request."""

    async def anew() -> None:
        vendor = one_bad(failing)
        async with reading_from(vendor) as results:
            await outcome_of(results, ids("warm", 1)[0])
            await outcome_of(results, BAD)
            before = vendor.asked(BAD)
            for _ in range(5):
                assert await outcome_of(results, BAD, max_age=0) == failing.reason
            assert 5 <= vendor.asked(BAD) - before <= 5 * failing.requests

    run(anew())


@pytest.mark.parametrize(
    ("default_max_age", "max_age", "seconds"),
    [
        pytest.param(1.0, None, 1.0, id="default"),
        pytest.param(0.3, None, 0.3, id="shorter default"),
        pytest.param(30.0, None, 1.0, id="longer default"),
        pytest.param(0.3, 60.0, 0.3, id="a caller that allows more"),
        pytest.param(1.0, 0.2, 0.2, id="a caller that allows less"),
        pytest.param(0.0, None, 0.0, id="no default"),
        pytest.param(0.0, 60.0, 0.0, id="no default, a caller that allows more"),
    ],
)
def test_a_failure_is_known_for_the_default_age_and_at_most_a_second(
    default_max_age: float, max_age: float | None, seconds: float
) -> None:
    """A caller's max_age shortens it, and cannot lengthen it."""

    async def age() -> None:
        vendor = VirtualVendor(lambda _: error_body("NOT_FOUND", 404), seconds=0.01)
        async with reading_from(vendor, default_max_age=default_max_age) as results:
            await outcome_of(results, BAD)
            if seconds:
                await asyncio.sleep(seconds * 0.9)
                assert await outcome_of(results, BAD, max_age=max_age) == "CALL_REQUEST_NOT_FOUND"
                assert vendor.asked(BAD) == 1
                await asyncio.sleep(seconds * 0.2)
            assert await outcome_of(results, BAD, max_age=max_age) == "CALL_REQUEST_NOT_FOUND"
            assert vendor.asked(BAD) == 2

    run(age())


def test_a_good_answer_ends_a_known_failure_and_a_cancel_forgets_it() -> None:
    """After either the next reader has what is true, at once."""

    async def ended() -> None:
        answers: list[Answer] = [bare(400), good(BAD), bare(400), good(BAD, "CANCELLED")]
        answers[0] = answers[2] = error_body("NOT_FOUND", 404)
        vendor = VirtualVendor(lambda _: answers.pop(0))
        async with reading_from(vendor, default_max_age=0.5) as results:
            assert await outcome_of(results, BAD) == "CALL_REQUEST_NOT_FOUND"
            assert await outcome_of(results, BAD, max_age=0) == "PENDING_TO_CALL"
            assert await outcome_of(results, BAD) == "PENDING_TO_CALL"
            await asyncio.sleep(0.6)
            assert await outcome_of(results, BAD) == "CALL_REQUEST_NOT_FOUND"
            results.invalidate(BAD)
            assert await outcome_of(results, BAD) == "CANCELLED"

    run(ended())


def test_a_failure_of_a_read_from_before_a_cancel_is_not_kept() -> None:
    """Its readers get it; who comes after the cancel asks anew."""

    async def before() -> None:
        vendor = VirtualVendor(lambda _: error_body("NOT_FOUND", 404))
        async with reading_from(vendor) as results:
            older = asyncio.create_task(outcome_of(results, BAD))
            await asyncio.sleep(0.01)
            results.invalidate(BAD)
            vendor.rule = good
            assert await older == "CALL_REQUEST_NOT_FOUND"
            assert await outcome_of(results, BAD) == "PENDING_TO_CALL"

    run(before())


def test_an_answer_that_is_young_enough_comes_before_a_known_failure() -> None:
    """A refresh or a fresh read that fails takes nothing from callers whom the older answer may still serve."""

    async def older() -> None:
        vendor = VirtualVendor()
        async with reading_from(vendor) as results:
            await outcome_of(results, BAD)
            vendor.rule = lambda _: bare(500)
            assert await outcome_of(results, BAD, max_age=0) == "VENDOR_FAILED"
            assert await outcome_of(results, BAD, max_age=60) == "PENDING_TO_CALL"

    run(older())


@pytest.mark.parametrize("refusal", [401, 403])
def test_refused_credentials_are_about_all_ids_unless_others_are_accepted(refusal: int) -> None:
    """When every id is refused, each read asks: the first to come after the credentials are renewed is answered."""

    async def refused() -> None:
        vendor = VirtualVendor(lambda _: bare(refusal))
        async with reading_from(vendor) as results:
            for _ in range(3):
                for each in ids("each", 3):
                    assert await outcome_of(results, each) == "VENDOR_REJECTED_CREDENTIALS"
            vendor.rule = good
            for each in ids("each", 3):
                assert await outcome_of(results, each) == "PENDING_TO_CALL"

    run(refused())


def test_several_ids_that_are_refused_alone_are_known_each() -> None:
    """Three ids with 401 or 403, polled beside five that are read once in two seconds: one read an age for each."""

    async def several() -> None:
        bad = ids("bad", 3)
        vendor = VirtualVendor(lambda asked: bare(401 if asked == bad[0] else 403) if asked in bad else good(asked))
        async with reading_from(vendor) as results:
            for each in ids("good", 5):
                await outcome_of(results, each)
            polled = asyncio.gather(*(poll(results, each, 0.1, 20) for each in bad))
            healthy = asyncio.gather(*(poll(results, each, 2, 20) for each in ids("good", 5)))
            assert set().union(*await polled) == {"VENDOR_REJECTED_CREDENTIALS"}
            assert set().union(*await healthy) == {"PENDING_TO_CALL"}
        assert max(vendor.asked(each) for each in bad[1:]) <= 21
        assert vendor.asked(bad[0]) <= 42  # once more with a new token, at times

    run(several())


def test_credentials_that_others_had_accepted_long_ago_are_not_known_to_be_good() -> None:
    """A quiet hour before the refusal says nothing: the failure is not kept."""

    async def quiet() -> None:
        vendor = VirtualVendor()
        async with reading_from(vendor) as results:
            await outcome_of(results, ids("other", 1)[0])
            await asyncio.sleep(3600)
            vendor.rule = lambda _: bare(403)
            assert await outcome_of(results, BAD) == "VENDOR_REJECTED_CREDENTIALS"
            vendor.rule = good
            assert await outcome_of(results, BAD) == "PENDING_TO_CALL"

    run(quiet())


def test_what_is_known_is_bounded_in_entries_and_bytes() -> None:
    """A caller that asks for ever new ids that do not exist fills MAX_IDS entries, of 1.5 KB at most."""

    async def fill() -> None:
        failures, number = KnownFailures(1.0), 2000
        error = GatewayError(reasons.ERROR_REASON_VENDOR_ERROR, vendor_code="A" * 100)
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for each in ids("bad", number):
                failures.put(each, error)
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert (after - before) / number < 1500
        for each in ids("worse", MAX_IDS + 1):
            failures.put(each, error)
        assert len(failures) == MAX_IDS

    run(fill())


def test_what_a_read_raised_is_not_kept_with_its_traceback() -> None:
    """A kept exception must not grow with each caller that gets it, nor keep the frames of a call alive."""

    async def raised() -> None:
        failures = KnownFailures(1.0)
        try:
            raise GatewayError(reasons.ERROR_REASON_VENDOR_ERROR, vendor_code="QUOTA")
        except GatewayError as error:
            failures.put(BAD, error)
        found = []
        for _ in range(3):
            with pytest.raises(GatewayError) as caught:
                failures.check(BAD, None)
            found.append(caught.value)
            assert caught.value.vendor_code == "QUOTA"
            assert len(caught.traceback) == 2, "this frame and check()"
        assert len(set(map(id, found))) == 3

    run(raised())


def test_known_failures_are_counted() -> None:
    """result_reads_total has them as a source of their own."""

    async def count() -> bytes:
        metrics = Metrics()
        vendor = VirtualVendor(lambda _: error_body("NOT_FOUND", 404))
        async with reading_from(vendor, metrics=metrics) as results:
            for _ in range(4):
                await outcome_of(results, BAD)
        return metrics.exposition()

    assert b'result_reads_total{source="cached_failure"} 3.0' in run(count())
