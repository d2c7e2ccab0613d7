"""Cases: malformed and endless replies of the vendor. Each fails with its ErrorReason, in time and in little memory."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from testkit.calls import counted, identifier
from testkit.gateway_process import serving
from testkit.http2_connection import Ended, connected
from testkit.scripted_vendor import Answer, failed, pending, raw, reset, send, trickle
from testkit.stateful_vendor import HTML, Vendor, bomb, endless

from .deadlines import within_deadline
from .fault_case import FaultCase, Findings, Form

_DEADLINE = 1.0  # seconds
_MAX_MEMORY = 20.0  # MB
_BAD, _AT_ONCE, _GOOD = 12, 4, 5  # calls; good ones after each bad one, so that the vendor is not taken to be down

_OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


def _reply(answer: Callable[[], Answer], reason: str) -> Callable[[Form, Findings], Awaitable[None]]:
    async def measure(form: Form, findings: Findings) -> None:
        bad = answer()
        async with Vendor() as vendor, serving(vendor.url) as gateway, connected(gateway.port, 2) as client:
            vendor.on_read = lambda asked: bad if asked.startswith("bad") else vendor.result_of(asked)
            await asyncio.gather(*(client.read(identifier("warm", number), 5) for number in range(100)))
            before = gateway.memory()
            gateway.reset_peak()
            places = asyncio.Semaphore(_AT_ONCE)
            good: list[str] = []

            async def read(number: int) -> Ended:
                async with places:
                    ended = await client.read(identifier("bad", number), _DEADLINE)
                    usual = [await client.read(identifier("good", number * _GOOD + each), 5) for each in range(_GOOD)]
                    good.extend(each.reason or "OK" for each in usual)
                return ended

            ended = await asyncio.gather(*(read(number) for number in range(_BAD)))
            grown = gateway.peak() - before
        reasons = [each.reason or str(each.code) for each in ended]
        findings.record(counted(reasons), set(reasons) == {reason})
        within_deadline(findings, ended, _DEADLINE)
        findings.record(f"+{max(grown, 0):.0f} MB", grown <= _MAX_MEMORY)
        if set(good) != {"OK"}:
            findings.record(f"good replies between them: {counted(good)}", False)

    return measure


_MALFORMED, _UNAVAILABLE, _SPENT = "VENDOR_MALFORMED_RESPONSE", "VENDOR_UNAVAILABLE", "DEADLINE_EXCEEDED"

_REPLIES: dict[str, tuple[str, Callable[[], Answer], str]] = {
    "trickle": ("reply of a byte each 50 ms", lambda: trickle(_OK + b"x: y\r\n" * 100, 0.05), _SPENT),
    "truncation": (
        "reply cut off in its body",
        lambda: raw(_OK + b"content-length: 500\r\n\r\n" + json.dumps(pending()).encode()[:40], close=True),
        _UNAVAILABLE,
    ),
    "reset": ("connection reset after the request", reset, _UNAVAILABLE),
    "bomb": ("gzip bomb of 200 MB", lambda: send(bomb(200), content_encoding="gzip"), _MALFORMED),
    "flood": ("body without end", lambda: endless(_OK + b"\r\n{", b" " * (64 << 10)), _MALFORMED),
    "headers": ("headers without end", lambda: endless(_OK, b"x: " + b"y" * 1000 + b"\r\n"), _MALFORMED),
    "header": ("one header without end", lambda: endless(_OK + b"x: ", b"y" * (64 << 10)), _MALFORMED),
    "html": ("HTML page at 200", lambda: send(HTML), _MALFORMED),
    "nested": ("JSON nested 500 000 deep", lambda: send("[" * 500_000 + "]" * 500_000), _MALFORMED),
    "prose": (
        "error message of 900 KB, searched for a reason",
        lambda: send(failed("CANCELLATION_NOT_ALLOWED", "check in " * 100_000)),
        "CANCELLATION_NOT_ALLOWED",
    ),
}

CASES = tuple(
    FaultCase(name, fault, f"{reason}, deadline + 100 ms, + {_MAX_MEMORY:.0f} MB", _reply(answer, reason))
    for name, (fault, answer, reason) in _REPLIES.items()
)
