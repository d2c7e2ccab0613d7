"""What has been counted, at one moment: the samples of all metrics, to be read by name and labels."""

from collections.abc import Iterable, Mapping
from typing import Protocol, Self

Key = tuple[str, tuple[tuple[str, str], ...]]
"""A sample's name and its labels, in alphabetical order."""


class Sample(Protocol):
    """One sample of a metric, as Prometheus' library has it."""

    @property
    def name(self) -> str: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def value(self) -> float: ...


class Family(Protocol):
    """A metric and its samples."""

    @property
    def samples(self) -> Iterable[Sample]: ...


class Samples:
    """The values of all samples, by name and labels."""

    def __init__(self, values: Mapping[Key, float]) -> None:
        self.values = values

    @classmethod
    def of(cls, families: Iterable[Family]) -> Self:
        """Those of these metrics."""
        samples = (sample for family in families for sample in family.samples)
        return cls({(each.name, tuple(sorted(each.labels.items()))): float(each.value) for each in samples})

    def since(self, older: "Samples") -> "Samples":
        """What counters have counted since then; of one that began anew, all."""
        before = older.values
        return Samples(
            {
                key: value - before.get(key, 0.0) if value >= before.get(key, 0.0) else value
                for key, value in self.values.items()
            }
        )

    def rows(self, name: str, **labels: str) -> list[tuple[dict[str, str], float]]:
        """The labels and the value of each sample of that name that has these labels, among others."""
        return [
            (own, value)
            for (each, pairs), value in self.values.items()
            if each == name and labels.items() <= (own := dict(pairs)).items()
        ]

    def total(self, name: str, **labels: str) -> float:
        """Their sum; 0 without one."""
        return sum(value for _, value in self.rows(name, **labels))

    def by(self, label: str, name: str, **labels: str) -> dict[str, float]:
        """Their sums by the values of a label, in alphabetical order; "" for those that have no such label."""
        found: dict[str, float] = {}
        for own, value in self.rows(name, **labels):
            found[own.get(label, "")] = found.get(own.get(label, ""), 0.0) + value
        return dict(sorted(found.items()))

    def quantile(self, share: float, name: str, **labels: str) -> float | None:
        """The value of a histogram below which this share of what it has observed lies; None if it has nothing.

        It is at most the histogram's last bound. Within a bucket, the observations count as evenly spread.
        """
        buckets = sorted((float(bound), count) for bound, count in self.by("le", f"{name}_bucket", **labels).items())
        if not buckets or not buckets[-1][1]:
            return None
        wanted, lower, below = share * buckets[-1][1], 0.0, 0.0
        for bound, count in buckets:
            if count >= wanted:
                return lower if bound == float("inf") else lower + (bound - lower) * (wanted - below) / (count - below)
            lower, below = bound, count
        return lower
