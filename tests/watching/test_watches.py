"""Watches on virtual time: pace, heartbeats, slow readers, the end of long watches."""

import asyncio
import statistics
from collections.abc import Callable, Coroutine
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from callrequest.v1 import call_request_pb2 as pb
from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.call_request_service_pb2 import WatchCallRequestResultResponse
from server.concurrency_limit import ConcurrencyLimit
from server.deadline import Deadline, now
from server.errors import GatewayError
from server.reading.result_cache import Reading
from server.watching import watcher as watchers
from server.watching.ended import MAX_RETRY, MIN_RETRY, WatchEndedError
from server.watching.pace import FIRST_SPREAD, FRESHNESS, Pace
from server.watching.poll_limit import PollLimit
from server.watching.turns import BATCH, Turns
from server.watching.watches import MAX_LIFE, MIN_LIFE, RECHECK_INTERVAL, Watches
from testkit.virtual_time import run

ID = "77b2c4d5e6f7g890"
PENDING, IN_PROGRESS = pb.CALL_REQUEST_STATUS_PENDING_TO_CALL, pb.CALL_REQUEST_STATUS_IN_PROGRESS
COMPLETED, CANCELLED = pb.CALL_REQUEST_STATUS_COMPLETED, pb.CALL_REQUEST_STATUS_CANCELLED
LIFE = 1e9


class Caller:
    """A caller's end of a watch. seconds: how long each write takes."""

    def __init__(self, *, connection: str = "one", remaining: float | None = None, seconds: float = 0.0) -> None:
        self._connection = connection
        self._remaining = remaining
        self._seconds = seconds
        self.messages: list[tuple[float, pb.CallRequestResult]] = []
        self.may_watch = True

    def check_caller(self) -> None:
        if not self.may_watch:
            raise GatewayError(reasons.ERROR_REASON_CALLER_FORBIDDEN)

    def connection(self) -> str:
        return self._connection

    def time_remaining(self) -> float | None:
        return self._remaining

    async def begin(self) -> None:
        pass

    async def write(self, message: bytes) -> None:
        await asyncio.sleep(self._seconds)
        self.messages.append((now(), WatchCallRequestResultResponse.FromString(message).call_request_result))

    @property
    def statuses(self) -> list[int]:
        return [result.status for _, result in self.messages]

    @property
    def times(self) -> list[float]:
        return [moment for moment, _ in self.messages]


class World:
    """Watches of call requests whose status is a function of the time."""

    def __init__(
        self,
        status: Callable[[float], int] = lambda _: PENDING,
        pace: tuple[float, float] = (60.0, 5.0),
        life: float = LIFE,
        polls: int = 1000,
    ) -> None:
        self._status = status
        self._begun = now()
        self.reads: list[tuple[float, float | None]] = []
        self.in_progress = self.most_in_progress = 0
        self.read_seconds = self.age = 0.0
        self.failures: list[GatewayError] = []
        self.ended: list[tuple[str, str, int, float]] = []
        self.numbers: list[int] = []
        self.polled: list[bool] = []
        self.watches = Watches(
            self._read,
            Pace(*pace),
            PollLimit(polls),
            ConcurrencyLimit(10_000, self.numbers.append),
            max_per_connection=10_000,
            connection_life=life,
            ended=lambda *end: self.ended.append(end),
            polled=self.polled.append,
        )

    @property
    def seconds(self) -> float:
        return now() - self._begun

    def reading(self) -> Reading:
        result = pb.CallRequestResult(call_request_id=ID, status=self._status(self.seconds))  # type: ignore[arg-type]
        result.observed_at.FromNanoseconds(round(now() * 1e9))
        reading = Reading.of(result)
        reading.read_at -= self.age
        return reading

    async def _read(self, call_request_id: str, max_age: float | None, deadline: Deadline) -> Reading:
        self.reads.append((self.seconds, max_age))
        self.in_progress += 1
        self.most_in_progress = max(self.most_in_progress, self.in_progress)
        try:
            await asyncio.sleep(self.read_seconds)
        finally:
            self.in_progress -= 1
        if self.failures:
            raise self.failures.pop(0)
        return self.reading()

    def watch(self, caller: Caller, heartbeat: float | None = None, call_request_id: str = ID) -> "asyncio.Task[None]":
        return asyncio.create_task(self.watches.follow(call_request_id, heartbeat, caller))


async def leave(*tasks: "asyncio.Task[None]") -> None:
    """Has callers leave."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def failed(task: "asyncio.Task[None]") -> GatewayError:
    """The failure that a watch ends with."""
    with pytest.raises(GatewayError) as caught:
        await task
    return caught.value


@pytest.mark.parametrize(
    ("status", "pace"),
    [
        pytest.param(PENDING, 60, id="pending"),
        pytest.param(IN_PROGRESS, 5, id="in-progress"),
        pytest.param(COMPLETED, 5, id="completed-without-outcome"),
        pytest.param(pb.CALL_REQUEST_STATUS_UNSPECIFIED, 60, id="unknown"),
    ],
)
def test_a_watched_call_request_is_read_at_the_pace_of_its_status(status: int, pace: float) -> None:
    """Within its interval, a little earlier at random, and far earlier once at first; a poll may use a newer read."""

    async def watching() -> list[tuple[float, float | None]]:
        world = World(lambda _: status)
        task = world.watch(Caller())
        await asyncio.sleep(50 * pace)
        await leave(task)
        return world.reads

    reads = run(watching())
    moments = [moment for moment, _ in reads]
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert (moments[0], reads[0][1]) == (0, None)
    assert FIRST_SPREAD * pace <= gaps[0] <= pace
    assert all(FRESHNESS * pace <= gap <= pace + 1e-6 for gap in gaps[1:])
    assert len(set(gaps)) == len(gaps), "no jitter"
    assert all(max_age == pytest.approx(FRESHNESS * gap) for gap, (_, max_age) in zip(gaps, reads[1:], strict=True))


def test_call_requests_that_were_first_watched_at_once_are_not_read_at_once_for_ever() -> None:
    """The first polls of 1 000 ids are spread over half an interval."""

    async def watching() -> list[float]:
        world = World()
        tasks = [world.watch(Caller(), call_request_id=f"{number:016d}") for number in range(1000)]
        await asyncio.sleep(61)
        await leave(*tasks)
        return [moment for moment, max_age in world.reads if max_age is not None]

    moments = run(watching())
    assert len(moments) >= 1000
    assert max(sum(begin <= moment < begin + 1 for moment in moments) for begin in range(60)) < 80


def test_a_reading_by_somebody_else_reaches_the_watchers_and_puts_the_next_poll_off() -> None:
    """The vendor is not asked again for what has just been read."""

    async def watching() -> tuple[list[int], list[tuple[float, float | None]]]:
        world, caller = World(lambda seconds: PENDING if seconds < 10 else IN_PROGRESS, (60.0, 60.0)), Caller()
        task = world.watch(caller)
        for _ in range(20):
            await asyncio.sleep(25)
            world.watches.on_reading(ID, world.reading())
        await leave(task)
        return caller.statuses, world.reads

    statuses, reads = run(watching())
    assert statuses == [PENDING, IN_PROGRESS]
    assert len(reads) == 1


def test_an_older_reading_and_one_after_the_end_change_nothing() -> None:
    """A final result stays; a read that took longer does not bring the old one back."""

    async def watching() -> list[int]:
        world, caller = World(lambda seconds: [PENDING, IN_PROGRESS][seconds >= 10], (60.0, 60.0)), Caller(seconds=1)
        task = world.watch(caller)
        await asyncio.sleep(5)
        old = world.reading()
        await asyncio.sleep(10)
        world.watches.on_reading(ID, world.reading())
        world.watches.on_reading(ID, old)
        await asyncio.sleep(2)
        final = Reading.of(pb.CallRequestResult(call_request_id=ID, status=CANCELLED))
        world.watches.on_reading(ID, final)
        world.watches.on_reading(ID, world.reading())
        await task
        return caller.statuses

    assert run(watching()) == [PENDING, IN_PROGRESS, CANCELLED]


def test_a_gap_in_what_is_known_has_every_watched_call_request_read_again() -> None:
    """After a lost connection to the shared state nobody knows what was missed."""

    async def watching() -> int:
        world = World()
        tasks = [world.watch(Caller(), call_request_id=f"{number:016d}") for number in range(5)]
        await asyncio.sleep(1)
        for _ in range(8):
            world.watches.on_invalidated(None)
            world.watches.on_invalidated("nobodyWatches000")
            await asyncio.sleep(0.3)
        await leave(*tasks)
        return len(world.reads)

    assert run(watching()) == 5 + 5 * 5, "at once, and each half second: not for each of the eight gaps"


def test_a_cancel_during_a_poll_causes_one_more() -> None:
    """The poll in progress may bring the old truth; what is watched here is known to whoever publishes."""

    async def watching() -> list[float | None]:
        world = World()
        task = world.watch(Caller())
        await asyncio.sleep(1)
        world.read_seconds = 5
        for _ in range(4):
            world.watches.on_invalidated(ID)
            await asyncio.sleep(1)
        await asyncio.sleep(20)
        assert world.watches.follows(ID)
        assert not world.watches.follows("nobodyWatches000")
        await leave(task)
        assert not world.watches.follows(ID)
        return [max_age for _, max_age in world.reads]

    assert run(watching()) == [None, None, None]


def test_processes_whose_vendor_is_slower_than_the_interval_still_share_polls() -> None:
    """A result of another process that is older than the interval is polled for at once, not past the others' read."""

    async def watching() -> list[float | None]:
        world = World(pace=(4.0, 4.0))
        world.read_seconds, world.age = 1.0, 6.0
        task = world.watch(Caller())
        await asyncio.sleep(5)
        await leave(task)
        return [max_age for _, max_age in world.reads[1:]]

    max_ages = run(watching())
    assert len(max_ages) >= 4
    assert all(max_age is not None and 0.9 * FIRST_SPREAD * 4 <= max_age <= 4 for max_age in max_ages)


def test_a_heartbeat_comes_whenever_nothing_else_was_sent_for_so_long() -> None:
    """The newest snapshot again; a change puts the next heartbeat off; without an interval there is none."""

    async def watching() -> tuple[Caller, Caller]:
        world = World(lambda seconds: PENDING if seconds < 100 else IN_PROGRESS, (1000.0, 1000.0))
        beating, silent = Caller(), Caller()
        tasks = [world.watch(beating, 15), world.watch(silent)]
        await asyncio.sleep(100)
        world.watches.on_reading(ID, world.reading())
        await asyncio.sleep(31)
        await leave(*tasks)
        return beating, silent

    beating, silent = run(watching())
    since = [round(moment - beating.times[0]) for moment in beating.times]
    assert since == [0, 15, 30, 45, 60, 75, 90, 100, 115, 130]
    assert beating.statuses == [PENDING] * 7 + [IN_PROGRESS] * 3
    assert silent.statuses == [PENDING, IN_PROGRESS]


def test_no_heartbeat_waits_behind_another_message() -> None:
    """A caller that takes 10 s for each message gets one at a time, not all heartbeats that were due meanwhile."""

    async def watching() -> list[float]:
        world, caller = World(), Caller(seconds=10)
        task = world.watch(caller, 1)
        await asyncio.sleep(60)
        await leave(task)
        return caller.times

    times = run(watching())
    assert [round(later - earlier) for earlier, later in pairwise(times)] == [11] * (len(times) - 1)


def test_a_slow_reader_gets_the_newest_result_and_delays_nobody() -> None:
    """Of ten changes while a message is written it receives the last one; others receive all, at once."""

    async def watching() -> tuple[list[int], list[int], list[float]]:
        world = World(lambda seconds: PENDING if int(seconds) % 2 else IN_PROGRESS, (1000.0, 1000.0))
        slow, quick = Caller(seconds=10.5), Caller()
        tasks = [world.watch(slow), world.watch(quick)]
        await asyncio.sleep(0.25)
        changes = []
        for _ in range(10):
            await asyncio.sleep(1)
            changes.append(now())
            world.watches.on_reading(ID, world.reading())
        await asyncio.sleep(30)
        await leave(*tasks)
        late = [moment - change for moment, change in zip(quick.times[1:], changes, strict=True)]
        return slow.statuses, quick.statuses, late

    slow, quick, late = run(watching())
    assert len(quick) == 11
    assert len(slow) == 2
    assert slow[-1] == quick[-1]
    assert max(late) < 0.01


def test_a_caller_that_does_not_read_for_a_minute_loses_its_watch() -> None:
    """WATCH_ENDED: its place is free, and it may come back."""

    async def watching() -> tuple[GatewayError, float, World]:
        world = World()
        error = await failed(world.watch(Caller(seconds=1e6), 1))
        return error, world.seconds, world

    error, seconds, world = run(watching())
    assert isinstance(error, WatchEndedError)
    assert MIN_RETRY <= error.retry_after <= MAX_RETRY
    assert seconds == pytest.approx(watchers.MAX_WRITE)
    assert [end[:3] for end in world.ended] == [(ID, "not_reading", 0)]
    assert world.numbers[-1] == 0


def test_a_long_watch_ends_at_a_random_time_so_that_callers_spread() -> None:
    """After one to two thirds of a connection's life, each at another moment; its caller comes back."""

    async def watching() -> list[float]:
        world = World(life=1800)
        tasks = [world.watch(Caller()) for _ in range(200)]
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(error) for error in ended} == {WatchEndedError}
        assert {cause for _, cause, _, _ in world.ended} == {"rebalance"}
        return [error.retry_after for error in ended if isinstance(error, WatchEndedError)]

    async def moments() -> list[float]:
        world = World(life=1800)
        found: list[float] = []
        tasks = [world.watch(Caller()) for _ in range(200)]
        for task in tasks:
            task.add_done_callback(lambda _: found.append(world.seconds))
        await asyncio.gather(*tasks, return_exceptions=True)
        return found

    retries, ends = run(watching()), run(moments())
    assert MIN_RETRY <= min(retries) < max(retries) <= MAX_RETRY
    assert 1800 * MIN_LIFE <= min(ends) < 1800 * 0.4
    assert 1800 * 0.6 < max(ends) <= 1800 * MAX_LIFE + 0.01
    assert statistics.stdev(ends) > 100


def test_a_watch_ends_before_its_callers_deadline() -> None:
    """DEADLINE_EXCEEDED, 50 ms earlier, whatever the status."""

    async def watching() -> tuple[GatewayError, float]:
        world = World()
        error = await failed(world.watch(Caller(remaining=90.0)))
        return error, world.seconds

    error, seconds = run(watching())
    assert error.reason == reasons.ERROR_REASON_DEADLINE_EXCEEDED
    assert seconds == pytest.approx(89.95, abs=0.01)


def test_a_caller_that_loses_its_permission_loses_its_watch() -> None:
    """Although nothing changes that would be sent to it; the others go on."""

    async def watching() -> tuple[GatewayError, float, bool]:
        world, caller = World(), Caller()
        task, other = world.watch(caller), world.watch(Caller())
        await asyncio.sleep(7)
        caller.may_watch = False
        error = await failed(task)
        seconds, goes_on = world.seconds, not other.done()
        await leave(other)
        return error, seconds, goes_on

    error, seconds, goes_on = run(watching())
    assert error.reason == reasons.ERROR_REASON_CALLER_FORBIDDEN
    assert 7 <= seconds <= 7 + RECHECK_INTERVAL
    assert goes_on


OUTAGE = GatewayError(reasons.ERROR_REASON_VENDOR_UNAVAILABLE)


def test_a_watch_without_a_result_asks_again_at_the_quick_pace() -> None:
    """Its caller waits for the first message; a Retry-After is kept."""

    async def watching(failures: list[GatewayError]) -> list[float]:
        world, caller = World(), Caller()
        world.failures = list(failures)
        task = world.watch(caller)
        await asyncio.sleep(200)
        await leave(task)
        assert caller.statuses == [PENDING]
        return [moment for moment, _ in world.reads[: len(failures) + 2]]

    first, second, third, *_ = run(watching([OUTAGE, OUTAGE]))
    assert first == 0
    assert FRESHNESS * 5 <= second <= 5
    assert FRESHNESS * 5 <= third - second <= 5
    waited = run(watching([GatewayError(reasons.ERROR_REASON_VENDOR_RATE_LIMITED, retry_after=40.0)]))[1]
    assert waited == pytest.approx(40)


@pytest.mark.parametrize(
    ("failure", "polled"),
    [
        pytest.param(None, [True], id="a reading"),
        pytest.param(OUTAGE, [False, True], id="an outage, then a reading"),
        pytest.param(ValueError("a defect"), [False, True], id="a defect, then a reading"),
        pytest.param(GatewayError(reasons.ERROR_REASON_CALL_REQUEST_NOT_FOUND), [True], id="a failure that ends it"),
    ],
)
def test_each_poll_counts_once_by_whether_watchers_know_more(failure: GatewayError | None, polled: list[bool]) -> None:
    """A failure for good is news, too; one that may pass leaves them with what they had."""

    async def watching() -> list[bool]:
        world = World()
        world.failures = [failure] if failure else []
        task = world.watch(Caller())
        await asyncio.sleep(6)
        await leave(task)
        return world.polled

    assert run(watching()) == polled


def test_a_defect_in_a_read_ends_no_watch() -> None:
    """It is logged, and the next poll may do better."""

    async def watching() -> list[int]:
        world, caller = World(), Caller()
        world.failures = [ValueError("a defect")]  # type: ignore[list-item]
        task = world.watch(caller)
        await asyncio.sleep(6)
        await leave(task)
        return caller.statuses

    assert run(watching()) == [PENDING]


def test_polls_in_progress_are_bounded_and_first_polls_do_not_wait_for_others() -> None:
    """The vendor's connections and rate are left to the callers' own reads; a new watcher waits behind none."""

    async def watching() -> tuple[int, float]:
        world = World(polls=20)
        world.read_seconds = 1.0
        tasks = [world.watch(Caller(), call_request_id=f"{number:016d}") for number in range(300)]
        await asyncio.sleep(400)
        world.read_seconds = 30.0  # a vendor that has become slow: the polls queue
        await asyncio.sleep(200)
        caller, begun = Caller(), now()
        new = world.watch(caller)
        await asyncio.sleep(31)
        await leave(new, *tasks)
        return world.most_in_progress, caller.times[0] - begun

    most, seconds = run(watching())
    assert most <= 20
    assert seconds <= 30.01


def test_a_drain_ends_every_watch_and_refuses_new_ones() -> None:
    """Each with its own time to come back; also one that waits for its first result."""

    async def watching() -> tuple[list[Any], World]:
        world = World()
        world.read_seconds = 3.0
        tasks = [world.watch(Caller()) for _ in range(10)]
        await asyncio.sleep(1)
        world.watches.drain()
        tasks.append(world.watch(Caller()))
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert world.seconds < 1.1
        return ended, world

    ended, world = run(watching())
    assert {type(error) for error in ended} == {WatchEndedError}
    assert {error.cause for error in ended} == {"drain"}
    assert len({error.retry_after for error in ended}) == 11
    assert world.numbers[-1] == 0
    assert world.in_progress == 0


def test_watchers_of_one_change_are_woken_a_few_at_a_time() -> None:
    """Other calls have their turns in between: the event loop comes round after each batch."""

    async def turns() -> list[int]:
        done: list[int] = []
        found: list[int] = []
        each = Turns()
        each.run([lambda number=number: done.append(number) for number in range(3 * BATCH)])  # type: ignore[misc]
        assert not done
        while len(done) < 3 * BATCH:
            await asyncio.sleep(0)
            found.append(len(done))
        assert done == list(range(3 * BATCH))
        return found

    assert run(turns()) == [BATCH, 2 * BATCH, 3 * BATCH]


def _swallowed(make: Callable[[], Coroutine[Any, Any, None]]) -> bool:
    async def cancelled() -> bool:
        task = asyncio.create_task(make())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait({task})
        return not task.cancelled()

    return run(cancelled())


@pytest.mark.parametrize("seconds", [pytest.param(0.0, id="while-it-waits"), pytest.param(1e6, id="while-it-writes")])
def test_a_callers_leaving_is_passed_on(seconds: float) -> None:
    """A CancelledError that is swallowed would leave the stream open (grpc#43360)."""
    assert not _swallowed(lambda: World().watches.follow(ID, None, Caller(seconds=seconds)))


def test_after_a_restart_first_polls_go_before_others_which_still_have_their_part() -> None:
    """Of eight places seven go to callers that wait for their first result, one to watched call requests."""

    async def order() -> list[bool]:
        limit, begun = PollLimit(8), list[bool]()

        async def poll(first: bool) -> None:
            async with limit.place(first=first):
                begun.append(first)
                await asyncio.sleep(1)

        held = [asyncio.create_task(poll(True)) for _ in range(8)]
        await asyncio.sleep(0.5)
        begun.clear()
        waiting = [asyncio.create_task(poll(number >= 40)) for number in range(80)]
        leaving = asyncio.create_task(poll(True))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(*held, *waiting)
        await asyncio.gather(leaving, return_exceptions=True)
        return begun

    begun = run(order())
    assert len(begun) == 80
    assert [sum(begun[at : at + 8]) for at in (0, 8, 16, 24, 32)] == [7] * 5
    assert all(begun.index(True) < 8 and not each for each in begun[-20:])


@pytest.mark.parametrize("first", [True, False])
def test_polls_that_end_together_lose_no_place(first: bool) -> None:
    """One that held a place and those that waited for it: the place is not given to any of them."""

    async def begun_afterwards() -> int:
        limit, begun = PollLimit(2), list[bool]()

        async def poll() -> None:
            async with limit.place(first=first):
                begun.append(first)
                await asyncio.sleep(1)

        leaving = [asyncio.create_task(poll()) for _ in range(10)]
        await asyncio.sleep(0.5)
        for task in leaving:
            task.cancel()
        ends = await asyncio.gather(*leaving, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends
        begun.clear()
        await asyncio.gather(*(poll() for _ in range(2)))
        return len(begun)

    assert run(asyncio.wait_for(begun_afterwards(), 60)) == 2


def test_watchers_that_leave_together_do_not_keep_others_from_their_results() -> None:
    """A client with many watches goes away while the vendor is slow: whoever comes next is answered."""

    async def watching() -> None:
        world = World(polls=2)
        world.read_seconds = 5
        gone = [world.watch(Caller(), call_request_id=f"{number:016}") for number in range(10)]
        await asyncio.sleep(1)
        await leave(*gone)
        caller = Caller()
        task = world.watch(caller)
        await asyncio.sleep(20)
        assert caller.messages
        await leave(task)

    run(watching())


def test_who_comes_after_a_failure_is_not_given_it_again() -> None:
    """A watcher that is still being written to keeps the failed poll; a new one has a poll of its own."""

    async def watching() -> tuple[GatewayError, list[int]]:
        world, slow, new = World(pace=(5.0, 5.0)), Caller(seconds=30), Caller()
        task = world.watch(slow)
        await asyncio.sleep(0)
        world.failures = [GatewayError(reasons.ERROR_REASON_CALL_REQUEST_NOT_FOUND)]
        world.watches.on_reading(ID, world.reading())
        await asyncio.sleep(20)
        assert not world.failures
        assert not task.done()
        other = world.watch(new)
        error = await failed(task)
        assert not other.done(), "it was given the old failure"
        await leave(other)
        return error, new.statuses

    error, statuses = run(watching())
    assert error.reason == reasons.ERROR_REASON_CALL_REQUEST_NOT_FOUND
    assert statuses == [PENDING]


def test_a_final_result_counts_although_it_looks_older() -> None:
    """A push has whole seconds: it may seem to be from before the last reading."""

    async def watching() -> list[int]:
        world, caller = World(), Caller()
        task = world.watch(caller)
        await asyncio.sleep(1)
        final = Reading.of(pb.CallRequestResult(call_request_id=ID, status=CANCELLED))
        final.read_at -= 30
        world.watches.on_reading(ID, final)
        await task
        return caller.statuses

    assert run(watching()) == [PENDING, CANCELLED]


async def test_a_callback_that_fails_keeps_none_from_its_turn() -> None:
    """Not those that are due with it, nor any that come later."""
    turns, called = Turns(), list[int]()

    def fail() -> None:
        raise KeyError

    turns.run([fail, *(partial(called.append, number) for number in range(BATCH + 2))])
    await asyncio.sleep(0.05)
    turns.run([partial(called.append, -1)])
    await asyncio.sleep(0.05)
    assert called == [*range(BATCH + 2), -1]
