"""The way of spans to the collector: bounded, counted, and never waited for by a call or at the end."""

import asyncio
import threading
import time
from collections.abc import Callable

from server.observability.span_queue import MAX_BATCH, MAX_SPANS, SpanQueue


class Exporter:
    """Takes batches as it is told to. entered: a batch has come. go_on: it may end."""

    def __init__(self, *, takes: bool = True, hangs: bool = False) -> None:
        self.batches: list[list[object]] = []
        self.entered, self.go_on = threading.Event(), threading.Event()
        self._takes = takes
        if not hangs:
            self.go_on.set()

    def export(self, spans: list[object]) -> bool:
        self.entered.set()
        self.go_on.wait()
        self.batches.append(spans)
        return self._takes

    def close(self) -> None:
        self.go_on.set()


async def until(condition: Callable[[], bool]) -> None:
    """Waits for what another thread does."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 (a thread raises no event)
            await asyncio.sleep(0.01)


async def test_while_the_collector_hangs_spans_wait_and_then_are_dropped() -> None:
    """As many wait as the bound has; nobody waits to add one; those that are dropped are counted."""
    exporter, dropped = Exporter(hangs=True), list[int]()
    queue = SpanQueue(exporter, dropped.append)
    for number in range(MAX_BATCH):
        queue.add(number)
    await until(exporter.entered.is_set)
    for number in range(MAX_SPANS + 10):
        queue.add(number)
    assert sum(dropped) == 10
    exporter.go_on.set()
    await queue.aclose(30)
    assert sum(map(len, exporter.batches)) == MAX_BATCH + MAX_SPANS
    assert sum(dropped) == 10


async def test_what_the_collector_does_not_take_is_counted() -> None:
    """Every span is either taken or counted as dropped."""
    exporter, dropped = Exporter(takes=False), list[int]()
    queue = SpanQueue(exporter, dropped.append)
    for number in range(MAX_BATCH + 1):
        queue.add(number)
    await queue.aclose(30)
    assert sum(dropped) == MAX_BATCH + 1


async def test_the_end_sends_what_is_left() -> None:
    """Without waiting for the next time."""
    exporter, dropped = Exporter(), list[int]()
    queue = SpanQueue(exporter, dropped.append)
    queue.add("last")
    await queue.aclose(30)
    assert (exporter.batches, dropped) == ([["last"]], [])
    queue.add("too late")
    assert dropped == [1]


async def test_the_end_does_not_wait_for_a_collector_that_hangs() -> None:
    """What is not sent by then counts as dropped; closing the connection, which may hang as well, is not waited for."""
    exporter, dropped = Exporter(hangs=True), list[int]()
    exporter.close = threading.Event().wait  # type: ignore[method-assign, assignment]  # for ever
    queue = SpanQueue(exporter, dropped.append)
    for number in range(MAX_BATCH):
        queue.add(number)
    await until(exporter.entered.is_set)
    queue.add("waits")
    begun = time.monotonic()
    await queue.aclose(0.1)
    assert time.monotonic() - begun < 10
    assert sum(dropped) == 1
    exporter.go_on.set()
