"""Cases: who may call, by certificate or by token, and what changes while the gateway runs."""

import asyncio
import hashlib
import ssl
import time

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from testkit.calls import at_rate, code_of, counted, identifier
from testkit.certificate_authority import URI, Authority, replace
from testkit.stateful_vendor import Vendor

from .fault_case import FaultCase, Findings, Form
from .secured import Site, secured

_DESK, _REPORTS = "spiffe://faults.example/desk", "spiffe://faults.example/reports"
_TOKEN, _READ_TOKEN = "token-of-the-desk-0123456789abcdef", "token-of-reports-0123456789abcdef"
_OPEN, _READS_ONLY = '["read", "cancel"]', '["read"]'
_NOTICED = 3.0  # seconds until a changed file of callers holds


def _caller(name: str, identity: str, may: str) -> str:
    return f'[[caller]]\nname = "{name}"\n{identity}\nmay = {may}\n'


def _hashed(token: str) -> str:
    return f'token_sha256 = "{hashlib.sha256(token.encode()).hexdigest()}"'


BY_TOKEN = _caller("desk", _hashed(_TOKEN), _OPEN) + _caller("reports", _hashed(_READ_TOKEN), _READS_ONLY)
BY_CERTIFICATE = _caller("desk", f'certificate = "{_DESK}"', _OPEN) + _caller(
    "reports", f'certificate = "{_REPORTS}"', _READS_ONLY
)


def _judge(findings: Findings, vendor: Vendor, who: str, codes: list[str], expected: str) -> None:
    """Records how the calls of a stranger ended, and whether the vendor saw any of them."""
    findings.record(f"{who}: {'/'.join(sorted(set(codes)))}", set(codes) == {expected})
    if vendor.reads or vendor.posts:
        findings.record(f"the vendor was asked for {who}", False)
    vendor.reads.clear()
    vendor.posts.clear()


async def _certificates(form: Form, findings: Findings) -> None:
    async with Vendor() as vendor, secured(vendor, BY_CERTIFICATE, mutual=True) as site:
        issue, asked = site.authority.issue, identifier("caller", 0)
        strangers = {
            "none": (None, "UNAVAILABLE"),
            "another CA's": (Authority().issue(URI(_DESK)), "UNAVAILABLE"),
            "expired": (issue(URI(_DESK), days=-1), "UNAVAILABLE"),
            "of nobody known": (issue(URI("spiffe://faults.example/else")), "UNAUTHENTICATED"),
            "with a NUL after a known name": (issue(URI(f"{_DESK}\0.evil.example")), "UNAUTHENTICATED"),
            "known by its common name": (issue(common_name=_DESK), "UNAUTHENTICATED"),
        }
        for who, (client, expected) in strangers.items():
            codes = [await call(asked, client) for call in (site.read, site.cancel)]
            _judge(findings, vendor, who, codes, expected)
        desk, reports = issue(URI(_DESK)), issue(URI(_REPORTS))
        _judge(findings, vendor, "forbidden cancel", [await site.cancel(asked, reports)], "PERMISSION_DENIED")
        codes = [await site.read(asked, reports), await site.read(asked, desk), await site.cancel(asked, desk)]
        findings.record(f"allowed: {counted(codes)}", set(codes) == {"OK"})
        await _ends_meanwhile(site, findings)


async def _ends_meanwhile(site: Site, findings: Findings) -> None:
    """A certificate that ends on an open connection; its life is as long as this machine needs for a first call."""
    asked = GetCallRequestResultRequest(call_request_id=identifier("caller", 0))
    for seconds in (3, 10, 30):
        async with site.connected(site.authority.issue(URI(_DESK), days=seconds / 86_400)) as client:
            if await code_of(client.GetCallRequestResult(asked, timeout=5)) == "OK":
                await asyncio.sleep(seconds + 1)
                code = await code_of(client.GetCallRequestResult(asked, timeout=5))
                findings.record(f"ended meanwhile: {code}", code == "UNAUTHENTICATED")
                return
    findings.record("no call before the end of a certificate", False)


async def _tokens(form: Form, findings: Findings) -> None:
    async with Vendor() as vendor, secured(vendor, BY_TOKEN, mutual=False) as site:
        asked = identifier("caller", 0)
        wrong = {
            "no token": None,
            "wrong token": _TOKEN[:-1] + "x",
            "its hash": hashlib.sha256(_TOKEN.encode()).hexdigest(),
            "no bearer": f"Basic {_TOKEN}",
        }
        for who, token in wrong.items():
            codes = [await call(asked, None, token) for call in (site.read, site.cancel)]
            _judge(findings, vendor, who, codes, "UNAUTHENTICATED")
        _judge(findings, vendor, "forbidden cancel", [await site.cancel(asked, None, _READ_TOKEN)], "PERMISSION_DENIED")
        calls = (site.read(asked, None, _READ_TOKEN), site.read(asked, None, _TOKEN), site.cancel(asked, None, _TOKEN))
        codes = [await call for call in calls]
        findings.record(f"allowed: {counted(codes)}", set(codes) == {"OK"})


async def _rotation(form: Form, findings: Findings) -> None:
    """Calls on a connection that stays, and on new ones all the time, while certificate and client CA are replaced."""
    async with Vendor() as vendor, secured(vendor, BY_CERTIFICATE, mutual=True) as site:
        desk, successor = site.authority.issue(URI(_DESK)), Authority()
        seconds = form.of(5.0, 30.0)
        async with site.connected(desk) as lasting:

            async def stay(number: int) -> str:
                request = GetCallRequestResultRequest(call_request_id=identifier("stay", number))
                return await code_of(lasting.GetCallRequestResult(request, timeout=5))

            loads = asyncio.gather(
                at_rate(100, seconds, stay),
                at_rate(10, seconds, lambda number: site.read(identifier("anew", number), desk)),
            )
            await asyncio.sleep(seconds / 4)
            renewed = ""
            for _ in range(form.of(5, 20)):
                renewed = site.renew()
                await asyncio.sleep(seconds / 2 / form.of(5, 20))
            replace(site.client_ca, site.authority.pem + successor.pem)
            codes = [code for load in await loads for code in load]
        served = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", site.gateway.port))
        heir = await site.read(identifier("heir", 0), successor.issue(URI(_DESK)))
        defects = site.gateway.defects()
    findings.record(f"{len(codes)} calls: {counted(codes)}", set(codes) == {"OK"})
    findings.record(f"new certificate {'served' if served == renewed else 'not served'}", served == renewed)
    findings.record(f"client of the added CA: {heir}", heir == "OK")
    findings.record(f"{len(defects)} defects logged", not defects)


async def _file(form: Form, findings: Findings) -> None:
    async with Vendor() as vendor, secured(vendor, BY_TOKEN, mutual=False) as site:
        asked, begun = identifier("caller", 0), len(site.gateway.log())
        replace(site.callers, b"[[caller]\nname = ")
        await asyncio.sleep(_NOTICED)
        codes = [await site.read(asked, None, _TOKEN), await site.read(asked)]
        findings.record(f"broken file: {codes[0]} known, {codes[1]} unknown", codes == ["OK", "UNAUTHENTICATED"])
        loud = [line for line in site.gateway.log()[begun:] if line.get("level") in ("error", "critical")]
        findings.record(f"{len(loud)} errors logged", bool(loud))
        replace(site.callers, _caller("reports", _hashed(_READ_TOKEN), _READS_ONLY).encode())
        changed = time.monotonic()
        while time.monotonic() - changed < _NOTICED and await site.read(asked, None, _TOKEN) == "OK":
            pass
        took = time.monotonic() - changed
        codes = [await site.read(asked, None, _TOKEN), await site.read(asked, None, _READ_TOKEN)]
        expected = ["UNAUTHENTICATED", "OK"]
        findings.record(f"struck off: {codes[0]} after {took:.1f} s, the other {codes[1]}", codes == expected)


_REFUSED = "refused with its code, the vendor sees nothing"

CASES = (
    FaultCase(
        "certificates",
        "no, wrong, expired, unknown certificate, a NUL in its name, one that ends meanwhile; forbidden method",
        _REFUSED,
        _certificates,
        60,
    ),
    FaultCase("tokens", "no, wrong, malformed token; forbidden method", _REFUSED, _tokens),
    FaultCase(
        "rotation", "certificates and client CA rotated under load", "no call lost, the new ones hold", _rotation, 60
    ),
    FaultCase(
        "callers-file", "file of callers broken, then changed", "old rules stay and an error is logged; then new", _file
    ),
)
