"""After a gap in what processes publish everything that is watched is polled, however often there are gaps."""

import asyncio

from server.deadline import now
from server.watching.gaps import MAX_PAUSE, QUIET, Gaps
from testkit.virtual_time import run


def _polls(*moments: float) -> list[float]:
    """When everything is polled, after gaps at those seconds."""

    async def polled() -> list[float]:
        begun, polls = now(), list[float]()
        gaps = Gaps(lambda: polls.append(round(now() - begun, 3)))
        for moment in moments:
            await asyncio.sleep(moment - (now() - begun))
            gaps.occurred()
        await asyncio.sleep(2 * MAX_PAUSE)
        return polls

    return run(polled())


def test_after_a_gap_everything_is_polled_at_once_and_after_a_second_one_soon() -> None:
    """An engine that starts again causes two: the one of its scripts and the one of its channel."""
    assert _polls(0, 0.25) == [0, 0.5]
    assert _polls(0, 0.25, 0.3, 0.4) == [0, 0.5]


def test_an_outage_soon_after_the_start_delays_nobody() -> None:
    """The start has two gaps, too."""
    assert _polls(0, 0.1, 3, 3.2) == [0, 0.5, 3, 3.5]
    assert _polls(0, 0.1, 3, 4) == [0, 0.5, 3, 4]


def test_gaps_that_go_on_cause_ever_fewer_polls() -> None:
    """Connections that are cut three times a second, for two minutes."""
    polls = _polls(*(number * 0.3 for number in range(400)))
    assert [round(poll, 1) for poll in polls] == [0, 0.5, 1, 1.5, 2, 3, 5, 9, 17, 33, 65, 125]


def test_rare_gaps_cause_ever_fewer_polls_too() -> None:
    """A proxy that ends each connection after 10 s causes one poll a minute in the end, not six."""
    polls = _polls(*range(0, 600, 10))
    assert len(polls) < 25
    assert polls[-1] - polls[-2] >= MAX_PAUSE


def test_after_a_quiet_minute_a_gap_is_the_first_again() -> None:
    """Whatever was before."""
    assert _polls(0, 0.3, 0.6, 2, 100 + QUIET)[-1] == 100 + QUIET
