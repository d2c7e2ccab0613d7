"""Cases: four times the load that a gateway on one core can carry, and thousands of calls at once."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from testkit.calls import client_of, code_of, counted, identifier
from testkit.gateway_process import serving
from testkit.http2_connection import Ended, connected
from testkit.server_process import ROOT, free_ports
from testkit.stateful_vendor import Vendor

from .fault_case import FaultCase, Findings, Form

_ANSWERS = {"code 0", "OVERLOADED", "DEADLINE_EXCEEDED", "turned back"}


@asynccontextmanager
async def _pinned(core: int, *command: object) -> AsyncIterator["subprocess.Popen[str]"]:
    """A process of the suite on one core, which ends with the case."""
    whole = ["taskset", "-c", str(core), sys.executable, "-m", *map(str, command)]
    process = subprocess.Popen(whole, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220 (begins at once)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def _overload(form: Form, findings: Findings) -> None:
    cores = sorted(os.sched_getaffinity(0))
    (port,) = free_ports(1)
    async with (
        _pinned(cores[-1], "testkit.quick_vendor", port, "--read", 0.05, "--cancel", 0.2),
        serving(f"http://127.0.0.1:{port}", core=cores[0]) as gateway,
        _pinned(cores[-1], "measure.faults.load", gateway.port, form.of(8, 30)) as load,
    ):
        out, _ = await asyncio.to_thread(load.communicate)
        metrics = await gateway.scrape()
    peak, usual, overload, after = map(json.loads, out.splitlines())
    share = overload["goodput"] / peak["goodput"]
    findings.record(f"goodput {share:.0%} of the peak of {peak['goodput']:.0f}/s", share >= 0.8)
    _refusals(findings, overload, metrics)
    for name in ("cancel_p50", "cancel_p95"):
        normal, then = usual[name] * 1000, overload[name] * 1000
        text = f"cancels {then:.0f} ms ({name[-2:]} %), {normal:.0f} before"
        findings.record(text, overload["cancels"] > 0 and then <= 2 * normal)
    lost = {reason: number for reason, number in overload["failed"].items() if reason.startswith("cancel")}
    findings.record(f"{sum(lost.values())} cancels failed", not lost)
    normal_again = _normal_again(usual, after)
    text = "not normal within 10 s" if normal_again is None else f"normal after {normal_again} s"
    findings.record(text, normal_again is not None)


def _refusals(findings: Findings, overload: dict[str, Any], metrics: dict[str, float]) -> None:
    late = overload["refusal_p99"] * 1000
    refused = f"{overload['refused']:.0f}/s refused in {late:.0f} ms (99 %)"
    # Without a refusal there is no time to report.
    text = refused if overload["refused"] else "none refused, so no time of refusals"
    findings.record(f"{text}, {overload['held_back']:.0f}/s held back by the stream limit", late < 250)
    other = {reason: number for reason, number in overload["failed"].items() if not reason.startswith("cancel")}
    findings.record(f"other failures: {other or 'none'}", not other)
    seen = sum(value for name, value in metrics.items() if "failures_total" in name and "reason=OVERLOADED" in name)
    findings.record(f"{seen:.0f} OVERLOADED in the metrics", (seen > 0) == (overload["refused"] > 0))


def _normal_again(usual: dict[str, Any], after: dict[str, Any]) -> int | None:
    """Seconds until calls are answered, and as fast as before, from then on; None when they never were."""
    slow = [second for second, took in enumerate(after["latency_by_second"]) if took > 2 * usual["latency"]]
    seconds = max([-1, *slow, *after["bad_seconds"]]) + 1
    return seconds if seconds < 10 else None


async def _crowd(form: Form, findings: Findings) -> None:
    """As many calls as the stream limits of 40 connections let in: all must be answered.

    grpc's own limit of calls that wait refuses with CANCELLED, without details, and no client repeats such a call.
    """
    how: list[Ended] = []
    async with Vendor() as vendor, serving(vendor.url) as gateway, connected(gateway.port, 40) as client:
        calls = [client.begin_read(identifier("crowd", number), 10, how.append) for number in range(40 * 120)]
        until = time.monotonic() + 15
        while len(how) < len(calls) and time.monotonic() < until:  # noqa: ASYNC110 (no event tells of it)
            await asyncio.sleep(0.01)
    outcomes = ["turned back" if each.turned_back else each.reason or f"code {each.code}" for each in how]
    findings.record(f"{len(how)} of {len(calls)}: {counted(outcomes)}", set(outcomes) <= _ANSWERS)
    findings.record("all answered", len(how) == len(calls))


async def _channel(form: Form, findings: Findings) -> None:
    async with Vendor() as vendor, serving(vendor.url) as gateway, client_of(f"127.0.0.1:{gateway.port}") as client:
        for number in (140, 300, 1000):
            requests = (
                GetCallRequestResultRequest(call_request_id=identifier("channel", each)) for each in range(number)
            )
            reads = [client.GetCallRequestResult(request, timeout=20) for request in requests]
            codes = await asyncio.gather(*map(code_of, reads))
            findings.record(f"{number} at once: {counted(codes)}", set(codes) == {"OK"})


CASES = (
    FaultCase(
        "channel",
        "140, 300 and 1 000 calls at once over one channel of gRPC's own client, whose connection takes 128",
        "each answered",
        _channel,
        timeout=80,
    ),
    FaultCase(
        "crowd",
        "4 800 calls at once over 40 connections",
        "each answered, or refused as OVERLOADED",
        _crowd,
        timeout=40,
    ),
    FaultCase(
        "overload",
        "four times the capacity over 8 connections, one core",
        "goodput ≥ 80 % of the peak, refusals < 250 ms (99 %), cancels ≤ 2 × normal, normal within 10 s",
        _overload,
        timeout=120,
    ),
)
