"""While the vendor is down, processes that share results cost their engine little, and still give what others know."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from server.deadline import Deadline, now
from server.state.values import OwnResult, SharedResult
from testkit.scripted_vendor import RESULT_ID
from testkit.virtual_time import run
from testkit.virtual_vendor import VirtualVendor, bare, good, ids, outcome_of, reading_from


class _Shared:
    """What processes share, without an engine. leases: reads that took one; others: results of other processes."""

    def __init__(self) -> None:
        self.leases = 0
        self.others: dict[str, SharedResult] = {}

    async def read(
        self,
        call_request_id: str,
        max_age: float,
        final_max_age: float,
        deadline: Deadline,
        ask_vendor: Callable[[], Awaitable[Any]],
    ) -> OwnResult[Any]:
        self.leases += 1
        return OwnResult(await ask_vendor(), 0)

    async def known(self, call_request_id: str, max_age: float) -> SharedResult | None:
        return self.others.get(call_request_id)


async def _with_engine(results: Any) -> _Shared:
    shared = _Shared()
    results.share(shared)
    return shared


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(bare(502), "VENDOR_UNAVAILABLE", id="throttled"),
        pytest.param(bare(429, 60), "VENDOR_RATE_LIMITED", id="asked to wait"),
    ],
)
def test_a_read_that_is_refused_takes_no_lease(answer: Any, reason: str) -> None:
    """It would be given back at once; those that are sent, the probes, take theirs. The vendor sees no more of them."""

    async def outage() -> None:
        vendor = VirtualVendor(lambda _: answer)
        async with reading_from(vendor) as results:
            shared = await _with_engine(results)
            for each in ids("each", 200):
                assert await outcome_of(results, each) == reason
            assert len(vendor.reads) < 100
            assert shared.leases <= len(vendor.reads)

    run(outage())


def test_what_another_process_knows_is_given_in_an_outage() -> None:
    """It may have read it before, or reach the vendor by another way; what is too old is not given."""

    async def outage() -> None:
        vendor = VirtualVendor()
        async with reading_from(vendor) as results:
            await outcome_of(results, RESULT_ID)
            answer = results.cached(RESULT_ID, 9)
            assert answer is not None
            vendor.rule = lambda _: bare(502)
            shared = await _with_engine(results)
            for each in ids("each", 100):
                await outcome_of(results, each)
            young, old, final = ids("known", 3)
            shared.others = {
                young: SharedResult(answer.answer, False, now() - 5, 1, False),
                old: SharedResult(answer.answer, False, now() - 15, 1, False),
                final: SharedResult(answer.answer, True, now() - 1500, 1, False),
            }
            assert await outcome_of(results, young, max_age=10) == "PENDING_TO_CALL"
            assert await outcome_of(results, final, max_age=None) == "PENDING_TO_CALL"
            for each, max_age in ((old, 10.0), (final, 0.0)):
                assert await outcome_of(results, each, max_age=max_age) == "VENDOR_UNAVAILABLE"

    run(outage())


def test_an_outage_that_ends_is_noticed_by_the_probes_of_reads_that_share() -> None:
    """What `admit` has let pass is not refused when it is sent: else there would be no probe."""

    async def returned() -> None:
        vendor = VirtualVendor(lambda _: bare(502))
        async with reading_from(vendor) as results:
            await _with_engine(results)
            for each in ids("each", 100):
                await outcome_of(results, each)
            vendor.rule = good
            begun, answered = now(), 0
            for each in ids("then", 200):
                answered += await outcome_of(results, each) == "PENDING_TO_CALL"
                if answered == 3:
                    break
                await asyncio.sleep(0.1)
            assert answered == 3
            assert now() - begun < 4
            assert not results.vendor_reads.is_throttled()

    run(returned())
