"""Faults that wait for a request: which, for which operation, how often."""

from dataclasses import dataclass
from typing import Any

OPERATIONS = ("result", "cancel", "token")
ANY = "any"


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """A fault of FAULTS by name. operation: one of OPERATIONS, or ANY. times: None means always.

    seconds: of its wait, or for Retry-After; None: the default in FAULTS.
    """

    name: str
    operation: str = ANY
    times: int | None = None
    seconds: float | None = None


class FaultQueue:
    """Faults in the order in which they were planned; each is used up before the next one of its operation begins."""

    def __init__(self, plans: tuple[FaultPlan, ...] = ()) -> None:
        self._plans = list(plans)
        self._taken = [0] * len(plans)

    def __len__(self) -> int:
        return len(self._plans)

    def add(self, plan: FaultPlan) -> None:
        self._plans.append(plan)
        self._taken.append(0)

    def report(self) -> list[dict[str, Any]]:
        """The plans, in their order, as a request plans them, with how many requests each was `taken` for."""
        return [
            {
                "fault": plan.name,
                "operation": plan.operation,
                "times": plan.times,
                "seconds": plan.seconds,
                "taken": taken,
            }
            for plan, taken in zip(self._plans, self._taken, strict=True)
        ]

    def clear(self) -> None:
        self._plans.clear()
        self._taken.clear()

    def take(self, operation: str) -> FaultPlan | None:
        """The fault for a request, counted as one of its times; None when none is planned."""
        for number, plan in enumerate(self._plans):
            if plan.operation not in (ANY, operation):
                continue
            if plan.times is None or self._taken[number] < plan.times:
                self._taken[number] += 1
                return plan
        return None
