"""The Prometheus metrics. Labels are bounded: methods, codes and rows of tables, never what somebody sent."""

import platform
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from .. import __version__
from .call_metrics import REASONS, SECONDS, CallMetrics
from .deferred import Deferred
from .file_metrics import FileMetrics
from .samples import Samples
from .vendor_gauges import VendorGauges

POLL_OUTCOMES = ("read", "failed")


@dataclass(frozen=True, slots=True)
class KnownLabels:
    """The values of labels that are known from the start, so that their series begin at 0.

    A series that began with its first event, at 1, would raise no alert: `increase` does not see that event.

    quirks: of the vendor, by number. fields: of ours that may be unreadable in the vendor's replies. requests: to the
    vendor, by operation and outcome. sources: of answers to reads. settled_by: what settles a cancel. watch_causes:
    what ends a watch. webhook_outcomes: what becomes of a push. handshake_failures: reasons.
    """

    quirks: Collection[str] = ()
    fields: Collection[str] = ()
    requests: Collection[tuple[str, str]] = ()
    sources: Collection[str] = ()
    settled_by: Collection[str] = ()
    watch_causes: Collection[str] = ()
    webhook_outcomes: Collection[str] = ()
    handshake_failures: Collection[str] = ()


class Metrics:
    """Counts what happens, in batches. calls, files, vendor: what is counted of those.

    known: what begins at 0. lines_lost: returns how many lines of the log were lost so far.
    """

    def __init__(self, known: KnownLabels | None = None, lines_lost: Callable[[], int] = int) -> None:
        self._lines_lost, self._lines_lost_counted = lines_lost, 0
        self._deferred = Deferred(then=self._count_lost_lines)
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which no one reads
        self._registry = CollectorRegistry()
        self.calls = CallMetrics(self._registry, self._deferred)
        self.files = FileMetrics(self._registry)
        self.vendor = VendorGauges(self._registry)
        self._in_flight = self._gauge("calls_in_flight", "Calls being served.", "livesum", "kind")
        self._watchers = self._gauge("watchers", "Watches being served.", "livesum")
        self._cached_entries = self._gauge("result_cache_entries", "Results that are cached.", "livesum")
        self._cached_bytes = self._gauge(
            "result_cache_bytes", "The memory of cached results, which GATEWAY_CACHE_BYTES bounds.", "livesum"
        )
        self._state_up: Gauge | None = None  # without an engine there is no series: 0 is an engine that is down
        self._state_is_up = False
        self._vendor_requests = Histogram(
            "vendor_request_seconds",
            "Requests to the vendor; operation: result, cancel, token; outcome: 429, the class of another HTTP status, "
            "or what became of the connection.",
            ("operation", "outcome"),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._quirks = self._counter("vendor_quirks", "Replies with a quirk, by its number.", "quirk")
        self._unrecognized = self._counter(
            "vendor_unrecognized_values", "Values of the vendor that could not be read, by our field.", "field"
        )
        self._reads = self._counter("result_reads", "Reads, by where the answer came from.", "source")
        self._retries = self._counter("result_retries", "Reads tried again at the vendor.")
        self._cancellations = self._counter("cancellations", "Cancels, by what settled them.", "settled_by")
        self._watches_ended = self._counter("watches_ended", "Watches ended, by what ended them.", "cause")
        self._polls = self._counter("watch_polls", "Reads for watches, by whether they brought a reading.", "outcome")
        self._items = self._counter("batch_items", "Different ids of batches.")
        self._items_failed = self._counter(
            "batch_items_failed", "Items of batches that are errors, by ErrorReason.", "reason"
        )
        self._handshakes_failed = self._counter(
            "tls_handshakes_failed", "TLS handshakes with clients that failed, by the reason.", "reason"
        )
        self._pushes = self._counter("webhook_pushes", "Requests to the webhook, by what became of them.", "outcome")
        self._spans_dropped = self._counter("trace_spans_dropped", "Spans of traces that were not sent.")
        self._lost = self._counter("log_lines_lost", "Lines of the log that were not written.")
        build = self._gauge("build_info", "The gateway's version and Python's; always 1.", "max", "version", "python")
        build.labels(__version__, platform.python_version()).set(1)
        ProcessCollector(registry=self._registry)
        self._begin(known or KnownLabels())

    def _begin(self, known: KnownLabels) -> None:
        """Begins the series that are known, at 0."""
        for counter, values in (
            (self._quirks, known.quirks),
            (self._unrecognized, known.fields),
            (self._cancellations, known.settled_by),
            (self._watches_ended, known.watch_causes),
            (self._pushes, known.webhook_outcomes),
            (self._handshakes_failed, known.handshake_failures),
            (self._items_failed, REASONS),
            (self._polls, POLL_OUTCOMES),
        ):
            for value in values:
                counter.labels(value)
        self._requests = {request: self._vendor_requests.labels(*request) for request in known.requests}
        self._sources = {source: self._reads.labels(source) for source in known.sources}

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(name, documentation, labels, registry=self._registry)

    def _gauge(self, name: str, documentation: str, mode: Literal["livesum", "livemin", "max"], *labels: str) -> Gauge:
        """mode: how the values of several workers become one."""
        return Gauge(name, documentation, labels, registry=self._registry, multiprocess_mode=mode)

    def _count_lost_lines(self) -> None:
        lost = self._lines_lost()
        if lost > self._lines_lost_counted:
            self._lost.inc(lost - self._lines_lost_counted)
            self._lines_lost_counted = lost

    def handshake_failed(self, reason: str) -> None:
        """Counts a TLS handshake that failed, in any thread."""
        self._handshakes_failed.labels(reason).inc()

    def spans_dropped(self, spans: int) -> None:
        """Counts spans of traces that were not sent, in any thread."""
        self._spans_dropped.inc(spans)

    def vendor_request(self, operation: str, outcome: str, seconds: float) -> None:
        """Counts a request to the vendor."""
        self._deferred.defer(self._count_request, operation, outcome, seconds)

    def _count_request(self, operation: str, outcome: str, seconds: float) -> None:
        histogram = self._requests.get((operation, outcome))
        if histogram is None:
            histogram = self._requests[operation, outcome] = self._vendor_requests.labels(operation, outcome)
        histogram.observe(seconds)
        if operation != "token":  # that may be another host's
            self.vendor.request_ended(outcome)

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

    def set_state_up(self, is_up: bool) -> None:
        """Notes whether the shared state is up. The series begin with the first call."""
        if self._state_up is None:
            self._state_up = self._gauge(
                "state_up", "1 while results are shared with other processes, 0 while the engine is down.", "livemin"
            )
            self._state_losses = self._counter("state_losses", "Times that the engine was up, and then was not.")
        if self._state_is_up and not is_up:
            self._state_losses.inc()
        self._state_is_up = is_up
        self._state_up.set(int(is_up))

    def watch_ended(self, cause: str) -> None:
        """Counts the end of a watch. cause: one of watching.ended.CAUSES."""
        self._watches_ended.labels(cause).inc()

    def watch_polled(self, success: bool) -> None:
        """Counts a read for watches. success: it brought a reading, or a failure that ends watches."""
        self._polls.labels("read" if success else "failed").inc()

    def webhook_taken(self, outcome: str) -> None:
        """Counts a push. outcome: one of webhook.outcomes.OUTCOMES."""
        self._pushes.labels(outcome).inc()

    def batch_items_asked(self, number: int) -> None:
        """Counts the different ids of a batch."""
        self._items.inc(number)

    def batch_item_failed(self, reason: str) -> None:
        """Counts an item of a batch that is an error. reason: its ErrorReason's name."""
        self._items_failed.labels(reason).inc()

    def watchers(self) -> Callable[[int], None]:
        """Returns a function that sets the number of watches."""
        return self._deferred_gauge(self._watchers)

    def in_flight(self, kind: str) -> Callable[[int], None]:
        """Returns a function that sets the number of calls in flight of a kind."""
        return self._deferred_gauge(self._in_flight.labels(kind))

    def _deferred_gauge(self, gauge: Gauge) -> Callable[[int], None]:
        latest = -1  # that is not set yet

        def apply() -> None:
            nonlocal latest
            gauge.set(latest)
            latest = -1

        def changed(number: int) -> None:
            nonlocal latest
            if latest < 0:
                self._deferred.defer(apply)
            latest = number

        return changed

    def flush(self) -> None:
        """Counts what was deferred."""
        self._deferred.flush()

    def set_cached(self, entries: int, size: int) -> None:
        """Sets how many results are cached, and their bytes."""
        self._cached_entries.set(entries)
        self._cached_bytes.set(size)

    def samples(self) -> Samples:
        """All of it, to be read by name."""
        self.flush()
        return Samples.of(self._registry.collect())

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        self.flush()
        return generate_latest(self._registry)
