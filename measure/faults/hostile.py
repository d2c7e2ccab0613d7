"""Cases: clients that mean harm. A good client's calls beside them are served, and memory comes back."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from testkit.calls import client_of, code_of, counted, identifier
from testkit.gateway_process import GatewayProcess, serving
from testkit.http2_connection import connected
from testkit.stateful_vendor import Vendor

from .attacks import ATTACKS, Attack
from .fault_case import FaultCase, Findings, Form

_PAUSE = 2.0  # seconds after an attack, for its connections to end
_TRIMMED = 25.0  # seconds in which freed memory goes back to the operating system
_ROUNDS = 2
_MAX_KEPT = 60.0  # MB after all rounds: what an allocator keeps, and no more


async def _probe(gateway: GatewayProcess, enough: asyncio.Event, took: list[float], codes: list[str]) -> None:
    """A good client: a call every 200 ms, on one connection, until it is enough."""
    async with client_of(gateway.target) as client:
        number = 0
        while not enough.is_set():
            number, begun = number + 1, time.monotonic()
            request = GetCallRequestResultRequest(call_request_id=identifier("probe", number))
            codes.append(await code_of(client.GetCallRequestResult(request, timeout=5)))
            took.append(time.monotonic() - begun)
            await asyncio.sleep(max(0.2 - took[-1], 0))


def _under(attack: Attack) -> Callable[[Form, Findings], Awaitable[None]]:
    async def measure(form: Form, findings: Findings) -> None:
        async with Vendor() as vendor, serving(vendor.url) as gateway:
            async with connected(gateway.port, 10) as client:
                await asyncio.gather(*(client.read(identifier("warm", number), 5) for number in range(200)))
            took: list[float] = []
            codes: list[str] = []
            before = gateway.memory()
            enough = asyncio.Event()
            probing = asyncio.ensure_future(_probe(gateway, enough, took, codes))
            gateway.reset_peak()
            for _ in range(_ROUNDS):
                done = await attack(gateway.port, form)
                await asyncio.sleep(_PAUSE)
            enough.set()
            await probing
            findings.record(done)
            findings.record(f"slowest probe {max(took) * 1000:.0f} ms", max(took) < 1)
            findings.record(f"probes: {counted(codes)}", set(codes) == {"OK"})
            with suppress(TimeoutError):
                await gateway.until(lambda: gateway.memory() - before <= _MAX_KEPT, _TRIMMED)
            kept = gateway.memory() - before
            findings.record(f"+{gateway.peak() - before:.0f} MB at most, {kept:+.0f} after", kept <= _MAX_KEPT)
            defects = gateway.defects()
            findings.record("no defect logged" if not defects else f"defects: {counted(defects)}", not defects)
            findings.record("runs" if gateway.runs else "crashed", gateway.runs)

    return measure


CASES = tuple(
    FaultCase(
        name,
        fault,
        f"probes OK and under 1 s, memory within {_MAX_KEPT:.0f} MB of before, nothing crashes",
        _under(attack),
        timeout=60,
    )
    for name, (fault, attack) in ATTACKS.items()
)
