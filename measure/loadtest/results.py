"""The aggregates of a run: for the report, and for the baseline. Durations are in seconds."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter

from .histogram import histogram, quantile


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of one run of ghz, or of several at once. Latencies are of all calls, those that failed included."""

    calls: int
    seconds: float
    errors: dict[str, int]
    """How many calls failed, by code."""
    median: float | None
    p99: float | None
    latencies: dict[int, int]
    """See histogram.py."""

    @classmethod
    def of(cls, outcomes: Iterable[tuple[float, str]], seconds: float) -> Self:
        """Sums up calls: the latency and the code of each, and how long it all took."""
        all_of_them = list(outcomes)
        ordered = sorted(latency for latency, _ in all_of_them)
        errors: dict[str, int] = {}
        for _, code in all_of_them:
            if code != "OK":
                errors[code] = errors.get(code, 0) + 1
        return cls(
            calls=len(ordered),
            seconds=seconds,
            errors=errors,
            median=quantile(ordered, 0.5),
            p99=quantile(ordered, 0.99),
            latencies=histogram(ordered),
        )

    @property
    def failed(self) -> int:
        """How many calls did not end with OK."""
        return sum(self.errors.values())

    @property
    def per_second(self) -> float:
        """Calls a second that ended with OK."""
        return (self.calls - self.failed) / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Moment:
    """The gateway at a time of a scenario: calls served and requests to the vendor since the moment before."""

    at: float
    lasted: float
    served: float
    vendor_calls: float


@dataclass(frozen=True, slots=True)
class Measured:
    """A scenario that was measured.

    parts: its runs of ghz, when there were several. served: calls that the gateway counted. vendor_calls: its requests
    to the vendor, for results and cancels. cpu: seconds. None: not known, or the gateway is not ours.
    """

    total: Calls
    parts: dict[str, Calls] = field(default_factory=dict)
    served: float | None = None
    vendor_calls: float | None = None
    cpu: float | None = None
    course: tuple[Moment, ...] = ()

    @property
    def vendor_calls_per_call(self) -> float | None:
        """Requests to the vendor for each call served."""
        if self.vendor_calls is None or not self.served:
            return None
        return self.vendor_calls / self.served

    @property
    def cpu_per_call(self) -> float | None:
        """The gateway's CPU time for each call."""
        return None if self.cpu is None or not self.total.calls else self.cpu / self.total.calls


@dataclass(frozen=True, slots=True)
class Point:
    """One concurrency of the sweep. Latencies are None when no call was made."""

    concurrency: int
    per_second: float
    median: float | None
    p99: float | None
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Circumstances:
    """When, with what and on what a run was made. Nothing personal: neither paths nor names of hosts."""

    made_at: str
    version: str | None
    """Of the gateway; None when it was not started here. The same with its commit."""
    commit: str | None
    length: float
    vendor: str
    vendor_latency: float | None
    machine: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """All of a run: scenarios and the sweep's points by name."""

    circumstances: Circumstances
    scenarios: dict[str, Measured]
    sweep: dict[str, tuple[Point, ...]]
    left_out: tuple[str, ...] = ()
    """What was not measured, each with its reason, in sentences."""

    def calls(self, scenario: str, part: str) -> Calls | None:
        """The calls of a part, which may be all of its scenario; None when it was not run."""
        measured = self.scenarios.get(scenario)
        if measured is None:
            return None
        return measured.parts.get(part) if measured.parts else measured.total


_RUN = TypeAdapter(Run)


class NoRunError(Exception):
    """A file has no run in it. The text names the file."""


def read_run(path: Path) -> Run | None:
    """The run in a file; None when there is no such file. Raises NoRunError when the file has something else."""
    if not path.exists():
        return None
    try:
        return _RUN.validate_json(path.read_bytes())
    except ValueError:
        raise NoRunError(
            f"{path.name}: was not written by this version; delete it, and write a new one with --save-baseline"
        ) from None


def write_run(run: Run, path: Path) -> None:
    """Writes a run down, some kilobytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_RUN.dump_json(run, indent=1) + b"\n")
