"""Traces by OTLP: spans of sampled calls, by the names of OpenTelemetry's conventions for RPC, HTTP and databases.

All of OpenTelemetry is known here alone; the others know spans.py. Which calls are sampled is decided before its
library is asked: that would cost each call that is not sampled, too.
"""

import random
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from .. import __version__
from .span_queue import SpanQueue
from .spans import Attributes, Span

EXPORT_TIMEOUT = 5.0
"""Seconds for the collector to take a batch."""

_FAULTS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
"""Codes that are errors of the server, by the conventions; the others are the caller's."""
_SAMPLED = 1
_NO_PROXY: Any = (("grpc.enable_http_proxy", 0),)


class _Span:
    """A span of OpenTelemetry's."""

    __slots__ = ("_span", "_tracer")

    def __init__(self, tracer: trace.Tracer, span: trace.Span) -> None:
        self._tracer = tracer
        self._span = span

    @property
    def context(self) -> SpanContext:
        return self._span.get_span_context()

    @property
    def traceparent(self) -> str:
        return f"00-{self.context.trace_id:032x}-{self.context.span_id:016x}-01"

    @property
    def trace_id(self) -> str:
        return f"{self.context.trace_id:032x}"

    def child(self, name: str, attributes: Attributes, *, is_client: bool) -> "_Span":
        kind = SpanKind.CLIENT if is_client else SpanKind.INTERNAL
        context = set_span_in_context(self._span)
        return _Span(self._tracer, self._tracer.start_span(name, context, kind, attributes))

    def event(self, name: str, attributes: Attributes) -> None:
        self._span.add_event(name, attributes)

    def link(self, other: Span) -> None:
        assert isinstance(other, _Span)
        self._span.add_link(other.context)

    def set(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)

    def end(self, error: str | None = None) -> None:
        if error is not None:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


class CallSpan(_Span):
    """The span of one call of ours."""

    __slots__ = ()

    def call_ended(self, code: str, reason: str | None, attributes: Attributes) -> None:
        """Ends it. code: a status code's name; reason: its ErrorReason's name, if it failed with one."""
        self.set({"rpc.response.status_code": code, **attributes})
        if code != "OK":
            self._span.set_attribute("error.type", reason or code)
        if code in _FAULTS:
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


class Tracing:
    """Samples calls and sends their spans to a collector, by a thread of its own.

    endpoint: `http://host:port` or `https://…`. ratio: the share of calls that are sampled, 0 to 1, where their callers
    leave it to the gateway. dropped: called, in any thread, with the number of spans that were not sent.
    """

    def __init__(self, endpoint: str, ratio: float, dropped: Callable[[int], None]) -> None:
        self._ratio = ratio
        self._queue = SpanQueue(_Exporter(endpoint), dropped)
        resource = Resource.create({"service.name": "call-request-gateway", "service.version": __version__})
        provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False)
        provider.add_span_processor(_Ended(self._queue.add))
        self._tracer = provider.get_tracer("call-request-gateway", __version__)

    def begin_call(self, method: str, traceparent: str | None) -> CallSpan | None:
        """Begins the span of a call; None if it is not sampled.

        method: `service/method`; `_OTHER`: there is no such one. traceparent: the caller's, well-formed, whose flag
        decides.
        """
        if traceparent is None:
            if random.random() >= self._ratio:  # noqa: S311 (not for secrets)
                return None
            context = None
        else:
            _, trace_id, span_id, flags = traceparent.split("-", 4)[:4]
            if not int(flags, 16) & _SAMPLED:
                return None
            parent = SpanContext(int(trace_id, 16), int(span_id, 16), True, TraceFlags(_SAMPLED))
            context = set_span_in_context(NonRecordingSpan(parent))
        attributes = {"rpc.system.name": "grpc", "rpc.method": method}
        return CallSpan(self._tracer, self._tracer.start_span(method, context, SpanKind.SERVER, attributes))

    async def aclose(self, seconds: float) -> None:
        """Sends what is left, within so many seconds; what is not sent by then is dropped."""
        await self._queue.aclose(seconds)


def takes_traces(endpoint: str, seconds: float) -> bool:
    """Whether a collector there takes traces, tried with none; blocks so long at most."""
    exporter = _exporter(endpoint, seconds)
    try:
        return exporter.export([]) is SpanExportResult.SUCCESS
    finally:
        exporter.shutdown()


class _Ended(SpanProcessor):
    """Passes on the spans that have ended."""

    def __init__(self, add: Callable[[ReadableSpan], None]) -> None:
        self._add = add

    def on_end(self, span: ReadableSpan) -> None:
        self._add(span)


class _Exporter:
    """Sends batches of spans; blocks."""

    def __init__(self, endpoint: str) -> None:
        self._exporter = _exporter(endpoint, EXPORT_TIMEOUT)

    def export(self, spans: list[Any]) -> bool:
        return self._exporter.export(spans) is SpanExportResult.SUCCESS

    def close(self) -> None:
        self._exporter.shutdown()


def _exporter(endpoint: str, seconds: float) -> OTLPSpanExporter:
    insecure = urlsplit(endpoint).scheme == "http"
    return OTLPSpanExporter(endpoint, insecure, timeout=seconds, channel_options=_NO_PROXY)
