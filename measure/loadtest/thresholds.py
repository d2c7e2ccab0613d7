"""Thresholds: the bounds of each scenario, read from a TOML file; ghz has none of its own."""

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .figures import number
from .results import Measured
from .scenarios import SCENARIOS

FILE = Path(__file__).parent / "thresholds.toml"


class WrongThresholdsError(Exception):
    """The file cannot be used. The text has the reason."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What can be bounded: its name for people, its value in a scenario (None: could not be measured) and its unit."""

    title: str
    of: Callable[[Measured], float | None]
    unit: str = ""

    def written(self, value: float | None) -> str:
        """A value of it, for people."""
        return number(value) if value is None or not self.unit else f"{number(value)}\u00a0{self.unit}"


def _errors_share(measured: Measured) -> float:
    return measured.total.failed / measured.total.calls if measured.total.calls else 1.0


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


MEASURES: Mapping[str, Measure] = {
    "errors_share": Measure("errors a call", _errors_share),
    "median_ms": Measure("median", lambda measured: _milliseconds(measured.total.median), "ms"),
    "p99_ms": Measure("99th percentile", lambda measured: _milliseconds(measured.total.p99), "ms"),
    "calls_per_second": Measure("calls a second", lambda measured: measured.total.per_second),
    "vendor_calls_per_call": Measure("vendor calls a call", lambda measured: measured.vendor_calls_per_call),
}


@dataclass(frozen=True, slots=True)
class Threshold:
    """A bound on a measure of a scenario: at most the limit, or at least."""

    scenario: str
    measure: str
    at_most: bool
    limit: float

    @property
    def bound(self) -> str:
        """What is allowed, for people: ≤ 0.05."""
        return f"{'≤' if self.at_most else '≥'}\u00a0{MEASURES[self.measure].written(self.limit)}"

    def judge(self, measured: Measured) -> "Verdict":
        """Compares it with what was measured. What a gateway elsewhere does not tell is not missed; no calls are."""
        value = MEASURES[self.measure].of(measured)
        if not measured.total.calls:
            return Verdict(self, value, False)
        if value is None:
            return Verdict(self, None, None)
        return Verdict(self, value, value <= self.limit if self.at_most else value >= self.limit)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a threshold. passed: None when it could not be measured."""

    threshold: Threshold
    value: float | None
    passed: bool | None

    @property
    def measured_text(self) -> str:
        """What was measured, for people."""
        return MEASURES[self.threshold.measure].written(self.value)


def read_thresholds(path: Path) -> list[Threshold]:
    """The thresholds of a file, in its order. Raises WrongThresholdsError."""
    try:
        tables = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WrongThresholdsError(f"{path.name}: {error}") from None
    names = {scenario.name for scenario in SCENARIOS}
    found = []
    for scenario, bounds in tables.items():
        if scenario not in names or not isinstance(bounds, dict):
            raise WrongThresholdsError(f"{path.name}: [{scenario}] is no scenario; these are: {', '.join(names)}")
        found += [_read(path, scenario, name, limit) for name, limit in bounds.items()]
    return found


def _read(path: Path, scenario: str, name: str, limit: object) -> Threshold:
    measure, _, bound = name.rpartition("_")
    if measure not in MEASURES or bound not in ("most", "least"):
        known = ", ".join(MEASURES)
        raise WrongThresholdsError(f"{path.name}: {name}: must be one of {known}, and end with _most or _least")
    if isinstance(limit, bool) or not isinstance(limit, int | float):
        raise WrongThresholdsError(f"{path.name}: {name}: must be a number")
    return Threshold(scenario, measure, bound == "most", float(limit))


def judge(thresholds: Iterable[Threshold], scenarios: Mapping[str, Measured]) -> list[Verdict]:
    """The verdicts on all scenarios that were measured."""
    return [each.judge(scenarios[each.scenario]) for each in thresholds if each.scenario in scenarios]
