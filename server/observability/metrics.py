"""The Prometheus metrics. Labels are bounded: methods, codes and rows of tables, never what somebody sent."""

import platform
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from google.rpc import code_pb2
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from callrequest.v1.error_reason_pb2 import ErrorReason

from .. import __version__
from .deferred import Deferred
from .samples import Samples
from .vendor_gauges import VendorGauges

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METHOD = ("grpc_type", "grpc_service", "grpc_method")


CODES = tuple(code_pb2.Code.keys())
POLL_OUTCOMES = ("read", "failed")
REASONS = tuple(name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()[1:])


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
    """Counts calls (named as in go-grpc-middleware) and what happens at the vendor, in batches.

    known: what begins at 0. lines_lost: returns how many lines of the log were lost so far.
    """

    def __init__(self, known: KnownLabels | None = None, lines_lost: Callable[[], int] = int) -> None:
        self._lines_lost, self._lines_lost_counted = lines_lost, 0
        self._deferred = Deferred(then=self._count_lost_lines)
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
            "Requests to the vendor; operation: result, cancel, token; outcome: 429, the class of another HTTP status, "
            "or what became of the connection.",
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
        self._polls = self._counter("watch_polls", "Reads for watches, by whether they brought a reading.", "outcome")
        self._items = self._counter("batch_items", "Different ids of batches.")
        self._items_failed = self._counter(
            "batch_items_failed", "Items of batches that are errors, by ErrorReason.", "reason"
        )
        self._by_caller = self._counter(
            "grpc_server_calls_by_caller", "Calls ended, by who called.", "caller", "grpc_method", "grpc_code"
        )

        self._handshakes_failed = self._counter(
            "tls_handshakes_failed", "TLS handshakes with clients that failed, by the reason.", "reason"
        )
        self._rate_limited = self._counter(
            "caller_rate_limited", "Calls above their caller's max_per_second, refused or not.", "caller"
        )
        self._pushes = self._counter("webhook_pushes", "Requests to the webhook, by what became of them.", "outcome")
        self._state_up: Gauge | None = None  # without an engine there is no series: 0 is an engine that is down
        self._state_is_up = False
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

        self._cached = [
            Gauge(name, documentation, registry=self._registry, multiprocess_mode="livesum")
            for name, documentation in (
                ("result_cache_entries", "Results that are cached."),
                ("result_cache_bytes", "The memory of cached results, which GATEWAY_CACHE_BYTES bounds."),
            )
        ]
        self.vendor = VendorGauges(self._registry)
        self._calls: dict[tuple[tuple[str, str, str], str | None, str], tuple[Counter, Histogram, Counter | None]] = {}
        self._spans_dropped = self._counter("trace_spans_dropped", "Spans of traces that were not sent.")
        self._lost = self._counter("log_lines_lost", "Lines of the log that were not written.")
        Gauge(
            "build_info",
            "The gateway's version and Python's; always 1.",
            ("version", "python"),
            registry=self._registry,
            multiprocess_mode="max",
        ).labels(__version__, platform.python_version()).set(1)
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
        self._requests = {request: self._vendor.labels(*request) for request in known.requests}
        self._sources = {source: self._reads.labels(source) for source in known.sources}

    def begin_method(self, method: tuple[str, str, str]) -> None:
        """Begins the series of a method at 0. method: its type, service and name."""
        self._handling.labels(*method)
        for code in CODES:
            self._handled.labels(*method, code)
        for reason in REASONS:
            self._failures.labels(*method[1:], reason)

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(name, documentation, labels, registry=self._registry)

    def _histogram(self, name: str, documentation: str, *labels: str) -> Histogram:
        return Histogram(name, documentation, labels, buckets=_SECONDS, registry=self._registry)

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

    def state_up(self, is_up: bool) -> None:
        """Notes whether the shared state is up. The series begin with the first call."""
        if self._state_up is None:
            self._state_up = Gauge(
                "state_up",
                "1 while results are shared with other processes, 0 while the engine is down.",
                registry=self._registry,
                multiprocess_mode="livemin",
            )
            self._state_losses = self._counter("state_losses", "Times that the engine was up, and then was not.")
        if self._state_is_up and not is_up:
            self._state_losses.inc()
        self._state_is_up = is_up
        self._state_up.set(int(is_up))

    def watch_ended(self, cause: str) -> None:
        """Counts the end of a watch. cause: one of watching.ended.CAUSES."""
        self._watches_ended.labels(cause).inc()

    def watch_polled(self, has_reading: bool) -> None:
        """Counts a read for watches. has_reading: it brought a reading, or ended them for good."""
        self._polls.labels(POLL_OUTCOMES[not has_reading]).inc()

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

    def cached(self, entries: int, size: int) -> None:
        """Sets how many results are cached, and their bytes."""
        for gauge, value in zip(self._cached, (entries, size), strict=True):
            gauge.set(value)

    def samples(self) -> Samples:
        """All of it, to be read by name."""
        self.flush()
        return Samples.of(self._registry.collect())

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        self.flush()
        return generate_latest(self._registry)
