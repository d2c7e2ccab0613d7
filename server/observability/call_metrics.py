"""The metrics of calls, named as in go-grpc-middleware, and of their callers."""

from typing import NamedTuple

from google.rpc import code_pb2
from prometheus_client import CollectorRegistry, Counter, Histogram

from callrequest.v1.error_reason_pb2 import ErrorReason

from .deferred import Deferred

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""The bounds of histograms of times."""
CODES = tuple(code_pb2.Code.keys())
REASONS = tuple(name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()[1:])


class Method(NamedTuple):
    """A method as metrics name it. kind: unary, client_stream, server_stream or bidi_stream."""

    kind: str
    service: str
    name: str


_METHOD = ("grpc_type", "grpc_service", "grpc_method")


class CallMetrics:
    """Counts calls. deferred: does so once no caller waits for it."""

    def __init__(self, registry: CollectorRegistry, deferred: Deferred) -> None:
        self._deferred = deferred

        def counter(name: str, documentation: str, *labels: str) -> Counter:
            return Counter(name, documentation, labels, registry=registry)

        self._handled = counter("grpc_server_handled", "Calls ended, by status code.", *_METHOD, "grpc_code")
        self._handling = Histogram(
            "grpc_server_handling_seconds", "How long calls took.", _METHOD, buckets=SECONDS, registry=registry
        )
        self._failures = counter(
            "grpc_server_failures", "Calls failed, by ErrorReason.", "grpc_service", "grpc_method", "reason"
        )
        self._by_caller = counter(
            "grpc_server_calls_by_caller", "Calls ended, by who called.", "caller", "grpc_method", "grpc_code"
        )
        self._rate_limited = counter(
            "caller_rate_limited", "Calls above their caller's max_per_second, refused or not.", "caller"
        )
        self._found: dict[tuple[Method, str | None, str], tuple[Counter, Histogram, Counter | None]] = {}

    def begin_method(self, method: Method) -> None:
        """Begins the series of a method at 0."""
        self._handling.labels(*method)
        for code in CODES:
            self._handled.labels(*method, code)
        for reason in REASONS:
            self._failures.labels(method.service, method.name, reason)

    def ended(self, method: Method, caller: str | None, code: str, reason: str | None, seconds: float) -> None:
        """Counts a call. reason: its ErrorReason's name, if it failed with one.

        caller: a name of the callers' file, or one for all that have none there; None: not counted by caller.
        """
        self._deferred.defer(self._count, method, caller, code, reason, seconds)

    def _count(self, method: Method, caller: str | None, code: str, reason: str | None, seconds: float) -> None:
        key = (method, caller, code)
        counters = self._found.get(key)
        if counters is None:  # finding them by their labels takes longer than counting
            by_caller = None if caller is None else self._by_caller.labels(caller, method.name, code)
            handled, handling = self._handled.labels(*method, code), self._handling.labels(*method)
            counters = self._found[key] = (handled, handling, by_caller)
        handled, handling, by_caller = counters
        handled.inc()
        handling.observe(seconds)
        if by_caller is not None:
            by_caller.inc()
        if reason is not None:
            self._failures.labels(method.service, method.name, reason).inc()

    def begin_caller(self, caller: str) -> None:
        """Begins the series of a caller that has a max_per_second, at 0."""
        self._rate_limited.labels(caller)

    def caller_limited(self, caller: str) -> None:
        """Counts a call above the rate of a caller of the file."""
        self._rate_limited.labels(caller).inc()
