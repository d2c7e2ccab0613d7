"""A seed, and the plans that most seeds have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .call_requests import SUCCESS, Plan
from .dialect import Dialect, Status
from .fault_queue import FaultPlan


@dataclass(frozen=True, slots=True)
class Seed:
    """A call request that exists from the start. id: 16 of A–Z, a–z, 0–9. sentence: its purpose, for people."""

    id: str
    sentence: str
    plan: Plan


_VERIFIED: Mapping[str, Any] = {**SUCCESS, "dialTime": "2025-06-03T10:10:00Z"}


def completed(outcome: Mapping[str, Any] = _VERIFIED, **spelt: Any) -> Plan:
    """COMPLETED for ever. spelt: fields of the Dialect."""
    return Plan(status=Status.COMPLETED, outcome=outcome, dialect=Dialect(**spelt))


def pending(faults: tuple[FaultPlan, ...] = (), **spelt: Any) -> Plan:
    """PENDING_TO_CALL until it is cancelled. spelt: fields of the Dialect."""
    return Plan(status=Status.PENDING_TO_CALL, faults=faults, dialect=Dialect(**spelt))
