"""How the replicas read one call request: server/reading and server/state, without the code.

Whoever finds nothing young enough runs TAKE; who is granted the lease asks the vendor, stores, and that is published;
others wait for it. What takes less than a millisecond takes no time here.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from measure.following.lives import FINAL, Life
from server.reading.results import MAX_PUBLISHED_AGE
from server.state.engine import PROBE_EVERY
from server.state.subscriber import RECONNECT_AFTER

from .counts import ENGINE_OPERATIONS, OWN_READS, PUBLICATIONS, SHARED_READS, VENDOR_CALLS
from .events import Events
from .scenario import Scenario

PROBES = 1.8
"""Reads a second that a replica's throttle lets through to a vendor that is down: server/reading/throttle.py."""


class Reading(NamedTuple):
    """at: when the vendor was asked. status: 0 pending, 1 in progress, FINAL."""

    at: float
    status: int


class Wait(NamedTuple):
    """What a replica that waits for another's lease will accept: so young, or read since then."""

    max_age: float
    since: float


@dataclass(slots=True, eq=False)
class Replica:
    """What one replica knows. callers: of Get, who wait for its read; watchers: those who watch on it.

    due: when its next poll is. up_at, heard_at: from when on it shares, and hears what is published.
    """

    number: int
    reading: Reading | None = None
    is_reading: bool = False
    waits: Wait | None = None
    refreshed: bool = False
    up_at: float = 0.0
    heard_at: float = 0.0
    callers: list[int] = field(default_factory=list)
    watchers: set[int] = field(default_factory=set)
    snapshot: Reading | None = None
    due: float = 0.0


class Readers:
    """received: called with a replica and what it has read; failed: when its read failed."""

    def __init__(
        self,
        scenario: Scenario,
        life: Life,
        events: Events,
        count: Callable[[str], None],
        chance: random.Random,
        received: Callable[[Replica, Reading], None],
        failed: Callable[[Replica], None],
    ) -> None:
        self._scenario, self._life, self._events = scenario, life, events
        self._count, self._chance = count, chance
        self._received, self._failed = received, failed
        self._replicas: dict[int, Replica] = {}
        self._shared: Reading | None = None
        self._lease: tuple[Replica, float] | None = None
        for outage in scenario.engine_outages:
            if outage.end > life.begun_at:
                events.at(max(outage.begin, life.begun_at), self._lose_engine, outage.end)
                events.at(outage.end, self._return_engine)

    def replica(self, number: int) -> Replica:
        """The replica of that number."""
        return self._replicas.get(number) or self._replicas.setdefault(number, Replica(number))

    def read(self, at: Replica, max_age: float) -> None:
        """Has a replica read, or join its read in progress; `received` or `failed` follows, at once or later."""
        known = at.reading
        if known is not None and (known.status == FINAL or self._events.now - known.at < max_age):
            self._received(at, known)
        elif not at.is_reading and at.waits is None:
            self.take(at, max_age)

    def take(self, at: Replica, max_age: float, since: float | None = None) -> None:
        """Looks at what is shared; whatever the replica itself knows does not count."""
        now, shared = self._events.now, self._shared
        if now < at.up_at:
            self._ask(at, shares=False)
            return
        self._count(ENGINE_OPERATIONS)
        if shared is not None and (
            shared.status == FINAL or now - shared.at < max_age or (since is not None and shared.at >= since)
        ):
            self._count(SHARED_READS)
            self._deliver(at, shared)
        elif self._lease is not None:
            begun = self._lease[1]
            at.waits = Wait(max_age, begun if since is None else min(since, begun))
        else:
            self._lease = at, now
            self._ask(at, shares=True)

    def push(self) -> bool:
        """The vendor's push of the final result, to any replica; False when the engine is away."""
        if any(outage.begin <= self._events.now < outage.end for outage in self._scenario.engine_outages):
            return False
        for _ in ("EVENT", "PUSH", "EVENT"):
            self._count(ENGINE_OPERATIONS)
        if self._shared is None or self._shared.status != FINAL:
            self._publish(Reading(self._events.now, FINAL), None)
        return True

    def _ask(self, at: Replica, *, shares: bool) -> None:
        scenario, now = self._scenario, self._events.now
        at.is_reading, at.waits = True, None
        if any(outage.begin <= now < outage.end for outage in scenario.vendor_outages):
            rate = scenario.polled_each / scenario.pending_interval
            if self._chance.random() < PROBES / max(rate, PROBES):
                self._count(VENDOR_CALLS)
                if shares:
                    self._count(ENGINE_OPERATIONS)  # TAKE, once more: now for a lease
            elif shares:
                self._end_lease(at)  # the throttle refuses before there is one
                shares = False
            self._events.at(now, self._fail, at, shares)
            return
        self._count(VENDOR_CALLS)
        status = (now >= self._life.called_at) + (now >= self._life.ended_at)
        self._events.at(now + scenario.vendor_takes, self._answer, at, Reading(now, status), shares)

    def _answer(self, at: Replica, reading: Reading, shares: bool) -> None:
        at.is_reading = False
        self._count(OWN_READS)
        if shares and self._events.now >= at.up_at:
            self._count(ENGINE_OPERATIONS)
            self._end_lease(at)
            if self._shared is None or self._shared.at < reading.at or self._shared.status < reading.status == FINAL:
                self._publish(reading, at)
        self._deliver(at, reading)

    def _fail(self, at: Replica, shares: bool) -> None:
        at.is_reading = False
        if shares and self._events.now >= at.up_at:
            self._count(ENGINE_OPERATIONS)  # RELEASE
            self._end_lease(at)
            self._wake(at)
        self._failed(at)

    def _end_lease(self, at: Replica) -> None:
        if self._lease is not None and self._lease[0] is at:
            self._lease = None

    def _publish(self, reading: Reading, by: Replica | None) -> None:
        self._shared = reading
        self._count(PUBLICATIONS)
        for other in list(self._replicas.values()):
            if other is not by and self._events.now >= other.heard_at:
                other.reading = None
                if other.waits is None and other.watchers and not other.is_reading:
                    self.read(other, MAX_PUBLISHED_AGE)
        self._wake(by)

    def _wake(self, by: Replica | None) -> None:
        for other in list(self._replicas.values()):
            if other is not by and other.waits is not None:
                waits, other.waits = other.waits, None
                self.take(other, *waits)

    def _deliver(self, at: Replica, reading: Reading) -> None:
        at.reading, at.refreshed = reading, False
        self._received(at, reading)

    def _lose_engine(self, until: float) -> None:
        self._lease = None
        for each in list(self._replicas.values()):
            if each.waits is not None:
                self._ask(each, shares=False)
        for number in range(self._scenario.replicas):
            self.replica(number).up_at = self.replica(number).heard_at = until

    def _return_engine(self) -> None:
        """It is empty. Each replica notices it, and its subscriber; after both it trusts nothing that may change."""
        self._shared = self._lease = None
        burst = self._scenario.polled_each * self._scenario.poll_takes
        for each in self._replicas.values():
            each.up_at = self._events.now + self._chance.uniform(0, PROBE_EVERY)
            each.heard_at = self._events.now + self._chance.uniform(0, RECONNECT_AFTER)
            # All that is watched is polled at once, which takes a while; what is noticed meanwhile is no second poll.
            first, second = sorted((each.up_at, each.heard_at))
            polled_at = first + self._chance.uniform(0, burst)
            self._events.at(polled_at, self._miss, each)
            if polled_at < second:
                self._events.at(second + self._chance.uniform(0, burst), self._miss, each)

    def _miss(self, at: Replica) -> None:
        if at.reading is not None and at.reading.status != FINAL:
            at.reading = None
        if at.watchers:
            self.read(at, self._scenario.max_age)
