"""The Prometheus metrics. Labels are bounded: methods, codes and rows of tables, never what somebody sent.

Of several workers each counts in files of its slot, which Prometheus' library adds up for a scrape. A worker that
takes the place of another counts on in its files, so that the sums never fall.
"""

import os
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

import prometheus_client.values
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from callrequest.v1.error_reason_pb2 import ErrorReason

from .deferred import Deferred

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METHOD = ("grpc_type", "grpc_service", "grpc_method")


def count_in_slot(slot: int, folder: str) -> None:
    """Has this process, one of several workers, count in the files of its slot there. Before any Metrics is made."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # the library takes it from nowhere else
    values: Any = prometheus_client.values
    values.ValueClass = values.MultiProcessValue(lambda: slot)


class AggregatedMetrics:
    """The sums of what all workers count, and what becomes of the workers. folder: for their files."""

    def __init__(self, folder: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._folder = folder
        self._own = CollectorRegistry()
        self._ended = Counter("workers_ended", "Workers that ended and were replaced.", registry=self._own)
        self._serving = Gauge("workers_serving", "Workers that serve calls.", registry=self._own)

    def worker_serves(self) -> None:
        """Counts it among those that serve."""
        self._serving.inc()

    def worker_ended(self, slot: int, *, served: bool) -> None:
        """Counts it, and takes what it had in flight out of the sums."""
        self._ended.inc()
        self._serving.dec(served)
        mark_process_dead(slot, self._folder)  # type: ignore[no-untyped-call]

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        sums = CollectorRegistry()
        MultiProcessCollector(sums, self._folder)  # type: ignore[no-untyped-call]
        return generate_latest(sums) + generate_latest(self._own)


class Metrics:
    """Counts calls (named as in go-grpc-middleware) and what happens at the vendor, in batches.

    quirks: of the vendor, by number. settled_by: what may settle a cancel. watch_causes: what may end a watch.
    read_sources: where a read's answer may come from. Each of them has its series from the start, at 0.
    """

    def __init__(
        self,
        quirks: Iterable[str] = (),
        settled_by: Iterable[str] = (),
        watch_causes: Iterable[str] = (),
        read_sources: Iterable[str] = (),
    ) -> None:
        self._deferred = Deferred()
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which no one reads
        self._registry = CollectorRegistry()
        self._handled = self._counter("grpc_server_handled", "Calls ended, by status code.", *_METHOD, "grpc_code")
        self._handling = self._histogram("grpc_server_handling_seconds", "How long calls took.", *_METHOD)
        self._failures = self._counter(
            "grpc_server_failures", "Calls failed, by ErrorReason.", "grpc_service", "grpc_method", "reason"
        )
        self._in_flight = Gauge(
            "calls_in_flight", "Calls being served.", ("kind",), registry=self._registry, multiprocess_mode="livesum"
        )
        self._vendor = self._histogram(
            "vendor_request_seconds",
            "Requests to the vendor; operation: result, cancel, token; outcome: the class of the HTTP status, or what "
            "became of the connection.",
            "operation",
            "outcome",
        )
        self._quirks = self._counter("vendor_quirks", "Replies with a quirk, by its number.", "quirk")
        self._unrecognized = self._counter(
            "vendor_unrecognized_values", "Values of the vendor that could not be read, by our field.", "field"
        )
        self._reads = self._counter("result_reads", "Reads, by where the answer came from.", "source")
        self._retries = self._counter("result_retries", "Reads tried again at the vendor.")
        self._cancellations = self._counter("cancellations", "Cancels, by what settled them.", "settled_by")
        self._watchers = Gauge(
            "watchers", "Watches being served.", registry=self._registry, multiprocess_mode="livesum"
        )
        self._watches_ended = self._counter("watches_ended", "Watches ended, by what ended them.", "cause")
        self._items_failed = self._counter(
            "batch_items_failed", "Items of batches that are errors, by ErrorReason.", "reason"
        )
        self._by_caller = self._counter(
            "grpc_server_calls_by_caller", "Calls ended, by who called.", "caller", "grpc_method", "grpc_code"
        )

        self._rate_limited = self._counter(
            "caller_rate_limited", "Calls above their caller's max_per_second, refused or not.", "caller"
        )
        self._state_up = Gauge(
            "state_up",
            "1 while results are shared with other processes, 0 while the engine is down, or none is set.",
            registry=self._registry,
            multiprocess_mode="livemin",
        )
        self._reloads = self._counter("file_reloads", "Changed files, by what became of them.", "settings", "outcome")
        self._files_good = Gauge(
            "file_reload_success",
            "1 if the files were good when they were read last, 0 while older contents hold.",
            ("settings",),
            registry=self._registry,
            multiprocess_mode="livemin",
        )
        self._files_read_at = Gauge(
            "file_reload_success_timestamp_seconds",
            "When the files were last read and good.",
            ("settings",),
            registry=self._registry,
            multiprocess_mode="livemin",
        )
        self._certificate_ends = Gauge(
            "certificate_expiry_timestamp_seconds",
            "When the first of the certificates of these settings ends.",
            ("settings",),
            registry=self._registry,
            multiprocess_mode="livemin",
        )

        self._calls: dict[tuple[tuple[str, str, str], str | None, str], tuple[Counter, Histogram, Counter | None]] = {}
        self._requests: dict[tuple[str, str], Histogram] = {}
        self._sources: dict[str, Counter] = {}
        for quirk in quirks:
            self._quirks.labels(quirk)
        for what in settled_by:
            self._cancellations.labels(what)
        for reason in ErrorReason.keys()[1:]:
            self._items_failed.labels(reason.removeprefix("ERROR_REASON_"))
        for cause in watch_causes:
            self._watches_ended.labels(cause)
        for source in read_sources:
            self._sources[source] = self._reads.labels(source)

    def _counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(name, says, labels, registry=self._registry)

    def _histogram(self, name: str, says: str, *labels: str) -> Histogram:
        return Histogram(name, says, labels, buckets=_SECONDS, registry=self._registry)

    def call_ended(
        self, method: tuple[str, str, str], caller: str | None, code: str, reason: str | None, seconds: float
    ) -> None:
        """Counts a call. method: its type, service and name. reason: its ErrorReason's name, if it failed with one.

        caller: a name of the callers' file, or one for all that have none there; None: not counted by caller.
        """
        self._deferred.defer(self._count_call, method, caller, code, reason, seconds)

    def _count_call(
        self, method: tuple[str, str, str], caller: str | None, code: str, reason: str | None, seconds: float
    ) -> None:
        key = (method, caller, code)
        counters = self._calls.get(key)
        if counters is None:  # finding them by their labels takes longer than counting
            by_caller = None if caller is None else self._by_caller.labels(caller, method[2], code)
            counters = self._calls[key] = (
                self._handled.labels(*method, code),
                self._handling.labels(*method),
                by_caller,
            )
        handled, handling, by_caller = counters
        handled.inc()
        handling.observe(seconds)
        if by_caller is not None:
            by_caller.inc()
        if reason is not None:
            self._failures.labels(*method[1:], reason).inc()

    def caller_limited(self, caller: str, calls: int = 1) -> None:
        """Counts calls above the rate of a caller of the file; 0 calls: begins its series."""
        self._rate_limited.labels(caller).inc(calls)

    def vendor_request(self, operation: str, outcome: str, seconds: float) -> None:
        """Counts a request to the vendor."""
        self._deferred.defer(self._count_request, operation, outcome, seconds)

    def _count_request(self, operation: str, outcome: str, seconds: float) -> None:
        histogram = self._requests.get((operation, outcome))
        if histogram is None:
            histogram = self._requests[operation, outcome] = self._vendor.labels(operation, outcome)
        histogram.observe(seconds)

    def vendor_reply(self, quirks: Collection[str], unrecognized_fields: Collection[str]) -> None:
        """Counts the numbers of a reply's quirks, and our fields whose values it could not be read for."""
        if quirks or unrecognized_fields:
            self._deferred.defer(self._count_reply, quirks, unrecognized_fields)

    def _count_reply(self, quirks: Collection[str], unrecognized_fields: Collection[str]) -> None:
        for quirk in quirks:
            self._quirks.labels(quirk).inc()
        for field in unrecognized_fields:
            self._unrecognized.labels(field).inc()

    def read(self, source: str) -> None:
        """Counts a read. source: one of vendor_reads.SOURCES."""
        self._deferred.defer(self._count_read, source)

    def _count_read(self, source: str) -> None:
        counter = self._sources.get(source)
        if counter is None:
            counter = self._sources[source] = self._reads.labels(source)
        counter.inc()

    def read_retried(self) -> None:
        """Counts another try of a read."""
        self._retries.inc()

    def cancellation_settled(self, settled_by: str) -> None:
        """Counts a cancel. settled_by: one of cancellation.SETTLED_BY."""
        self._cancellations.labels(settled_by).inc()

    def state_up(self, is_up: bool) -> None:
        """Notes whether the shared state is up."""
        self._state_up.set(int(is_up))

    def watch_ended(self, cause: str) -> None:
        """Counts the end of a watch. cause: one of watching.ended.CAUSES."""
        self._watches_ended.labels(cause).inc()

    def batch_item_failed(self, reason: str) -> None:
        """Counts an item of a batch that is an error. reason: its ErrorReason's name."""
        self._items_failed.labels(reason).inc()

    def watchers(self) -> Callable[[int], None]:
        """Returns a function that sets the number of watches."""
        return self._deferred_gauge(self._watchers)

    def watches_files(self, settings: str) -> None:
        """Counts readings of changed files of these settings, from 0."""
        for outcome in ("loaded", "broken"):
            self._reloads.labels(settings, outcome)
        self._files_good.labels(settings).set(1)
        self._files_read_at.labels(settings).set(time.time())

    def files_reloaded(self, settings: str, *, success: bool) -> None:
        """Counts that changed files were read again. settings: the names of those that name the files."""
        self._reloads.labels(settings, "loaded" if success else "broken").inc()
        self._files_good.labels(settings).set(success)
        if success:
            self._files_read_at.labels(settings).set(time.time())

    def certificates_end(self, settings: str, ends: float) -> None:
        """Sets when the first certificate of these settings ends, in seconds since 1970."""
        self._certificate_ends.labels(settings).set(ends)

    def in_flight(self, kind: str) -> Callable[[int], None]:
        """Returns a function that sets the number of calls in flight of a kind."""
        return self._deferred_gauge(self._in_flight.labels(kind))

    def _deferred_gauge(self, gauge: Gauge) -> Callable[[int], None]:
        latest = -1  # that is not set yet

        def tell() -> None:
            nonlocal latest
            gauge.set(latest)
            latest = -1

        def changed(number: int) -> None:
            nonlocal latest
            if latest < 0:
                self._deferred.defer(tell)
            latest = number

        return changed

    def flush(self) -> None:
        """Counts what was put off."""
        self._deferred.flush()

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        self.flush()
        return generate_latest(self._registry)
