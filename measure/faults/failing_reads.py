"""Cases: reads that fail, for one id or for all, and what they cost the vendor and everybody else.

The gateways keep answers as by default, DEFAULT_MAX_AGE and FINAL_MAX_AGE.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from testkit.calls import at_rate, counted, identifier
from testkit.gateway_process import serving
from testkit.http2_connection import Connections, Ended, connected
from testkit.scripted_vendor import Answer, never, send
from testkit.stateful_vendor import HTML, Vendor, always

from .deadlines import within_deadline
from .fault_case import FaultCase, Findings, Form

_DEFAULT = ""  # a setting that is empty is not set
_DEADLINE = 3.0  # seconds


def _outcomes(ended: Sequence[Ended]) -> list[str]:
    return [each.outcome for each in ended]


_BAD = {
    "500": (lambda: send("", 500), 1),
    "page": (lambda: send(HTML), 1),
    "401": (lambda: send("", 401), 2),
    "503": (lambda: send("", 503), None),
    "silent": (never, None),
}
"""The answers to the bad id, and how many requests a second they may cost; None: its callers do not wait for an age."""


async def _bad_id(form: Form, findings: Findings) -> None:
    """Five callers poll one id that always fails; healthy ones are read beside it, in turn for each kind of failure."""
    seconds, bad = form.of(4.0, 20.0), identifier("bad", 0)
    for name, (answer, most) in _BAD.items():
        async with (
            Vendor() as vendor,
            serving(vendor.url, DEFAULT_MAX_AGE=_DEFAULT, FINAL_MAX_AGE=_DEFAULT) as gateway,
            connected(gateway.port, 8) as client,
        ):
            await client.read(identifier("warm", 0), 5)
            vendor.on_read = _except_for(bad, answer, vendor.result_of)
            polls, healthy = await asyncio.gather(
                at_rate(50, seconds, lambda number: client.read(bad, _DEADLINE)),
                at_rate(20, seconds, lambda number: client.read(identifier("good", number), _DEADLINE)),
            )
            asked, fetches = vendor.reads[bad], vendor.fetches
        good = _outcomes(healthy)
        findings.record(f"{name}: {good.count('OK')} of {len(good)} healthy reads OK", set(good) == {"OK"})
        if most is not None:
            text = f"{asked / seconds:.1f} requests a second for {len(polls) / seconds:.0f} polls"
            findings.record(text, asked <= most * (seconds + 3))
        findings.record(f"{fetches} token fetches", fetches <= 2 + seconds / 5)


def _except_for(bad: str, answer: Callable[[], Answer], rule: Callable[[str], Answer]) -> Callable[[str], Answer]:
    return lambda asked: answer() if asked == bad else rule(asked)


async def _swallowed(form: Form, findings: Findings) -> None:
    """The vendor takes each request and never answers; callers give up long before VENDOR_TIMEOUT."""
    seconds = form.of(10.0, 30.0)
    async with (
        Vendor() as vendor,
        serving(vendor.url, DEFAULT_MAX_AGE=_DEFAULT, FINAL_MAX_AGE=_DEFAULT) as gateway,
        connected(gateway.port, 16) as client,
    ):
        await at_rate(50, 1, lambda number: client.read(identifier("warm", number), _DEADLINE))
        before, asked = await gateway.scrape(), vendor.reads.total()
        vendor.on_read = always(never())
        during = await at_rate(50, seconds, lambda number: client.read(identifier("gone", number), _DEADLINE))
        asked = vendor.reads.total() - asked
        metrics = await gateway.scrape()
        vendor.on_read = vendor.result_of
        returned = time.monotonic()

        async def read(number: int) -> tuple[float, Ended]:
            return time.monotonic(), await client.read(identifier("back", number), _DEADLINE)

        afterwards = await at_rate(50, 6, read)
    findings.record(f"{asked / len(during):.2f} requests a call", asked <= 1.2 * len(during))
    within_deadline(findings, during, _DEADLINE)
    outcomes = _outcomes(during)
    refused = "VENDOR_UNAVAILABLE" in outcomes
    findings.record(
        counted(outcomes), refused and set(outcomes) <= {"VENDOR_UNAVAILABLE", "DEADLINE_EXCEEDED", "code 4"}
    )
    for name in (
        "vendor_request_seconds_count{operation=result,outcome=unanswered}",
        "result_reads_total{source=throttled}",
    ):
        rise = metrics.get(name, 0) - before.get(name, 0)
        findings.record(f"{rise:.0f} in {name}", rise > 0)
    recovery = max((begun - returned for begun, ended in afterwards if ended.code != 0), default=0.0)
    findings.record(f"all succeed {recovery:.1f} s after the return", recovery <= 5)


async def _retry_after(form: Form, findings: Findings) -> None:
    """The vendor answers each read with a Retry-After, is asked for ever new ids, and is well again after its end."""
    for status, reason in ((429, "VENDOR_RATE_LIMITED"), (503, "VENDOR_UNAVAILABLE")):
        async with (
            Vendor() as vendor,
            serving(vendor.url, DEFAULT_MAX_AGE=_DEFAULT, FINAL_MAX_AGE=_DEFAULT) as gateway,
            connected(gateway.port, 8) as client,
        ):
            await client.read(identifier("warm", 0), 5)
            seconds, asked = form.of(4.0, 20.0), vendor.reads.total()
            vendor.on_read = always(send("", status, retry_after=str(round(seconds) + 1)))
            during, cancels = await asyncio.gather(
                at_rate(50, seconds, lambda number: client.read(identifier("wait", number), _DEADLINE)),
                at_rate(2, seconds, lambda number: client.cancel(identifier("cancel", number), 5)),
            )
            asked = vendor.reads.total() - asked
            findings.record(f"{status}: {asked} requests for {len(during)} reads", asked <= 4)
            findings.record(counted(_outcomes(during)), set(_outcomes(during)) == {reason})
            slowest = max(each.seconds for each in during)
            findings.record(f"slowest answer {slowest * 1000:.0f} ms", slowest < 0.5)
            findings.record(f"cancels: {counted(_outcomes(cancels))}", set(_outcomes(cancels)) == {"OK"})
            await _at_its_end(client, vendor, findings)


async def _at_its_end(client: Connections, vendor: Vendor, findings: Findings) -> None:
    """The next request comes when it is over, alone; once it is answered, all are."""
    moments: list[float] = []

    def noted(asked: str) -> Answer:
        moments.append(time.monotonic())
        return vendor.result_of(asked)

    vendor.on_read = noted
    ended = await at_rate(50, 4, lambda number: client.read(identifier("then", number), _DEADLINE))
    last = _outcomes(ended)[-50:]
    findings.record(f"after its end: {counted(last)}", set(last) == {"OK"} and bool(moments))


CASES = (
    FaultCase(
        "bad-id",
        "one id fails (500, HTML page, 401, 503, no answer), five callers poll it, others read 20 other ids a second",
        "healthy reads 100 % OK, a request an age for the bad id (401: two; 503, no answer: more), few token fetches",
        _bad_id,
        timeout=150,
    ),
    FaultCase(
        "swallowed",
        "vendor takes requests and never answers, callers give up after 3 s, 50 calls/s",
        "≤ 1.2 requests a call, in the metrics as unanswered and throttled, all succeed within 5 s of its return",
        _swallowed,
        timeout=60,
    ),
    FaultCase(
        "retry-after",
        "vendor answers 429 or 503 with Retry-After to 50 reads/s of new ids",
        "≤ 4 requests until it is over, reads answered at once, cancels OK, all reads OK after its end",
        _retry_after,
        timeout=90,
    ),
)
