"""Traces: whether the collector takes them."""

import asyncio

from ..settings import Settings, needs_extra
from .finding import Finding

CHECK = "traces"
TIMEOUT = 3.0
"""Seconds for the collector to answer."""


async def check_traces(settings: Settings) -> list[Finding]:
    """One finding: what came of sending no spans."""
    endpoint = settings.otlp_endpoint
    if endpoint is None:
        return [Finding.skipped(CHECK, "GATEWAY_OTLP_ENDPOINT is not set")]
    try:
        from ..observability.tracing import takes_traces  # its library is an extra
    except ImportError:
        return [Finding.failed(CHECK, needs_extra("GATEWAY_OTLP_ENDPOINT", "tracing"))]
    if await asyncio.to_thread(takes_traces, endpoint, TIMEOUT):
        return [Finding.ok(CHECK, f"{endpoint} takes them; {settings.trace_sample_ratio:.2%} of calls are sampled")]
    text = f"{endpoint} takes none: is it the port for OTLP by gRPC (4317), and http or https as the collector has it?"
    return [Finding.failed(CHECK, text)]
