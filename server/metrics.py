"""The Prometheus metrics. Labels are bounded: methods, codes and rows of tables, never what somebody sent."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from .vendor.quirks import Notes

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METHOD = ("grpc_type", "grpc_service", "grpc_method")


class Metrics:
    """Counts calls (named as in go-grpc-middleware) and what happens at the vendor."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which no one reads
        self._registry = CollectorRegistry()
        self._handled = self._counter("grpc_server_handled", "Calls ended, by status code.", *_METHOD, "grpc_code")
        self._handling = self._histogram("grpc_server_handling_seconds", "How long calls took.", *_METHOD)
        self._failures = self._counter(
            "grpc_server_failures", "Calls failed, by ErrorReason.", "grpc_service", "grpc_method", "reason"
        )
        self._in_flight = Gauge("calls_in_flight", "Calls being served.", ("kind",), registry=self._registry)
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
        self._by_caller = self._counter(
            "grpc_server_calls_by_caller", "Calls ended, by who called.", "caller", "grpc_method", "grpc_code"
        )

    def _counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(name, says, labels, registry=self._registry)

    def _histogram(self, name: str, says: str, *labels: str) -> Histogram:
        return Histogram(name, says, labels, buckets=_SECONDS, registry=self._registry)

    def call_ended(self, method: tuple[str, str, str], code: str, reason: str | None, seconds: float) -> None:
        """Counts a call. method: its type, service and name. reason: its ErrorReason's name, if it failed with one."""
        self._handled.labels(*method, code).inc()
        self._handling.labels(*method).observe(seconds)
        if reason is not None:
            self._failures.labels(*method[1:], reason).inc()

    def vendor_request(self, operation: str, outcome: str, seconds: float) -> None:
        """Counts a request to the vendor."""
        self._vendor.labels(operation, outcome).observe(seconds)

    def vendor_reply(self, notes: Notes) -> None:
        """Counts the quirks and the unrecognised values of a reply."""
        for quirk in notes.quirks:
            self._quirks.labels(quirk.value).inc()
        for field, _ in notes.unrecognized:
            self._unrecognized.labels(field).inc()

    def read(self, source: str) -> None:
        """Counts a read. source: vendor, or throttled for one that was refused since the vendor is down."""
        self._reads.labels(source).inc()

    def read_retried(self) -> None:
        """Counts another try of a read."""
        self._retries.inc()

    def cancellation_settled(self, settled_by: str) -> None:
        """Counts a cancel. settled_by: one of cancellation.SETTLED_BY."""
        self._cancellations.labels(settled_by).inc()

    def in_flight(self, kind: str) -> Callable[[int], None]:
        """Gives what keeps the number of calls in flight of a kind."""
        return self._in_flight.labels(kind).set

    def call_by_caller(self, caller: str, method: str, code: str) -> None:
        """Counts a call under its caller: a name of the callers' file, or one for all that have none there."""
        self._by_caller.labels(caller, method, code).inc()

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)
