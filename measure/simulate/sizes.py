"""From what was counted to what it takes: CPU, memory, replicas."""

import math
from dataclasses import dataclass

from server.settings import Settings

from . import counts as kinds
from .constants import Constants
from .counts import Counts
from .scenario import POLL, Scenario

BUSY = 0.6
"""The share of its core that a replica may use in the busiest minute."""
SPARE = 1
"""Replicas more than that: one may be away."""
FINAL_MAX_AGE = 3600.0
"""Seconds for which a final result is kept; any other for as long as it is read."""
MAX_REPLICAS = 2_000


@dataclass(frozen=True, slots=True)
class Size:
    """What a scenario takes.

    vendor_calls: a day; most_vendor_calls: a second, in the busiest minute, as all that is most or busiest. operations:
    the engine's, a second. cores: of all gateways; engine: the engine's. memory, engine_memory: GB. replicas: None:
    however many there were, each would be busy with what the others publish.
    """

    scenario: Scenario
    vendor_calls: float
    most_vendor_calls: float
    operations: float
    most_operations: float
    cores: float
    busiest: float
    engine: float
    engine_busiest: float
    memory: float
    engine_memory: float
    replicas: int | None


def size(scenario: Scenario, counts: Counts, constants: Constants) -> Size:
    """The size of a scenario of which this was counted."""
    own, shared = ("own_read", "shared_read") if scenario.mode == POLL else ("own_poll", "shared_poll")
    weights = {
        kinds.CALLS: constants.call,
        kinds.OWN_READS: getattr(constants, own),
        kinds.SHARED_READS: getattr(constants, shared),
        kinds.WATCHES: constants.watch,
        kinds.MESSAGES: constants.message,
        kinds.PUSHES: constants.push,
    }
    watches = 0 if scenario.mode == POLL else scenario.open * scenario.callers
    work = [each / 1e6 + watches * constants.idle / 1e6 for each in counts.a_second(weights)]
    # Each process hears of all that the others publish.
    heard = max(counts.a_second({kinds.PUBLICATIONS: constants.publication / 1e6}))
    to_engine = {
        kinds.ENGINE_OPERATIONS: constants.operation / 1e6,
        kinds.PUBLICATIONS: constants.delivery * scenario.replicas / 1e6,
    }
    engine = counts.a_second(to_engine)
    finished = scenario.open / (scenario.waits + scenario.calls) * FINAL_MAX_AGE
    kept = scenario.open * scenario.replicas_each + finished * scenario.replicas_each
    memory = scenario.replicas * constants.memory + watches * constants.watch_memory + kept * constants.entry_memory
    days = scenario.seconds / 86_400
    vendor, operations = counts.a_second({kinds.VENDOR_CALLS: 1}), counts.a_second({kinds.ENGINE_OPERATIONS: 1})
    return Size(
        scenario,
        counts.total(kinds.VENDOR_CALLS) / days,
        max(vendor),
        sum(operations) / len(operations),
        max(operations),
        sum(work) / len(work) + heard * scenario.replicas,
        max(work) + heard * scenario.replicas,
        sum(engine) / len(engine),
        max(engine),
        memory / 1e6,
        (scenario.open + finished) * constants.stored / 1e6,
        _replicas(max(work), heard, watches),
    )


def _replicas(work: float, heard: float, watches: float) -> int | None:
    """How many there must be."""
    free = BUSY - heard
    if free <= 0 or work / free > MAX_REPLICAS:
        return None
    most_watches = int(Settings.model_fields["max_watches"].default)
    return max(math.ceil(work / free), math.ceil(watches / most_watches), 1) + SPARE
