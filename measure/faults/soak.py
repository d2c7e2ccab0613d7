"""The long run: a moderate mixed load with faults now and then, and what it costs: memory, time and own errors."""

import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp

from testkit.calls import at_rate, counted, identifier, percentile
from testkit.gateway_process import GatewayProcess, serving
from testkit.http2_connection import Connections, Ended, connected
from testkit.scripted_vendor import Answer, hang_up, never, reset, send
from testkit.stateful_vendor import HTML, Vendor, after, always

from .fault_case import FaultCase, Findings, Form

_RATE = 100.0  # calls a second
_VENDOR_SECONDS = 0.02  # how long the vendor takes
_EVERY, _LASTS = 20.0, 4.0  # seconds from fault to fault, and of one
_IDS = 5_000  # the same ones come again, so that what is kept of each is not taken for a leak
_WARM = 0.25  # share of the run before memory is looked at
_MAX_SLOPE, _MAX_ADDED = 30.0, 0.05  # MB/h; seconds


@dataclass
class _Seen:
    """What was measured, with the seconds since the start."""

    memory: list[tuple[float, float]] = field(default_factory=list)
    through: list[tuple[float, float]] = field(default_factory=list)  # good reads through the gateway
    direct: list[float] = field(default_factory=list)  # the same reads at the vendor itself
    fault_is_on: bool = False
    reasons: Counter[str] = field(default_factory=Counter)
    disturbed: list[tuple[float, float]] = field(default_factory=list)  # when faults were on, and shortly after


async def soak(seconds: float, findings: Findings) -> None:
    """Runs for so many seconds."""
    seen, begun = _Seen(), time.monotonic()
    async with Vendor() as vendor, serving(vendor.url, LOG_LEVEL="warning") as gateway:
        vendor.on_read, vendor.on_cancel = (
            after(_VENDOR_SECONDS, vendor.result_of),
            after(_VENDOR_SECONDS, vendor.accept),
        )
        async with connected(gateway.port, 8) as client, aiohttp.ClientSession(vendor.url) as direct:
            beside = [
                asyncio.ensure_future(_faults(vendor, seen, begun)),
                asyncio.ensure_future(_watch(gateway, vendor, seen, begun)),
                asyncio.ensure_future(_direct(direct, vendor, seen)),
            ]
            await _load(client, seen, begun, seconds)
            for task in beside:
                task.cancel()
        metrics = await gateway.scrape()
        defects, runs = gateway.defects(), gateway.runs
    _judge(findings, seen, seconds)
    own = sum(value for name, value in metrics.items() if "failures_total" in name and "reason=INTERNAL" in name)
    findings.record(f"{own:.0f} own errors, {len(defects)} defects logged", not own and not defects)
    findings.record("runs" if runs else "crashed", runs)
    findings.record(f"{sum(seen.reasons.values())} calls: {counted(seen.reasons.elements())}")


async def _load(client: Connections, seen: _Seen, begun: float, seconds: float) -> None:
    """Of 100 calls: 88 reads, 5 reads with little time, 5 cancels, 2 mistakes."""
    chance = random.Random(1)

    async def one(number: int) -> None:
        started, kind = time.monotonic() - begun, chance.randrange(100)
        asked = identifier("soak", chance.randrange(_IDS))
        ended: Ended
        if kind < 88:
            ended = await client.read(asked, 5)
            if ended.code == 0:
                seen.through.append((started, ended.seconds))
        elif kind < 93:
            ended = await client.read(asked, chance.uniform(0.008, 0.2))
        elif kind < 98:
            ended = await client.cancel(identifier("cancel", chance.randrange(_IDS)), 5)
        else:
            ended = await client.read("../etc/passwd", 5)
        seen.reasons[ended.outcome] += 1

    # In parts, so that the tasks of calls that have ended do not pile up.
    while (left := begun + seconds - time.monotonic()) > 0:
        await at_rate(_RATE, min(left, 10), one)


async def _faults(vendor: Vendor, seen: _Seen, begun: float) -> None:
    """One fault after the other, each for some seconds, and good weather between."""
    usual = vendor.on_read, vendor.on_cancel
    bad: list[Callable[[str], Answer]] = [
        always(send("", 503)), always(reset()), always(never()), always(send(HTML)), always(hang_up()),
        always(send("", 500)), after(1.0, vendor.result_of), always(send("", 429, retry_after="1")),
    ]  # fmt: skip
    number = 0
    while True:
        await asyncio.sleep(_EVERY - _LASTS)
        started = time.monotonic() - begun
        if number % 4 == 3:
            vendor.revoke()
        vendor.on_read = vendor.on_cancel = bad[number % len(bad)]
        seen.fault_is_on = True
        await asyncio.sleep(_LASTS)
        seen.fault_is_on = False
        vendor.on_read, vendor.on_cancel = usual
        number += 1
        seen.disturbed.append((started - 1, started + 2 * _LASTS + 1))


async def _watch(gateway: GatewayProcess, vendor: Vendor, seen: _Seen, begun: float) -> None:
    while True:
        seen.memory.append((time.monotonic() - begun, gateway.memory()))
        vendor.asked.clear()
        await asyncio.sleep(1)


async def _direct(session: aiohttp.ClientSession, vendor: Vendor, seen: _Seen) -> None:
    path = f"/api/v1/call-request/{identifier('direct', 0)}/result"
    while True:
        await asyncio.sleep(0.1)
        if seen.fault_is_on:
            continue
        headers, asked = {"Authorization": f"Bearer {vendor.valid_token}"}, time.monotonic()
        with suppress(aiohttp.ClientError):
            async with session.get(path, headers=headers) as reply:
                await reply.read()
            if reply.status == 200:
                seen.direct.append(time.monotonic() - asked)


def _judge(findings: Findings, seen: _Seen, seconds: float) -> None:
    later = [each for each in seen.memory if each[0] >= seconds * _WARM]
    times, sizes = zip(*later, strict=True)
    slope = statistics.linear_regression(times, sizes).slope * 3600
    findings.record(f"{slope:+.0f} MB/h, at most {max(sizes):.0f} MB", slope <= _MAX_SLOPE)
    quiet = [took for at, took in seen.through if not any(first <= at <= last for first, last in seen.disturbed)]
    for share, most in ((0.5, _MAX_ADDED), (0.99, _MAX_ADDED)):
        through, direct = (percentile(each, share) * 1000 for each in (quiet, seen.direct))
        text = f"{through - direct:+.1f} ms at {share:.0%} ({through:.1f}, vendor alone {direct:.1f})"
        findings.record(text, through - direct <= most * 1000)


def soak_case(seconds: float) -> FaultCase:
    """The long run as a row of the table."""

    async def measure(form: Form, findings: Findings) -> None:
        await soak(seconds, findings)

    return FaultCase(
        "soak",
        f"{_RATE:.0f} calls/s for {seconds:.0f} s, a fault every {_EVERY:.0f} s",
        f"memory ≤ {_MAX_SLOPE:.0f} MB/h, ≤ {_MAX_ADDED * 1000:.0f} ms added at p99, no own error",
        measure,
        timeout=seconds + 60,
    )
