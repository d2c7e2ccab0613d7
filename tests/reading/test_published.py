"""What other processes publish is fetched for those who follow it, and never asked of the vendor."""

import asyncio
from collections.abc import Callable
from functools import partial

from callrequest.v1 import call_request_pb2 as pb
from server.reading.published import PublishedReadings
from server.reading.result_cache import Reading
from testkit.virtual_time import run

ID = "77b2c4d5e6f7g890"


class _World:
    """Published readings; `shared` is what processes share of them, each fetch takes a second."""

    def __init__(self) -> None:
        self.shared: Reading | None = Reading.of(pb.CallRequestResult(call_request_id=ID))
        self.fetches = 0
        self.stored: list[Reading] = []
        self.missing: list[str] = []
        self.published = PublishedReadings(self._fetch, lambda _, reading: self.stored.append(reading), self._missing)

    def _missing(self, call_request_id: str) -> None:
        self.missing.append(call_request_id)

    async def _fetch(self, call_request_id: str) -> Reading | None:
        self.fetches += 1
        shared = self.shared
        await asyncio.sleep(1)
        return shared


def test_what_is_published_during_a_fetch_is_fetched_once_more() -> None:
    """However much it is: the fetch in progress may bring what was there before."""

    async def published() -> None:
        world = _World()
        for _ in range(5):
            world.published.published(ID, final=False)
            await asyncio.sleep(0.1)
        await asyncio.sleep(5)
        assert world.fetches == len(world.stored) == 2

    run(published())


def test_what_was_fetched_counts_for_nothing_after_a_change() -> None:
    """A cancel during the fetch: what it brings may be from before. What is published afterwards is fetched."""

    async def published() -> None:
        world = _World()
        drops: list[Callable[[], None]] = [partial(world.published.drop, ID), world.published.drop_all]
        for drop in drops:
            world.published.published(ID, final=False)
            await asyncio.sleep(0.5)
            drop()
            await asyncio.sleep(5)
            assert world.stored == []
        world.published.published(ID, final=False)
        await asyncio.sleep(0.5)
        world.published.drop(ID)
        world.published.published(ID, final=False)
        await asyncio.sleep(5)
        assert len(world.stored) == 1

    run(published())


def test_only_a_final_result_that_cannot_be_fetched_is_asked_for() -> None:
    """Any other has its pace; a final one is published once, so that this does not go on without end."""

    async def published() -> None:
        world = _World()
        world.shared = None
        world.published.published(ID, final=False)
        await asyncio.sleep(5)
        assert world.missing == []
        world.published.published(ID, final=True)
        await asyncio.sleep(5)
        assert world.missing == [ID]
        assert world.stored == []

    run(published())


def test_a_defect_of_a_fetch_keeps_nobody_from_the_next() -> None:
    """It is logged; the poll that is due anyway brings the result."""

    async def published() -> None:
        world, failures = _World(), [RuntimeError()]

        async def fetch(call_request_id: str) -> Reading | None:
            if failures:
                raise failures.pop()
            return world.shared

        readings = PublishedReadings(fetch, lambda _, reading: world.stored.append(reading), world.missing.append)
        for _ in range(2):
            readings.published(ID, final=False)
            await asyncio.sleep(1)
        assert len(world.stored) == 1
        await readings.aclose()

    run(published())
