"""The way to the vendor, step by step: name, proxy, connection, TLS, token, clock, a read."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import assert_never
from urllib.parse import urlsplit

from ..files import BrokenFileError
from ..process.embedded_sandbox import with_vendor
from ..settings import Settings
from ..vendor_api.opening import VendorSettings
from ..vendor_api.probe import Attempt, Step, StepFailedError, VendorProbe
from .advice import advice_for_step, advice_for_token
from .finding import Finding

UNKNOWN_ID = "doctorNoSuchId00"
"""A call request that does not exist."""
MAX_SKEW = 30.0
"""Seconds by which the clocks may differ. A signature of the webhook's is refused beyond 300."""
STEPS: tuple[Step, ...] = ("proxy", "connection", "tls")


async def check_vendor(settings: Settings) -> AsyncIterator[Finding]:
    """Tries each step with the settings as they are; without a vendor, the sandbox plays it."""
    if settings.vendor_url is None:
        settings = settings.model_copy(update={"sandbox_listen": "127.0.0.1:0"})  # its port is checked elsewhere
        yield Finding.ok("vendor", "GATEWAY_VENDOR_URL is not set: the sandbox plays the vendor")
    async with with_vendor(settings) as of_vendor:
        try:
            vendor = _vendor(of_vendor)
        except BrokenFileError:
            for check in ("name", *STEPS, "token", "clock", "read"):
                yield Finding.skipped(check, "the files of TLS to the vendor are broken: see certificates")
            return
        reached = True
        for url in dict.fromkeys((vendor.url, vendor.token_request.url)):
            if url == vendor.url or urlsplit(url)[:2] != urlsplit(vendor.url)[:2]:
                async for finding in _reach(vendor, url):
                    reached = reached and finding.state != "failed"
                    yield finding
        async for finding in _ask(vendor, reached=reached):
            yield finding


def _vendor(settings: Settings) -> VendorProbe:
    """Raises BrokenFileError."""
    vendor = VendorSettings.of(settings)
    return VendorProbe(
        vendor.url,
        vendor.token_request,
        vendor.credentials,
        vendor.tls.load(),
        vendor.proxy,
        settings.vendor_connect_timeout,
        settings.vendor_timeout,
    )


async def _reach(vendor: VendorProbe, url: str) -> AsyncIterator[Finding]:
    name = await _name(vendor, url)
    yield name
    host, is_https = urlsplit(url).netloc, urlsplit(url).scheme == "https"
    failed, described = None, ""
    if name.state != "failed":
        try:
            described = await vendor.connect(url)
        except StepFailedError as error:
            failed = error
    broken = name.state == "failed"
    for step in STEPS:
        if broken:
            yield Finding.skipped(step, f"{host}: {'the name' if failed is None else failed.step} failed")
        elif failed is not None and failed.step == step:
            broken = True
            yield Finding.failed(step, f"{host}: {advice_for_step(failed, vendor)}")
        elif step == "proxy":
            through = "" if vendor.proxy is None else f"{host} through {vendor.proxy}"
            yield Finding.ok(step, through) if through else Finding.skipped(step, "GATEWAY_VENDOR_PROXY is not set")
        elif step == "connection":
            yield Finding.ok(step, host)
        elif step == "tls":
            yield Finding.ok(step, f"{host}: {described}") if is_https else Finding.skipped(step, f"{host}: plain http")
        else:
            assert_never(step)


async def _name(vendor: VendorProbe, url: str) -> Finding:
    """The addresses of the name that this machine resolves: the vendor's, or the proxy's."""
    host, setting = urlsplit(url).hostname or "", "GATEWAY_VENDOR_URL"
    if vendor.proxy is not None:
        host, setting = vendor.proxy.host, "GATEWAY_VENDOR_PROXY"
    elif url != vendor.url:
        setting = "GATEWAY_VENDOR_TOKEN_URL"
    found, silent = {}, False
    for family, label in ((socket.AF_INET, "IPv4"), (socket.AF_INET6, "IPv6")):
        try:
            async with asyncio.timeout(vendor.connect_timeout):
                loop = asyncio.get_running_loop()
                addresses = await loop.getaddrinfo(host, None, family=family, type=socket.SOCK_STREAM)
            found[label] = [str(address[0]) for *_, address in addresses]
        except (OSError, UnicodeError) as error:
            found[label] = []
            silent = silent or isinstance(error, TimeoutError)
    if not any(found.values()):
        silence = f"is not resolved within {vendor.connect_timeout:g} s by any name server"
        why = silence if silent else "cannot be resolved"
        return Finding.failed("name", f"{setting}: {host} {why}: compare it, and this machine's DNS")
    listed = [f"{label} {', '.join(addresses) or 'none'}" for label, addresses in found.items()]
    return Finding.ok("name", f"{host}: {'; '.join(listed)}")


async def _ask(vendor: VendorProbe, *, reached: bool) -> AsyncIterator[Finding]:
    if not reached:
        for check in ("token", "clock", "read"):
            yield Finding.skipped(check, "the vendor was not reached")
        return
    attempt = await vendor.fetch_token()
    if attempt.token is not None:
        yield Finding.ok("token", f"for {attempt.token.lifetime:g} s")
    else:
        yield Finding.failed("token", advice_for_token(attempt))
    yield _clock(attempt.skew)
    if attempt.token is None:
        yield Finding.skipped("read", "there is no token")
    else:
        yield _read(await vendor.read(UNKNOWN_ID, attempt.token))


def _clock(skew: float | None) -> Finding:
    if skew is None:
        return Finding.skipped("clock", "the vendor sent no Date")
    if abs(skew) <= MAX_SKEW:
        return Finding.ok("clock", f"within {MAX_SKEW:g} s of the vendor's")
    ahead = "ahead of" if skew > 0 else "behind"
    return Finding.failed("clock", f"{abs(skew):.0f} s {ahead} the vendor's: set this machine's clock (NTP)")


def _read(attempt: Attempt) -> Finding:
    reason = None if attempt.failure is None else attempt.failure.reason_name
    if reason in (None, "CALL_REQUEST_NOT_FOUND"):
        return Finding.ok(
            "read", "a call request that does not exist: CALL_REQUEST_NOT_FOUND" if reason else "answered"
        )
    answered = attempt.broken or f"HTTP {attempt.status}"
    advice = {
        "VENDOR_REJECTED_CREDENTIALS": "the vendor refuses the token that it has issued: ask it for the right to read",
        "VENDOR_MALFORMED_RESPONSE": "not the vendor's API: compare GATEWAY_VENDOR_URL; is a page in front?",
        "VENDOR_RATE_LIMITED": (
            "which caller calls more than usual? grpc_server_calls_by_caller_total has it: limit that one "
            "(max_per_second in GATEWAY_CALLERS); else set GATEWAY_VENDOR_MAX_CALLS_PER_SECOND, of each process"
        ),
    }.get(str(reason), "try again later, then ask the vendor")
    return Finding.failed("read", f"{answered}, {reason}: {advice}")
