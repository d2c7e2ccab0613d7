"""What the drain waits for."""

import asyncio
from collections.abc import Awaitable, Callable

from server.rpc.open_calls import QUIET_SECONDS, REPLY_SECONDS, OpenCalls
from testkit import virtual_time

ROUNDING = 0.06  # it looks each 50 ms


def seconds_of(wait: Callable[[OpenCalls], Awaitable[None]], *unary: tuple[float, float], streams: int = 0) -> float:
    """How long a wait takes. unary: when each call begins and how long it takes, in seconds. streams: that stay."""

    async def measure() -> float:
        loop = asyncio.get_running_loop()
        calls = OpenCalls(loop.time)

        async def call(begins: float, lasts: float) -> None:
            await asyncio.sleep(begins)
            count = calls.unary
            count.number += 1
            await asyncio.sleep(lasts)
            count.number -= 1
            calls.ended_at = loop.time()

        calls.streaming.number += streams
        under_way = [asyncio.ensure_future(call(*each)) for each in unary]
        await asyncio.sleep(1)
        begun = loop.time()
        await wait(calls)
        waited = loop.time() - begun
        for each in under_way:
            each.cancel()
        return waited

    return virtual_time.run(measure())


def test_calls_that_are_open_are_waited_for_and_their_replies() -> None:
    """What ends as the connection closes may not reach its client."""
    waited = seconds_of(lambda calls: calls.replied(10), (0, 3), (0.5, 4))
    assert abs(waited - (3.5 + REPLY_SECONDS)) < ROUNDING


def test_calls_that_begin_meanwhile_are_not_waited_for() -> None:
    """A client that does not look at the health goes on calling: that must not hold up the end."""
    steady = [(at / 10, 0.5) for at in range(100)]
    assert abs(seconds_of(lambda calls: calls.replied(10), *steady) - 0.5) < ROUNDING + REPLY_SECONDS


def test_the_wait_is_bounded_and_streams_do_not_count() -> None:
    """A vendor that hangs holds it up for the time given; watches are ended by the drain itself."""
    assert abs(seconds_of(lambda calls: calls.replied(2), (0, 100)) - 2) < ROUNDING
    assert seconds_of(lambda calls: calls.replied(2), streams=3) == 0


def test_a_second_wait_knows_the_calls_of_the_first() -> None:
    """A second signal breaks the first wait off; its calls still count."""

    async def twice(calls: OpenCalls) -> None:
        await calls.replied(1)
        await calls.replied(1)
        await calls.settled()

    assert abs(seconds_of(twice, (0, 6)) - (5 + QUIET_SECONDS)) < ROUNDING
    assert abs(seconds_of(twice, (0, 6), (1.5, 8)) - (8.5 + QUIET_SECONDS)) < ROUNDING
