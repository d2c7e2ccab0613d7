"""What is simulated: so many open call requests, those who follow them, the replicas, and what happens to these."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from measure.following.lives import Life

POLL, WATCH, WEBHOOK = "polling", "watching", "watching, webhook"
MODES = (POLL, WATCH, WEBHOOK)
"""How callers follow: Get each poll_every seconds; WatchCallRequestResult; the same while the vendor pushes."""


class Outage(NamedTuple):
    """From begin to end, in seconds since the simulation began."""

    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """All times in seconds.

    open: call requests at any time; when one is final, the next one begins. callers: who follow each of them. waits,
    calls: how long a call request waits for its call, and how long that takes, on average (both exponential).
    warm_up: not counted. restart: for how long a replica is away when it is restarted, once, one after the other; 0:
    none is. engine_outages: the engine comes back empty. spread: within which the callers of a new call request begin.
    poll_takes: CPU of a poll; when all are due at once, the last one waits for the others.
    """

    mode: str
    open: int
    callers: int = 2
    replicas: int = 4
    seconds: float = 86_400.0
    warm_up: float = 600.0
    waits: float = 12 * 3600.0
    calls: float = 300.0
    poll_every: float = 10.0
    max_age: float = 1.0
    pending_interval: float = 60.0
    in_progress_interval: float = 5.0
    connection_age: float = 1800.0
    vendor_takes: float = 0.05
    push_takes: float = 1.0
    restart: float = 20.0
    engine_outages: tuple[Outage, ...] = ()
    vendor_outages: tuple[Outage, ...] = ()
    spread: float = 30.0
    poll_takes: float = 0.0005

    @property
    def end(self) -> float:
        """When the simulation ends."""
        return self.warm_up + self.seconds

    @property
    def replicas_each(self) -> float:
        """On how many replicas the callers of a call request are, on average, when each chose one at random."""
        return self.replicas * (1 - (1 - 1 / self.replicas) ** self.callers)

    @property
    def polled_each(self) -> float:
        """How many call requests are followed on a replica."""
        return self.open * self.replicas_each / self.replicas

    def lives(self, chance: random.Random) -> Iterator[Life]:
        """One call request after the other, as in the midst of a long time, without end."""
        moment, is_called = 0.0, chance.random() < self.calls / (self.waits + self.calls)
        while True:
            called_at = moment if is_called else moment + chance.expovariate(1 / self.waits)
            ended_at = called_at + chance.expovariate(1 / self.calls)
            yield Life(moment, called_at, ended_at)
            moment, is_called = ended_at, False

    def restarted_at(self, replica: int) -> float:
        """When that replica is restarted; infinite: never."""
        share = (replica + 1) / (self.replicas + 1)
        return self.warm_up + self.seconds * share if self.restart else float("inf")

    def is_up(self, replica: int, moment: float) -> bool:
        """Whether that replica serves."""
        at = self.restarted_at(replica)
        return not at <= moment < at + self.restart
