"""The simulation: what it counts for a call request, where that can be worked out by hand."""

import random
from collections.abc import Iterable
from dataclasses import replace

import pytest

from measure.following.lives import Life
from measure.simulate.call_request import CallRequest
from measure.simulate.counts import (
    CALLS,
    ENGINE_OPERATIONS,
    MESSAGES,
    OWN_READS,
    PUBLICATIONS,
    PUSHES,
    SHARED_READS,
    VENDOR_CALLS,
    WATCHES,
    Counts,
)
from measure.simulate.run import simulate
from measure.simulate.scenario import POLL, WATCH, WEBHOOK, Outage, Scenario

NEVER = float("inf")
HOUR = 3600.0
WAITING = Life(0, NEVER, NEVER)
STEADY = Scenario(WATCH, 1, callers=1, replicas=1, seconds=HOUR, warm_up=120, connection_age=1e9, restart=0)
"""One caller of one call request that waits for an hour; nothing else happens."""


def counted(scenario: Scenario, life: Life = WAITING, kinds: Iterable[str] = (VENDOR_CALLS,)) -> list[float]:
    counts = Counts(scenario.warm_up, scenario.end)
    CallRequest(scenario, life, counts, random.Random(3)).run()
    return [counts.total(kind) for kind in kinds]


def test_a_watch_is_polled_at_its_pace() -> None:
    """Once in 57 to 60 s, and each poll is a TAKE and a STORE."""
    reads, operations = counted(STEADY, kinds=(VENDOR_CALLS, ENGINE_OPERATIONS))
    assert HOUR / 60 <= reads <= HOUR / 57 + 1
    assert abs(operations - 2 * reads) <= 1  # the last one may not be stored yet


def test_replicas_that_watch_the_same_read_it_once() -> None:
    """One of them asks the vendor, the others take what it published."""
    scenario = replace(STEADY, callers=60, replicas=4)
    reads, shared, published = counted(scenario, kinds=(VENDOR_CALLS, SHARED_READS, PUBLICATIONS))
    assert HOUR / 60 <= reads <= HOUR / 57 + 1
    assert published == pytest.approx(reads, abs=1)
    assert shared == pytest.approx(3 * reads, abs=4)


def test_without_the_engine_each_replica_reads_for_itself() -> None:
    """Nothing is counted at the engine meanwhile."""
    away = replace(STEADY, callers=60, replicas=4, engine_outages=(Outage(0, 10 * HOUR),))
    reads, operations = counted(away, kinds=(VENDOR_CALLS, ENGINE_OPERATIONS))
    assert 4 * HOUR / 60 <= reads <= 4 * (HOUR / 57 + 1)
    assert operations == 0


def test_an_engine_that_is_back_has_all_that_is_watched_read_again() -> None:
    """Once or twice: each replica notices it, and its subscriber."""
    back = replace(STEADY, callers=60, replicas=4, engine_outages=(Outage(1000, 1030),))
    more = counted(back)[0] - counted(STEADY)[0]
    assert 1 <= more <= 12


def test_each_call_that_polls_asks_the_vendor_unless_somebody_has_just_done_so() -> None:
    """One caller, every 10 s, with max_age 1: each call is a read."""
    calls, reads = counted(replace(STEADY, mode=POLL), kinds=(CALLS, VENDOR_CALLS))
    assert calls == pytest.approx(HOUR / 10, rel=0.03)
    assert reads == pytest.approx(calls, abs=1)


def test_a_known_answer_costs_no_read() -> None:
    """A hundred callers that poll every second: one read an age, a little less for its refresh ahead."""
    crowd = replace(STEADY, mode=POLL, seconds=300.0, callers=100, poll_every=1.0)
    calls, reads = counted(crowd, kinds=(CALLS, VENDOR_CALLS))
    assert calls == pytest.approx(100 * 300, rel=0.03)
    assert 300 <= reads <= 1.3 * 300


def test_a_change_is_a_message_for_each_watcher_and_the_last_one_ends_it() -> None:
    """Snapshot, IN_PROGRESS, COMPLETED; nothing is read after that."""
    scenario = replace(STEADY, warm_up=0, callers=5, spread=0)
    messages, reads = counted(scenario, Life(1, 400, 700), (MESSAGES, VENDOR_CALLS))
    assert messages == 15
    assert 6 + 60 <= reads <= 8 + 65


def test_a_push_ends_the_watching_at_once() -> None:
    """Three scripts, one publication, and each replica takes it; the call was too short for a poll to see it."""
    scenario = replace(STEADY, mode=WEBHOOK, warm_up=0, callers=60, replicas=3, spread=0, pending_interval=600.0)
    pushes, messages, reads = counted(scenario, Life(1, 401, 402), (PUSHES, MESSAGES, VENDOR_CALLS))
    assert pushes == 1
    assert messages == 120
    assert reads <= 2


def test_a_push_that_finds_no_engine_is_sent_again() -> None:
    """A minute later; here the engine is back by then, and the callers have read it themselves."""
    away = replace(STEADY, mode=WEBHOOK, warm_up=0, pending_interval=600.0, engine_outages=(Outage(400, 500),))
    assert counted(away, Life(1, 401, 402), (PUSHES,)) == [2]


def test_a_vendor_that_is_down_is_left_alone() -> None:
    """Of a hundred thousand call requests a replica lets some reads a second through."""
    down = replace(STEADY, open=100_000, vendor_outages=(Outage(0, 10 * HOUR),))
    assert counted(down) <= [10]


def test_watches_end_before_their_connection_and_come_back() -> None:
    """After one to two thirds of its age; each begins with a read unless somebody watches there."""
    rebalanced = replace(STEADY, connection_age=1800.0)
    watches, reads = counted(rebalanced, kinds=(WATCHES, VENDOR_CALLS))
    assert HOUR / 1205 - 1 <= watches <= HOUR / 600 + 1
    assert reads >= counted(STEADY)[0]


def test_a_replica_that_is_restarted_loses_its_watches_to_the_others() -> None:
    """Each comes back once."""
    restarted = replace(STEADY, callers=40, replicas=2, restart=20.0)
    assert counted(restarted, kinds=(WATCHES,))[0] == pytest.approx(60, abs=20)  # 20 of the one, then 40 of the other


def test_what_is_simulated_stands_for_all() -> None:
    """Ten of a thousand call requests count a hundred times each, and the numbers do not depend on the sample."""
    scenario = replace(STEADY, open=1_000, seconds=600)
    assert simulate(scenario, 10).total(VENDOR_CALLS) == pytest.approx(simulate(scenario).total(VENDOR_CALLS), rel=0.1)
    assert simulate(scenario, 10).total(OWN_READS) == simulate(scenario, 10).total(OWN_READS)


@pytest.mark.parametrize("replicas", [pytest.param(1, id="one replica"), pytest.param(3, id="three")])
def test_an_open_call_request_follows_each_that_ended(replicas: int) -> None:
    """Short lives: all of them are followed to their ends."""
    scenario = replace(STEADY, open=5, replicas=replicas, waits=60.0, calls=30.0, spread=1.0)
    counts = simulate(scenario)
    assert counts.total(WATCHES) == pytest.approx(5 * HOUR / 90, rel=0.3)
