"""A collector of traces over a real socket: takes OTLP by gRPC, and keeps what it was sent."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

UNTIL = 30.0
"""Seconds within which spans arrive, on a machine that has much else to do."""


class Collector(TraceServiceServicer):
    """requests: what it was sent, decoded. hangs: it takes requests and never answers."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.url = ""
        self.requests: list[ExportTraceServiceRequest] = []
        self.asked = 0
        self._hangs = hangs

    async def Export(self, request: ExportTraceServiceRequest, context: Any) -> ExportTraceServiceResponse:  # noqa: N802
        """Takes spans."""
        self.asked += 1
        if self._hangs:
            await asyncio.Event().wait()
        self.requests.append(request)
        return ExportTraceServiceResponse()

    @property
    def bytes(self) -> bytes:
        """All that it was sent."""
        return b"".join(request.SerializeToString() for request in self.requests)

    @property
    def spans(self) -> list[Span]:
        """All spans, in the order in which they ended."""
        return [
            span
            for request in self.requests
            for of_resource in request.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]

    def named(self, name: str) -> list[Span]:
        """Those of that name; `/Method` is a method of any service."""
        return [span for span in self.spans if span.name == name or (name[0] == "/" and span.name.endswith(name))]

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits until it has what is waited for. Raises TimeoutError."""
        async with asyncio.timeout(UNTIL):
            while not condition():  # noqa: ASYNC110 (plain state)
                await asyncio.sleep(0.02)

    async def span(self, name: str) -> Span:
        """Waits for the first span of that name."""
        await self.until(lambda: self.named(name))
        found: Span = self.named(name)[0]
        return found


@asynccontextmanager
async def collecting(*, hangs: bool = False) -> AsyncIterator[Collector]:
    """A collector on a free port."""
    collector, server = Collector(hangs=hangs), grpc.aio.server()
    add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    collector.url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield collector
    finally:
        await server.stop(0)


def attributes(of: Any) -> dict[str, Any]:
    """The attributes of a span or an event."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in of.attributes}
