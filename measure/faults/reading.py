"""Cases: reads while the vendor is down, silent, or has revoked its tokens, and while callers come and go."""

import asyncio
import random
import time

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from testkit.calls import at_rate, client_of, code_of, counted, identifier, percentile
from testkit.gateway_process import serving
from testkit.http2_connection import Ended, connected
from testkit.scripted_vendor import Answer, never, send
from testkit.stateful_vendor import Vendor, after, always

from .deadlines import within_deadline
from .fault_case import FaultCase, Findings, Form

_RATE = 100.0  # calls a second
_DEADLINE = 2.0  # seconds
_RECOVERY = 5.0  # seconds from the vendor's return until every call succeeds
_WATCHED = 8.0  # seconds after the vendor's return


async def _outage(form: Form, findings: Findings) -> None:
    async with Vendor() as vendor, serving(vendor.url) as gateway, connected(gateway.port, 16) as client:

        async def read(number: int) -> tuple[float, Ended]:
            return time.monotonic(), await client.read(identifier("outage", number), _DEADLINE)

        await at_rate(_RATE, 2, read)
        before = len(vendor.requests("result"))
        vendor.on_read = always(send("", 503))
        during = await at_rate(_RATE, form.of(8.0, 30.0), lambda number: read(10_000 + number))
        asked = len(vendor.requests("result")) - before
        vendor.on_read = vendor.result_of
        returned = time.monotonic()
        later = await at_rate(_RATE, _WATCHED, lambda number: read(20_000 + number))

    share = asked / len(during)
    findings.record(f"{share:.2f} requests a call", share <= 1.2)
    within_deadline(findings, [ended for _, ended in during + later], _DEADLINE)
    reasons = {ended.reason for _, ended in during}
    findings.record("answered " + "/".join(sorted(reasons)), reasons == {"VENDOR_UNAVAILABLE"})
    recovery = max((begun - returned for begun, ended in later if ended.code != 0), default=0.0)
    findings.record(f"all succeed {recovery:.1f} s after the return", recovery <= _RECOVERY)


async def _silence(form: Form, findings: Findings) -> None:
    """300 reads hang, three times the default of connections to the vendor and a third of MAX_READS."""
    async with (
        Vendor() as vendor,
        serving(vendor.url) as gateway,
        connected(gateway.port, 20) as waiting,
        connected(gateway.port, 4) as client,
    ):

        def silent(call_request_id: str) -> Answer:
            return never() if call_request_id.startswith("silent") else vendor.result_of(call_request_id)

        vendor.on_read = silent
        usual = await at_rate(20, 2, lambda number: client.read(identifier("usual", number), _DEADLINE))
        hanging = asyncio.ensure_future(
            at_rate(300, 1, lambda number: waiting.read(identifier("silent", number), form.of(6, 20)))
        )
        await asyncio.sleep(1.5)
        reads, cancels = await asyncio.gather(
            at_rate(20, form.of(3.0, 15.0), lambda number: client.read(identifier("other", number), _DEADLINE)),
            at_rate(5, form.of(3.0, 15.0), lambda number: client.cancel(identifier("cancel", number), _DEADLINE)),
        )
        within_deadline(findings, await hanging, form.of(6, 20))
    for name, others in (("reads", reads), ("cancels", cancels)):
        answered = sum(ended.code == 0 for ended in others)
        findings.record(f"{answered} of {len(others)} other {name} answered", answered == len(others))
    slow, normal = (percentile([ended.seconds for ended in each], 0.95) * 1000 for each in (reads, usual))
    findings.record(f"in {slow:.0f} ms (95 %), {normal:.0f} before", slow <= 2 * normal + 50)


async def _churn(form: Form, findings: Findings) -> None:
    """10 connections to the vendor, 50 ms a request: the callers ask for more than they carry."""
    chance = random.Random(8)
    async with (
        Vendor() as vendor,
        serving(vendor.url, VENDOR_MAX_CONNECTIONS=10) as gateway,
        client_of(gateway.target) as client,
    ):
        vendor.on_read = after(0.05, vendor.result_of)

        async def leave(number: int) -> None:
            call = client.GetCallRequestResult(_get(identifier("churn", number)), timeout=chance.uniform(0.008, 0.2))
            if chance.random() < 0.5:
                await asyncio.sleep(chance.uniform(0, 0.2))
                call.cancel()
            await asyncio.gather(call, return_exceptions=True)

        churned = await at_rate(250, form.of(6.0, 30.0), leave)
        await asyncio.sleep(0.5)
        stuck = vendor.waiting
        codes = [await code_of(client.GetCallRequestResult(_get(identifier("next", n)), timeout=2)) for n in range(20)]
        begun = time.monotonic()
        together = await asyncio.gather(
            *(code_of(client.GetCallRequestResult(_get(identifier("crowd", n)), timeout=5)) for n in range(60))
        )
        took = time.monotonic() - begun
    findings.record(f"after {len(churned)} calls: {codes.count('OK')} of the next 20 OK", codes == ["OK"] * 20)
    findings.record(f"{stuck} connections stuck", stuck == 0)
    # Over 10 connections 60 reads of 50 ms take 0.3 s; over 3 they would take 1 s.
    findings.record(f"60 at once: {counted(together)} in {took:.2f} s", together == ["OK"] * 60 and took < 0.9)


async def _revoked(form: Form, findings: Findings) -> None:
    async with Vendor() as vendor, serving(vendor.url) as gateway, connected(gateway.port, 16) as client:
        vendor.token_seconds = 0.2
        await client.read(identifier("warm", 0), 5)
        vendor.fetches = 0
        vendor.revoke()
        ended = await asyncio.gather(*(client.read(identifier("revoked", number), 5) for number in range(200)))
        fetches = vendor.fetches
    answered = sum(each.code == 0 for each in ended)
    findings.record(f"{answered} of 200 answered", answered == 200)
    findings.record(f"{fetches} token fetches", fetches == 1)


def _get(call_request_id: str) -> GetCallRequestResultRequest:
    return GetCallRequestResultRequest(call_request_id=call_request_id)


CASES = (
    FaultCase(
        "outage",
        "vendor answers 503 for 8 s (long: 30 s), 100 calls/s",
        "≤ 1.2 requests a call, deadline + 100 ms, all succeed within 5 s of its return",
        _outage,
        timeout=70,
    ),
    FaultCase(
        "silence", "vendor never answers 300 reads", "other reads and cancels answered as usual", _silence, timeout=60
    ),
    FaultCase(
        "churn",
        "callers leave at random, deadlines 8 to 200 ms, 6 s (long: 30 s)",
        "next 20 of 20 succeed, no connection stuck",
        _churn,
        timeout=60,
    ),
    FaultCase("revoked", "every token revoked, 200 calls at once", "one token fetch, 200 answers", _revoked),
)
