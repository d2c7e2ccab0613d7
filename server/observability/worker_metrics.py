"""The metrics of several workers: each counts in files of its slot, which Prometheus' library adds up for a scrape.

A worker that replaces another goes on counting in the files of its slot, so that the sums never fall.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import prometheus_client.values
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Metric,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from .samples import Samples


def count_in_slot(slot: int, folder: str) -> None:
    """Has this process, one of several workers, count in the files of its slot there. Before any Metrics is made."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # the library takes it from nowhere else
    values: Any = prometheus_client.values
    values.ValueClass = values.MultiProcessValue(lambda: slot)


class AggregatedMetrics:
    """The sums of what all workers count, what becomes of the workers, and what each process uses.

    folder: for their files. processes: returns the numbers of the processes that run, by name. lines_lost: returns how
    many lines of the log this process has lost.
    """

    def __init__(
        self, folder: str, processes: Callable[[], Mapping[str, int]], lines_lost: Callable[[], int] = int
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._folder = folder
        self._own = CollectorRegistry()
        self._ended = Counter("workers_ended", "Workers that ended and were replaced.", registry=self._own)
        self._serving = Gauge("workers_serving", "Workers that serve calls.", registry=self._own)
        self._own.register(_Processes(processes))
        self._own.register(_Sums(folder, lines_lost))

    def worker_serves(self) -> None:
        """Counts it among those that serve."""
        self._serving.inc()

    def worker_ended(self, slot: int, *, served: bool) -> None:
        """Counts it, and takes what it had in flight out of the sums."""
        self._ended.inc()
        self._serving.dec(served)
        mark_process_dead(slot, self._folder)  # type: ignore[no-untyped-call]

    def samples(self) -> Samples:
        """Returns all of it, to be read by name."""
        return Samples.of(self._own.collect())

    def exposition(self) -> bytes:
        """Returns all of it in Prometheus' text format."""
        return generate_latest(self._own)


class _Sums(Collector):
    """What all workers have counted, and the lines that this process has lost of the log."""

    def __init__(self, folder: str, lines_lost: Callable[[], int]) -> None:
        self._workers = MultiProcessCollector(None, folder)  # type: ignore[no-untyped-call]
        self._lines_lost = lines_lost

    def collect(self) -> Iterable[Metric]:
        for metric in self._workers.collect():  # type: ignore[no-untyped-call]
            if metric.name == "log_lines_lost":
                metric.samples = [each._replace(value=each.value + self._lines_lost()) for each in metric.samples]
            metric.samples = [each._replace(labels=_by_process(each.labels)) for each in metric.samples]
            yield metric

    def describe(self) -> Iterable[Metric]:
        return ()  # it depends on the workers


def _by_process(labels: Mapping[str, str]) -> dict[str, str]:
    """Where each worker has a sample of its own, the library names it by its slot, in a label `pid`."""
    if "pid" not in labels:
        return dict(labels)
    return {name: value for name, value in labels.items() if name != "pid"} | {"process": f"worker-{labels['pid']}"}


class _Processes(Collector):
    """What each process uses, by the label `process`: names as Prometheus' library has them for one process."""

    def __init__(self, processes: Callable[[], Mapping[str, int]]) -> None:
        self._processes = processes

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for name, number in self._processes().items():
            for metric in ProcessCollector(pid=partial(int, number), registry=None).collect():
                family = families.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                family.samples += [each._replace(labels={"process": name}) for each in metric.samples]
        return families.values()

    def describe(self) -> Iterable[Metric]:
        return ()
