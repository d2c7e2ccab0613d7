"""What a simulation counts, step by step."""

from collections.abc import Mapping

VENDOR_CALLS, ENGINE_OPERATIONS, PUBLICATIONS = "vendor calls", "engine operations", "publications"
CALLS, OWN_READS, SHARED_READS = "calls", "own reads", "shared reads"
WATCHES, MESSAGES, PUSHES = "watches begun", "messages", "pushes"
KINDS = (VENDOR_CALLS, ENGINE_OPERATIONS, PUBLICATIONS, CALLS, OWN_READS, SHARED_READS, WATCHES, MESSAGES, PUSHES)


class Counts:
    """How often each kind of thing happened from `begin` to `end`, in steps of `step` seconds.

    factor: how many of what is counted each one stands for.
    """

    def __init__(self, begin: float, end: float, step: float = 60.0, factor: float = 1.0) -> None:
        self._begin, self._step, self._factor = begin, step, factor
        self.steps = max(round((end - begin) / step), 1)
        self._counted = {kind: [0.0] * self.steps for kind in KINDS}

    def count(self, kind: str, moment: float, times: float = 1.0) -> None:
        """Counts what happened at that moment."""
        step = int((moment - self._begin) // self._step)
        if 0 <= step < self.steps:
            self._counted[kind][step] += times

    def total(self, kind: str) -> float:
        """How often, in all."""
        return sum(self._counted[kind]) * self._factor

    def a_second(self, weights: Mapping[str, float]) -> list[float]:
        """For each step the sum of these kinds, each by its weight, in a second."""
        scale = self._factor / self._step
        chosen = [(self._counted[kind], weight) for kind, weight in weights.items()]
        return [sum(counted[step] * weight for counted, weight in chosen) * scale for step in range(self.steps)]
