"""Compares the simulation with real processes: the same scenario, simulated and run."""

from dataclasses import dataclass

from . import counts as kinds
from .reality import Reality, compressed, measure
from .run import simulate

MOST = 0.15
"""How far a simulated figure may be from the counted one, as a share of that."""
SAMPLE = 1_000


@dataclass(frozen=True, slots=True)
class Compared:
    """One way to follow. The shares are positive where more was simulated than counted."""

    mode: str
    simulated: Reality
    counted: Reality

    @property
    def vendor_calls(self) -> float:
        """By how much the simulation is off."""
        return self.simulated.vendor_calls / max(self.counted.vendor_calls, 1) - 1

    @property
    def engine_operations(self) -> float:
        """The same."""
        return self.simulated.engine_operations / max(self.counted.engine_operations, 1) - 1

    @property
    def held(self) -> bool:
        """Whether both are within MOST."""
        return max(abs(self.vendor_calls), abs(self.engine_operations)) <= MOST


async def compare(mode: str) -> Compared:
    """Simulates a scenario and runs it, which takes about three minutes."""
    scenario = compressed(mode)
    counts = simulate(scenario, SAMPLE)
    simulated = Reality(round(counts.total(kinds.VENDOR_CALLS)), round(counts.total(kinds.ENGINE_OPERATIONS)), 0.0)
    return Compared(mode, simulated, await measure(scenario))
