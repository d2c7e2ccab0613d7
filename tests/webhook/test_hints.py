"""Hints are cheap to forge, and so they cost little."""

import asyncio
from collections import Counter
from typing import Any

from server.deadline import Deadline
from server.webhook.hints import CONCURRENCY, MAX_PENDING, Hints
from testkit import virtual_time

ID = "77b2c4d5e6f7g890"


class _Reads:
    """Counts reads of 50 ms, and how many there are at once."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()
        self.now = self.most = 0

    async def read(self, call_request_id: str, max_age: float, deadline: Deadline) -> Any:
        self.of[call_request_id] += 1
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.05)
        self.now -= 1


def test_a_flood_of_hints_about_one_call_request_costs_a_read_a_second() -> None:
    """And the last hint is followed, too."""

    async def flood() -> None:
        reads = _Reads()
        hints = Hints(reads.read)
        for _ in range(1000):
            assert hints.follow(ID)
            await asyncio.sleep(0.01)
        assert reads.of[ID] <= 11
        before = reads.of[ID]
        await asyncio.sleep(5)
        assert reads.of[ID] == before + 1
        await hints.aclose()

    virtual_time.run(flood())


def test_a_flood_of_hints_about_many_is_refused_beyond_a_bound() -> None:
    """Few of them are read at once."""

    async def flood() -> None:
        reads = _Reads()
        hints = Hints(reads.read)
        taken = [hints.follow(f"{number:016}") for number in range(1000)]
        assert sum(taken) == MAX_PENDING
        await asyncio.sleep(10)
        assert len(reads.of) == MAX_PENDING
        assert reads.most == CONCURRENCY
        assert hints.follow(ID), "there is room again"
        await hints.aclose()

    virtual_time.run(flood())
