"""The simulation of one call request: its callers poll or watch, on replicas that come and go, until it is final."""

import random

from measure.following.lives import FINAL, Life
from server.reading.results import REFRESH_AHEAD
from server.watching.ended import MAX_RETRY, MIN_RETRY
from server.watching.pace import FIRST_SPREAD, FRESHNESS
from server.watching.watches import MAX_LIFE, MIN_LIFE

from .counts import CALLS, MESSAGES, PUSHES, WATCHES, Counts
from .events import Events
from .readers import Readers, Reading, Replica
from .scenario import POLL, WEBHOOK, Scenario

SENT_AGAIN_AFTER = 60.0
"""Seconds after which the vendor sends a push again that was answered with 503."""
JITTER = 0.05
"""Callers that poll wait so much less or more, as a share."""


class CallRequest:
    """One life of a call request: `CallRequest(…).run()` counts all of it until its callers have what they wait for."""

    def __init__(self, scenario: Scenario, life: Life, counts: Counts, chance: random.Random) -> None:
        self._scenario, self._life, self._counts, self._chance = scenario, life, counts, chance
        self._events = Events(life.begun_at)
        self._readers = Readers(scenario, life, self._events, self._count, chance, self._receive, self._fail)
        self._watches: dict[int, int] = {}  # how many each caller has begun
        self._done = 0

    def run(self) -> None:
        """Until the last caller has a final result, or the simulation ends."""
        scenario, life, at = self._scenario, self._life, self._events.at
        spread = scenario.warm_up / 2 if life.begun_at == 0 else scenario.spread
        for caller in range(scenario.callers):
            begin = life.begun_at + self._chance.uniform(0, spread)
            if scenario.mode == POLL:
                at(begin, self._poll, caller, self._any_replica())
            else:
                at(begin, self._watch, caller)
        if scenario.mode == WEBHOOK:
            at(life.ended_at + scenario.push_takes, self._push)
        self._events.run(scenario.end, lambda: self._done >= scenario.callers)

    def _count(self, kind: str, times: float = 1.0) -> None:
        self._counts.count(kind, self._events.now, times)

    def _any_replica(self) -> int:
        """The number of one that is up."""
        while True:
            number = self._chance.randrange(self._scenario.replicas)
            if self._scenario.replicas == 1 or self._scenario.is_up(number, self._events.now):
                return number

    # Callers that poll

    def _poll(self, caller: int, number: int) -> None:
        if not self._scenario.is_up(number, self._events.now):
            number = self._any_replica()
        self._count(CALLS)
        at, max_age = self._readers.replica(number), self._scenario.max_age
        known, age = at.reading, 0.0 if at.reading is None else self._events.now - at.reading.at
        at.callers.append(caller)
        if known is not None and known.status != FINAL and (1 - REFRESH_AHEAD) * max_age < age < max_age:
            self._serve(at, known)
            if not at.refreshed and not at.is_reading and at.waits is None:
                at.refreshed = True
                self._readers.take(at, age)
        else:
            self._readers.read(at, max_age)

    def _serve(self, at: Replica, reading: Reading | None) -> None:
        """Answers those who wait on a replica; they come again unless it is final."""
        callers, at.callers = at.callers, []
        for caller in callers:
            if reading is not None and reading.status == FINAL:
                self._done += 1
            else:
                pause = self._scenario.poll_every * self._chance.uniform(1 - JITTER, 1 + JITTER)
                self._events.at(self._events.now + pause, self._poll, caller, at.number)

    # Callers that watch

    def _watch(self, caller: int) -> None:
        number = self._any_replica()
        at, now = self._readers.replica(number), self._events.now
        watch = self._watches[caller] = self._watches.get(caller, 0) + 1
        life = self._scenario.connection_age * self._chance.uniform(MIN_LIFE, MAX_LIFE)
        restart = self._scenario.restarted_at(number)
        self._events.at(min(now + life, restart if restart > now else now + life), self._end, caller, watch, at)
        self._count(WATCHES)
        at.watchers.add(caller)
        if len(at.watchers) == 1:
            self._readers.read(at, self._scenario.max_age)
        elif at.snapshot is not None:
            self._count(MESSAGES)

    def _end(self, caller: int, watch: int, at: Replica) -> None:
        """The gateway ends a watch: the caller comes back, to any replica."""
        if self._watches[caller] != watch or caller not in at.watchers:
            return
        at.watchers.discard(caller)
        if not at.watchers:
            at.snapshot, at.due = None, 0.0
        self._events.at(self._events.now + self._chance.uniform(MIN_RETRY, MAX_RETRY), self._watch, caller)

    def _receive(self, at: Replica, reading: Reading) -> None:
        self._serve(at, reading)
        before = at.snapshot
        if not at.watchers or (before is not None and before.at >= reading.at and reading.status != FINAL):
            return
        at.snapshot = reading
        if before is None or before.status != reading.status:
            self._count(MESSAGES, len(at.watchers))
        if reading.status == FINAL:
            self._done += len(at.watchers)
            at.watchers.clear()
            return
        interval = self._interval(reading, FRESHNESS if before else FIRST_SPREAD)
        self._schedule(at, reading.at + interval, FRESHNESS * interval)

    def _fail(self, at: Replica) -> None:
        self._serve(at, None)
        if at.watchers:
            interval = self._interval(at.snapshot, FRESHNESS)
            self._schedule(at, self._events.now + interval, FRESHNESS * interval)

    def _interval(self, snapshot: Reading | None, least: float) -> float:
        is_pending = snapshot is not None and snapshot.status == 0
        pace = self._scenario.pending_interval if is_pending else self._scenario.in_progress_interval
        return pace * self._chance.uniform(least, 1)

    def _schedule(self, at: Replica, due: float, max_age: float) -> None:
        at.due = max(due, self._events.now)
        self._events.at(at.due, self._poll_watched, at, at.due, max_age)

    def _poll_watched(self, at: Replica, due: float, max_age: float) -> None:
        if at.due == due and at.watchers:
            self._readers.read(at, max_age)

    # The vendor's push

    def _push(self) -> None:
        self._count(PUSHES)
        if not self._readers.push():
            self._events.at(self._events.now + SENT_AGAIN_AFTER, self._push)
