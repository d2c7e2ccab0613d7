"""The Prometheus metrics. Labels are bounded: methods, codes and rows of tables, never what somebody sent."""

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest

from .vendor.quirks import Notes

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METHOD = ("grpc_type", "grpc_service", "grpc_method")


class Metrics:
    """Counts calls (named as in go-grpc-middleware) and what happens at the vendor."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which no one reads
        self._registry = CollectorRegistry()
        self._handled = Counter(
            "grpc_server_handled", "Calls ended, by status code.", (*_METHOD, "grpc_code"), registry=self._registry
        )
        self._handling = Histogram(
            "grpc_server_handling_seconds", "How long calls took.", _METHOD, buckets=_SECONDS, registry=self._registry
        )
        self._failures = Counter(
            "grpc_server_failures",
            "Calls failed, by ErrorReason.",
            ("grpc_service", "grpc_method", "reason"),
            registry=self._registry,
        )
        self._vendor = Histogram(
            "vendor_request_seconds",
            "Requests to the vendor; operation: result, cancel, token; outcome: the class of the HTTP status, or what "
            "became of the connection.",
            ("operation", "outcome"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._quirks = Counter(
            "vendor_quirks", "Replies with a quirk, by its number.", ("quirk",), registry=self._registry
        )
        self._unrecognized = Counter(
            "vendor_unrecognized_values",
            "Values of the vendor that could not be read, by our field.",
            ("field",),
            registry=self._registry,
        )

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

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)
