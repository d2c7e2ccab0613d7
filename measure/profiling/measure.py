"""Measures a kind of call: the floor, then the CPU time of its calls, then where that went."""

import math
from collections import Counter
from dataclasses import dataclass

from . import processes
from .budget import Steps
from .cpu import Cpu
from .load import Kind, answered
from .sampling import Stacks, sampling
from .steps import GRPC, OURS, step_of

WARM_UP = 1.0


@dataclass(frozen=True, slots=True)
class Profile:
    """What was found of a kind of call, in microseconds of CPU time a call.

    grain: what one sample stands for; samples are of the main thread. others: what others had of the core, 0 to 1.
    """

    kind: Kind
    calls: int
    floor: float
    steps: Steps
    grain: float
    others: float

    @property
    def whole(self) -> float:
        """What a call takes."""
        return sum(self.steps.values())

    def noise(self, microseconds: float) -> float:
        """By how much so many, found by counting samples, may be wrong: two standard deviations."""
        return 2 * math.sqrt(microseconds * (1 - microseconds / self.whole) * self.grain)


def measure(kind: Kind, core: int, seconds: float) -> Profile:
    """Measures it on that core in three runs of so many seconds, the floor first: a machine's speed wanders.

    Raises CallsFailedError, DidNotStartError, GhzError, NotSampledError.
    """
    with processes.floor(core) as (port, pid):
        calls, cpu = _used(kind, port, pid, core, seconds)
        floor = cpu.whole / calls * 1e6
    with processes.vendor(kind.status) as vendor, processes.gateway(core, vendor) as (port, pid):
        calls, cpu = _used(kind, port, pid, core, seconds)
        with sampling(pid, core) as sampled:
            answered(kind, port, seconds)
    grain = cpu.main / calls * 1e6 * sampled.grain
    steps = attribute(sampled.stacks, grain, cpu.whole / calls * 1e6)
    ours, all_of_it = cpu.whole + sampled.cpu.whole + sampled.own, cpu.core + sampled.cpu.core
    return Profile(kind, calls, floor, steps, grain, others=max(1 - ours / all_of_it, 0))


def _used(kind: Kind, port: int, pid: int, core: int, seconds: float) -> tuple[int, Cpu]:
    """Calls answered, and the CPU time that they took."""
    answered(kind, port, min(WARM_UP, seconds))
    before = Cpu.of(pid, core)
    calls = answered(kind, port, seconds)
    return calls, Cpu.of(pid, core).since(before)


def attribute(stacks: Stacks, grain: float, whole: float) -> Steps:
    """Parts what a call takes: so much to our steps for each of their samples, and what is left to gRPC."""
    times: Counter[str] = Counter()
    for stack, number in stacks.items():
        times[step_of(stack)] += number
    ours = {step: grain * times[step] for step in OURS}
    return {GRPC: whole - sum(ours.values())} | ours
