"""A case: one caller sends far more than its rate; another notices nothing of it."""

import asyncio
import hashlib
import tempfile
import time
from pathlib import Path

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from testkit.calls import at_rate, client_of, code_of, counted, identifier, percentile
from testkit.gateway_process import serving
from testkit.stateful_vendor import Vendor

from .fault_case import FaultCase, Findings, Form

_RATE = 20.0  # calls a second that the file gives the greedy caller
_SENT = 200.0  # and that it sends
_POLITE_RATE = 40.0
_ADDED = 0.05  # seconds that the greedy one may add to the other's 99th percentile


def _table(name: str, more: str) -> str:
    digest = hashlib.sha256(f"token-of-{name}".encode()).hexdigest()
    return f'[[caller]]\nname = "{name}"\ntoken_sha256 = "{digest}"\nmay = ["read"]\n{more}\n'


async def _greedy(form: Form, findings: Findings) -> None:
    seconds = form.of(5.0, 30.0)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        callers = Path(folder) / "callers.toml"
        callers.write_text(_table("greedy", f"max_per_second = {_RATE}") + _table("polite", ""))
        async with (
            Vendor() as vendor,
            serving(vendor.url, CALLERS=callers) as gateway,
            client_of(gateway.target) as client,
            client_of(gateway.target) as other,
        ):

            async def polite(number: int) -> tuple[str, float]:
                begun = time.monotonic()
                request = GetCallRequestResultRequest(call_request_id=identifier("polite", number))
                metadata = (("authorization", "Bearer token-of-polite"),)
                code = await code_of(client.GetCallRequestResult(request, timeout=5, metadata=metadata))
                return code, time.monotonic() - begun

            async def greedy(number: int) -> str:
                request = GetCallRequestResultRequest(call_request_id=identifier("greedy", number))
                metadata = (("authorization", "Bearer token-of-greedy"),)
                return await code_of(other.GetCallRequestResult(request, timeout=5, metadata=metadata))

            await at_rate(_POLITE_RATE, 1, polite)  # to warm up
            alone = await at_rate(_POLITE_RATE, seconds, polite)
            vendor.reads.clear()
            beside, codes = await asyncio.gather(
                at_rate(_POLITE_RATE, seconds, polite), at_rate(_SENT, seconds, greedy)
            )
            scraped = await gateway.scrape()
    failed = [code for code, _ in (*alone, *beside) if code != "OK"]
    before, under = (percentile([took for _, took in load], 0.99) for load in (alone, beside))
    findings.record(f"the other: {len(alone) + len(beside)} calls, {len(failed)} failed", not failed)
    findings.record(
        f"its 99 % in {under * 1000:.1f} ms, alone {before * 1000:.1f}", under <= max(before, 0.005) + _ADDED
    )
    findings.record(f"the greedy one: {counted(codes)}", set(codes) == {"OK", "RESOURCE_EXHAUSTED"})
    asked = sum(number for asked, number in vendor.reads.items() if asked.startswith("greedy"))
    allowed = _RATE * (seconds + 1) + 1  # and the calls of one second at once
    findings.record(f"{asked} of its calls at the vendor, {allowed:.0f} allowed", 0 < asked <= allowed)
    refused = scraped.get("caller_rate_limited_total{caller=greedy}", 0)
    findings.record(f"{refused:.0f} counted", refused == codes.count("RESOURCE_EXHAUSTED"))


CASES = (
    FaultCase(
        "greedy",
        "a caller sends 10 times its max_per_second",
        "RESOURCE_EXHAUSTED above its rate, the vendor sees no more, ≤ 50 ms added at another caller's 99 %",
        _greedy,
        90,
    ),
)
