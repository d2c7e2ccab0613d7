"""Cases: what an operator sees. Metrics alone distinguish each kind of fault."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from testkit.calls import identifier
from testkit.gateway_process import serving
from testkit.http2_connection import Connections, connected
from testkit.scripted_vendor import Answer, hang_up, never, send, with_status
from testkit.stateful_vendor import Vendor, after, always

from .fault_case import FaultCase, Findings, Form

_AT_ONCE = 5  # MAX_READS


async def _many(client: Connections, prefix: str, number: int) -> None:
    await asyncio.gather(*(client.read(identifier(prefix, each), 3) for each in range(number)))


async def _slow(client: Connections, vendor: Vendor) -> None:
    vendor.on_read = always(never())
    await _many(client, "slow", 3)


async def _failing(client: Connections, vendor: Vendor) -> None:
    vendor.on_read = always(send("", 500))
    await _many(client, "failing", 3)


async def _broken(client: Connections, vendor: Vendor) -> None:
    vendor.on_read = always(hang_up())
    await _many(client, "broken", 3)


async def _down(client: Connections, vendor: Vendor) -> None:
    vendor.on_read = always(send("", 503))
    for number in range(40):
        await client.read(identifier("down", number), 0.3)


async def _settled(client: Connections, vendor: Vendor) -> None:
    def cut(call_request_id: str) -> Answer:
        vendor.commit(call_request_id)
        return hang_up()

    vendor.on_cancel = cut
    await client.cancel(identifier("settled", 0), 5)


async def _revoked(client: Connections, vendor: Vendor) -> None:
    vendor.revoke()
    await client.read(identifier("revoked", 0), 3)


async def _limited(client: Connections, vendor: Vendor) -> None:
    vendor.on_read = always(send("", 429, retry_after="60"))
    await _many(client, "limited", 3)


async def _overloaded(client: Connections, vendor: Vendor) -> None:
    vendor.on_read = after(0.3, vendor.result_of)
    await _many(client, "overload", 4 * _AT_ONCE)


async def _new_words(client: Connections, vendor: Vendor) -> None:
    vendor.on_read = lambda call_request_id: send(with_status("ASKED_TO_CALL_BACK", call_request_id))
    await _many(client, "words", 3)


async def _mistaken(client: Connections, vendor: Vendor) -> None:
    await asyncio.gather(*(client.read("../etc/passwd", 3) for _ in range(3)))


async def _doubtful(client: Connections, vendor: Vendor) -> None:
    vendor.on_cancel = vendor.on_read = always(never())
    await client.cancel(identifier("doubt", 0), 2)


@dataclass(frozen=True, slots=True)
class _Trouble:
    """What happens, and what must then be seen in the metrics, and no other outcome and no other reason.

    outcomes: of reads and cancels at the vendor, some of these. reasons: of failures. also: metrics that must rise.
    """

    happens: Callable[[Connections, Vendor], Awaitable[None]]
    outcomes: frozenset[str] = frozenset()
    reasons: frozenset[str] = frozenset()
    also: str = ""


def _each(*names: str) -> frozenset[str]:
    return frozenset(names)


_TROUBLES = {
    "slow vendor": _Trouble(_slow, _each("timeout"), _each("VENDOR_TIMEOUT")),
    "failing vendor": _Trouble(_failing, _each("5xx"), _each("VENDOR_FAILED"), "result_retries_total"),
    "broken vendor": _Trouble(_broken, _each("broken"), _each("VENDOR_UNAVAILABLE"), "result_retries_total"),
    "vendor down": _Trouble(_down, _each("5xx"), _each("VENDOR_UNAVAILABLE"), "result_reads_total{source=throttled}"),
    "vendor's limit": _Trouble(_limited, _each("429"), _each("VENDOR_RATE_LIMITED")),
    "tokens revoked": _Trouble(_revoked, _each("2xx", "4xx"), also="vendor_request_seconds_count{operation=token"),
    "our overload": _Trouble(_overloaded, _each("2xx"), _each("OVERLOADED")),
    "new words": _Trouble(_new_words, _each("2xx"), also="vendor_unrecognized_values_total{field=status}"),
    "caller's mistake": _Trouble(_mistaken, reasons=_each("INVALID_REQUEST")),
    "cancel in doubt": _Trouble(
        _doubtful,
        _each("timeout", "unanswered", "abandoned"),
        _each("CANCELLATION_OUTCOME_UNKNOWN"),
        "cancellations_total{settled_by=nothing}",
    ),
    "cancel read back": _Trouble(_settled, _each("broken", "2xx"), also="cancellations_total{settled_by=reading back}"),
}


async def _seen(form: Form, findings: Findings) -> None:
    for name, trouble in _TROUBLES.items():
        async with (
            Vendor() as vendor,
            serving(vendor.url, VENDOR_TIMEOUT=0.4, MAX_READS=_AT_ONCE) as gateway,
            connected(gateway.port) as client,
        ):
            await client.read(identifier("warm", 0), 3)
            before = await gateway.scrape()
            await trouble.happens(client, vendor)
            await asyncio.sleep(0.3)  # a cancel goes on for a moment when its caller has its answer
            now = await gateway.scrape()
        risen = [metric for metric, value in now.items() if value > before.get(metric, 0)]
        outcomes = _labels(risen, r"vendor_request_seconds_count\{operation=(?:result|cancel),outcome=(\w+)")
        reasons = _labels(risen, r"grpc_server_failures_total\{.*reason=(\w+)")
        also = any(metric.startswith(trouble.also) for metric in risen)
        as_promised = (
            reasons == trouble.reasons and outcomes <= trouble.outcomes and bool(outcomes) == bool(trouble.outcomes)
        )
        text = f"{name}: {'+'.join(sorted(outcomes)) or 'no request'}, {'+'.join(sorted(reasons)) or 'no failure'}"
        findings.record(text if also else f"{text}, no {trouble.also}", as_promised and also)


def _labels(metrics: list[str], pattern: str) -> set[str]:
    return {match[1] for metric in metrics if (match := re.match(pattern, metric))}


CASES = (
    FaultCase(
        "seen",
        "each kind of fault, seen by its metrics",
        "distinguished by the outcomes at the vendor and the reasons of failures",
        _seen,
        timeout=120,
    ),
)
