"""Reads are tried again while that may help, within a budget and their deadlines."""

import asyncio
from collections.abc import Callable

import httpx
import pytest

from callrequest.v1 import error_reason_pb2 as reasons
from server.deadline import Deadline, now
from server.errors import CATALOGUE, GatewayError, Reason, VendorState
from server.observability.metrics import Metrics
from server.reading.retries import MAX_SAVED, Retries
from testkit.scripted_vendor import RESULT_ID
from testkit.virtual_time import run
from testkit.virtual_vendor import Answer, VirtualVendor, bare, error_body, good, ids, outcome_of, reading_from

UNAVAILABLE = reasons.ERROR_REASON_VENDOR_UNAVAILABLE

PASSING: dict[str, list[Callable[[], Answer]]] = {
    "503 twice": [lambda: bare(503), lambda: bare(503)],
    "500, then 502": [lambda: bare(500), lambda: bare(502)],
    "504": [lambda: bare(504)],
    "disconnects": [lambda: httpx.ReadError("sent")],
    "no connection, twice": [lambda: httpx.ConnectError("not sent"), lambda: httpx.ConnectTimeout("not sent")],
    "no HTTP": [lambda: httpx.RemoteProtocolError("sent")],
    "HTML at 200": [lambda: httpx.Response(200, text="<html>")],
    "429 for a moment": [lambda: bare(429, 0)],
    "429 without Retry-After": [lambda: bare(429)],
    "503 for 2 s": [lambda: bare(503, 2)],
    "too slow": [lambda: None],
}


@pytest.mark.parametrize("answers", [pytest.param(answers, id=name) for name, answers in PASSING.items()])
def test_a_failure_that_passes_is_not_the_callers_concern(answers: list[Callable[[], Answer]]) -> None:
    """Reads are tried up to three times; what was undecodable once more."""

    async def passing() -> None:
        left, metrics = list(answers), Metrics()
        vendor = VirtualVendor(lambda asked: left.pop(0)() if left else good(asked))
        async with reading_from(vendor, vendor_timeout=0.5, metrics=metrics) as results:
            assert await outcome_of(results, RESULT_ID) == "PENDING_TO_CALL"
        assert len(vendor.reads) == len(answers) + 1
        assert f"result_retries_total {len(answers)}.0".encode() in metrics.exposition()

    run(passing())


LASTING: dict[str, tuple[Callable[[], Answer], int]] = {
    "503": (lambda: bare(503), 3),
    "500": (lambda: bare(500), 3),
    "disconnects": (lambda: httpx.ReadError("sent"), 3),
    "no connection": (lambda: httpx.ConnectError("not sent"), 3),
    "HTML at 200": (lambda: httpx.Response(200, text="<html>"), 2),
    "no HTTP": (lambda: httpx.RemoteProtocolError("sent"), 2),
    "429 for longer than half of the time left": (lambda: bare(429, 6), 1),
    "503 for longer than half of the time left": (lambda: bare(503, 6), 1),
    "NOT_FOUND": (lambda: error_body("NOT_FOUND"), 1),
    "BAD_REQUEST": (lambda: error_body("BAD_REQUEST"), 1),
    "an unknown code": (lambda: error_body("QUOTA"), 1),
    "403": (lambda: bare(403), 1),
}


@pytest.mark.parametrize(("answer", "tries"), [pytest.param(*case, id=name) for name, case in LASTING.items()])
def test_a_failure_that_lasts_is_tried_so_often(answer: Callable[[], Answer], tries: int) -> None:
    """No failure is tried more often than it may help."""

    async def lasting() -> None:
        vendor = VirtualVendor(lambda _: answer())
        async with reading_from(vendor) as results:
            assert await outcome_of(results, RESULT_ID) != "PENDING_TO_CALL"
        assert len(vendor.reads) == tries

    run(lasting())


def test_an_undecodable_reply_is_tried_once_more_whatever_comes_then() -> None:
    """The third try is for failures that may pass: here the second reply is undecodable, too."""

    async def twice() -> None:
        answers: list[Answer] = [bare(503), httpx.Response(200, text="<html>")]
        vendor = VirtualVendor(lambda asked: answers.pop(0) if answers else good(asked))
        async with reading_from(vendor) as results:
            assert await outcome_of(results, RESULT_ID) == "VENDOR_MALFORMED_RESPONSE"

    run(twice())


@pytest.mark.parametrize("reason", [pytest.param(reason, id=GatewayError(reason).reason_name) for reason in CATALOGUE])
def test_every_reason_is_retried_as_often_as_the_catalogue_has_it(reason: Reason) -> None:
    """The number of further tries is a column of the catalogue, and of no other table."""

    async def retried() -> int:
        retries, tries = Retries(), 1
        while retries.pause(GatewayError(reason), tries, Deadline.after(30)) is not None:
            tries += 1
        return tries - 1

    assert run(retried()) == CATALOGUE[reason].retries


def test_retries_stay_within_the_deadline() -> None:
    """The last failure comes in time, not the next one too late."""

    async def in_time() -> None:
        vendor = VirtualVendor(lambda _: bare(503), seconds=0.25)
        async with reading_from(vendor) as results:
            begun = now()
            await outcome_of(results, RESULT_ID, seconds=0.4)
            assert now() - begun < 0.41

    run(in_time())


def test_retries_have_a_budget() -> None:
    """A tenth of the calls and one a second are tried again in the long run, whatever fails."""

    async def outage() -> float:
        retries, granted, calls = Retries(), 0, 3000
        for _ in range(calls):  # 100 a second
            retries.call_began()
            for tries in (1, 2):
                granted += retries.pause(GatewayError(UNAVAILABLE), tries, Deadline.after(10)) is not None
            await asyncio.sleep(0.01)
        return (granted - MAX_SAVED) / calls

    assert 0.1 < run(outage()) < 0.115


def test_pauses_are_jittered_and_bounded() -> None:
    """Full jitter from 50 ms on: nobody waits long, and not all at once."""

    async def pauses(tries: int) -> list[float]:
        found = []
        for _ in range(200):
            pause = Retries().pause(GatewayError(UNAVAILABLE), tries, Deadline.after(10))
            assert pause is not None
            found.append(pause)
        return found

    first, second = run(pauses(1)), run(pauses(2))
    assert 0 <= min(first) < 0.01
    assert 0.04 < max(first) <= 0.05
    assert 0.08 < max(second) <= 0.1


@pytest.mark.parametrize(
    "reason", [UNAVAILABLE, reasons.ERROR_REASON_VENDOR_RATE_LIMITED], ids=["unavailable", "rate-limited"]
)
def test_a_retry_after_is_waited_for_up_to_half_of_the_time_left(reason: Reason) -> None:
    """Then comes the jitter."""

    async def pause(seconds_left: float) -> float | None:
        return Retries().pause(GatewayError(reason, retry_after=2.0), 1, Deadline(now() + seconds_left))

    waited = run(pause(5.0))
    assert waited is not None
    assert 2.0 <= waited <= 2.05
    assert run(pause(3.9)) is None


def test_reads_that_go_through_in_an_outage_are_not_retried() -> None:
    """They are probes: a retry would only cost the vendor another call."""

    async def probes() -> None:
        metrics = Metrics()
        vendor = VirtualVendor(lambda _: bare(503), seconds=0.01)
        async with reading_from(vendor, metrics=metrics) as results:
            for each in ids("first", 60):
                await outcome_of(results, each)
            before = metrics.exposition()
            for each in ids("later", 60):
                await outcome_of(results, each)
                await asyncio.sleep(1)
            assert vendor.asked_since(now() - 30) >= 20
        lines = [
            [line for line in text.splitlines() if b"result_retries_total " in line]
            for text in (before, metrics.exposition())
        ]
        assert lines[0] == lines[1]

    run(probes())


def test_what_may_be_retried_is_no_clear_answer() -> None:
    """The catalogue retries only what leaves open whether the vendor can answer; what is about an id is no outage."""
    for reason, spec in CATALOGUE.items():
        in_doubt = spec.vendor in (VendorState.DOWN, VendorState.DOUBTFUL)
        assert bool(spec.retries) == in_doubt, reason
        assert not (spec.about_the_id and spec.vendor in (VendorState.DOWN, VendorState.NOT_SEEN)), reason
