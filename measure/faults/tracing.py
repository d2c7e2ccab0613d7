"""Cases: traces are sent to a collector that is not there, or does not answer."""

import asyncio
import signal
import statistics
import time
from contextlib import AsyncExitStack
from typing import Any

from testkit.calls import identifier
from testkit.collector import collecting
from testkit.gateway_process import GatewayProcess, serving
from testkit.http2_connection import Connections, connected
from testkit.server_process import free_ports
from testkit.stateful_vendor import Vendor

from .fault_case import FaultCase, Findings, Form

_MAX_ADDED = 0.005  # seconds, of the middle one
_GRACE = 3.0


async def _timed(client: Connections, number: int) -> tuple[float, int | None]:
    begun = time.perf_counter()
    ended = await client.read(identifier("traced", number), 5)
    return time.perf_counter() - begun, ended.code


async def _dead(form: Form, findings: Findings) -> None:
    await _measure(form, findings, f"http://127.0.0.1:{free_ports(1)[0]}")


async def _hanging(form: Form, findings: Findings) -> None:
    async with collecting(hangs=True) as collector:
        await _measure(form, findings, collector.url)
        findings.record(f"{collector.asked} tries of the collector", collector.asked > 0)


async def _measure(form: Form, findings: Findings, collector: str) -> None:
    """Reads in turn at a gateway with traces and at one without, then the end of the first."""
    async with AsyncExitStack() as stack:
        vendor = await stack.enter_async_context(Vendor())
        usual: dict[str, Any] = {"GRACE": _GRACE, "DRAIN_DELAY": 0}
        without = await stack.enter_async_context(serving(vendor.url, **usual))
        traced: GatewayProcess = await stack.enter_async_context(
            serving(vendor.url, **usual, OTLP_ENDPOINT=collector, TRACE_SAMPLE_RATIO=1)
        )
        clients = [await stack.enter_async_context(connected(each.port)) for each in (without, traced)]
        took: list[list[float]] = [[], []]
        codes: list[int | None] = []
        for number in range(form.of(800, 3000)):
            for client, of_one in zip(clients, took, strict=True):
                seconds, code = await _timed(client, number)
                of_one.append(seconds)
                codes.append(code)
        added = statistics.median(took[1]) - statistics.median(took[0])
        findings.record(f"{codes.count(0)} of {len(codes)} reads OK", set(codes) == {0})
        findings.record(f"{added * 1000:.1f} ms added", added < _MAX_ADDED)
        await asyncio.sleep(7)  # the time-out of a try, and the next one
        dropped = (await traced.scrape())["trace_spans_dropped_total{}"]
        findings.record(f"{dropped:.0f} spans dropped, counted", dropped > 0)
        begun = time.monotonic()
        traced.signal(signal.SIGTERM)
        code = await traced.ended(_GRACE + 5)
        seconds = time.monotonic() - begun
        findings.record(f"exit {code} after {seconds:.1f} s", code == 0 and seconds <= _GRACE)
        findings.record(f"{len(traced.defects())} defects", not traced.defects())


_PROMISE = "calls OK, answered within 5 ms as fast as without traces, dropped spans counted, exit within `GRACE`"
CASES = (
    FaultCase("collector-dead", "nothing listens where traces are sent, all calls sampled", _PROMISE, _dead, 90),
    FaultCase(
        "collector-hangs",
        "collector takes traces and never answers, all calls sampled",
        _PROMISE,
        _hanging,
        90,
    ),
)
