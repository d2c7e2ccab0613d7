"""The way to the vendor, step by step: name, proxy, connection, TLS, token, clock, a read."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import assert_never
from urllib.parse import urlsplit

from ..files import BrokenFileError
from ..process.embedded_sandbox import with_vendor
from ..settings import Settings
from ..vendor_api.probe import CLOSED, Step, StepFailedError, Tried, Vendor
from ..vendor_api.proxy import Proxy
from ..vendor_api.tls_files import TlsFiles
from ..vendor_api.token_endpoint import Credentials, TokenRequest
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
        async for finding in _ask(vendor, of_vendor.vendor_connect_timeout, reached=reached):
            yield finding


def _vendor(settings: Settings) -> Vendor:
    """Raises BrokenFileError."""
    url, client_id, secret = settings.vendor_url, settings.vendor_client_id, settings.vendor_client_secret
    assert url is not None
    assert client_id is not None
    assert secret is not None
    token_url = settings.vendor_token_url or url.rstrip("/") + settings.vendor_token_path
    return Vendor(
        url,
        TokenRequest(token_url, settings.vendor_token_method, settings.vendor_token_auth),
        Credentials(client_id, secret.get_secret_value()),
        TlsFiles(settings.vendor_ca, settings.vendor_certificate, settings.vendor_key).load(),
        Proxy.from_url(settings.vendor_proxy.get_secret_value()) if settings.vendor_proxy else None,
        settings.vendor_connect_timeout,
        settings.vendor_timeout,
    )


async def _reach(vendor: Vendor, url: str) -> AsyncIterator[Finding]:
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
            yield Finding.failed(step, f"{host}: {_what_to_do(failed, vendor)}")
        elif step == "proxy":
            through = "" if vendor.proxy is None else f"{host} through {vendor.proxy}"
            yield Finding.ok(step, through) if through else Finding.skipped(step, "GATEWAY_VENDOR_PROXY is not set")
        elif step == "connection":
            yield Finding.ok(step, host)
        elif step == "tls":
            yield Finding.ok(step, f"{host}: {described}") if is_https else Finding.skipped(step, f"{host}: plain http")
        else:
            assert_never(step)


async def _name(vendor: Vendor, url: str) -> Finding:
    """The addresses of the name that this machine resolves: the vendor's, or the proxy's."""
    host, setting = urlsplit(url).hostname or "", "GATEWAY_VENDOR_URL"
    if vendor.proxy is not None:
        host, setting = vendor.proxy.host, "GATEWAY_VENDOR_PROXY"
    elif url != vendor.url:
        setting = "GATEWAY_VENDOR_TOKEN_URL"
    found = {}
    for family, label in ((socket.AF_INET, "IPv4"), (socket.AF_INET6, "IPv6")):
        try:
            async with asyncio.timeout(vendor.connect_timeout):
                loop = asyncio.get_running_loop()
                addresses = await loop.getaddrinfo(host, None, family=family, type=socket.SOCK_STREAM)
            found[label] = [str(address[0]) for *_, address in addresses]
        except (OSError, UnicodeError):  # TimeoutError is an OSError
            found[label] = []
    if not any(found.values()):
        return Finding.failed("name", f"{setting}: {host} cannot be resolved: compare it, and this machine's DNS")
    listed = [f"{label} {', '.join(addresses) or 'none'}" for label, addresses in found.items()]
    return Finding.ok("name", f"{host}: {'; '.join(listed)}")


PROXY_REFUSALS = {
    "HTTP 407": "it wants other credentials: compare user and password in GATEWAY_VENDOR_PROXY",
    "HTTP 403": "it does not let this host through: have the vendor's host and port allowed there",
    "HTTP 502": "it cannot reach the vendor: compare GATEWAY_VENDOR_URL, and the proxy's own network",
    "HTTP 503": "it cannot reach the vendor: compare GATEWAY_VENDOR_URL, and the proxy's own network",
    "HTTP 504": "it cannot reach the vendor: compare GATEWAY_VENDOR_URL, and the proxy's own network",
}


def _what_to_do(failed: StepFailedError, vendor: Vendor) -> str:
    if failed.step == "proxy":
        assert vendor.proxy is not None
        refused = "it refuses: ask those who run it" if failed.why.startswith("HTTP ") else None
        silent = "compare GATEWAY_VENDOR_PROXY: is it an HTTP proxy, and does it run?"
        return f"the proxy {vendor.proxy}: {failed.why}: {PROXY_REFUSALS.get(failed.why) or refused or silent}"
    if failed.step == "connection":
        return f"{failed.why}: {_advice_without_connection(failed, vendor)}"
    advice = "see docs/vendor-connection.md, TLS"
    for part, text in TLS_CHECKS.items():
        if part in failed.why:
            advice = text
            break
    return f"{failed.why}{f'; {failed.certificate}' if failed.certificate else ''}: {advice}"


def _advice_without_connection(failed: StepFailedError, vendor: Vendor) -> str:
    compare = "compare GATEWAY_VENDOR_URL"
    if failed.why == CLOSED:
        compare += " (is it the port for https?); it may want another client certificate (GATEWAY_VENDOR_CERTIFICATE)"
    if vendor.proxy is not None:
        return f"the proxy made a connection; {compare}; the proxy's log may say more"
    return (
        f"{compare} and the firewall; is a proxy needed (GATEWAY_VENDOR_PROXY)? "
        "If nothing of these has changed, the vendor is down"
    )


TLS_CHECKS = {
    "expired": "the vendor must renew it; compare the clocks",
    "not yet valid": "compare the clocks",
    "mismatch": "compare GATEWAY_VENDOR_URL with the certificate's names",
    "local issuer": "set GATEWAY_VENDOR_CA to the CA that issued it; a proxy that inspects TLS has one of its own",
    "self-signed": "set GATEWAY_VENDOR_CA to the CA that issued it",
    "self signed": "set GATEWAY_VENDOR_CA to the CA that issued it",
    "WRONG_VERSION_NUMBER": "the other side does not speak TLS: compare the port in GATEWAY_VENDOR_URL",
    "ALERT": "the vendor wants another client certificate: compare GATEWAY_VENDOR_CERTIFICATE",
}
"""What to do, by a part of OpenSSL's name of the check."""


async def _ask(vendor: Vendor, connect_timeout: float, *, reached: bool) -> AsyncIterator[Finding]:
    if not reached:
        for check in ("token", "clock", "read"):
            yield Finding.skipped(check, "the vendor was not reached")
        return
    tried = await vendor.fetch_token()
    if tried.token is not None:
        yield Finding.ok("token", f"for {tried.token.lifetime:g} s")
    else:
        yield Finding.failed("token", _token_advice(tried))
    yield _clock(tried.skew)
    if tried.token is None:
        yield Finding.skipped("read", "there is no token")
    else:
        yield _read(await vendor.read(UNKNOWN_ID, tried.token))


def _token_advice(tried: Tried) -> str:
    if tried.status is None:
        if "ALERT" in tried.broken:
            return f"{tried.broken}: {TLS_CHECKS['ALERT']}"
        return (
            f"no reply: {tried.broken}: compare GATEWAY_VENDOR_URL, GATEWAY_VENDOR_TOKEN_URL; "
            "a vendor that refuses our GATEWAY_VENDOR_CERTIFICATE may end connections so"
        )
    answered = f"HTTP {tried.status}"
    if tried.failure is not None and tried.failure.reason_name == "VENDOR_REJECTED_CREDENTIALS":
        return (
            f"{answered}: the vendor refuses the credentials: compare GATEWAY_VENDOR_CLIENT_ID, "
            "GATEWAY_VENDOR_CLIENT_SECRET and GATEWAY_VENDOR_TOKEN_AUTH; a secret may have expired"
        )
    if 300 <= tried.status <= 399:
        return f"{answered}: a redirect, which is not followed: set GATEWAY_VENDOR_TOKEN_URL to where it leads"
    if 200 <= tried.status <= 299:
        return (
            f"{answered} without a token that can be used (a bearer token of at most 8192 ASCII characters without "
            "blanks): compare GATEWAY_VENDOR_TOKEN_PATH, GATEWAY_VENDOR_TOKEN_URL"
        )
    if tried.status == 429:
        return f"{answered}: too many token requests: wait"
    if 400 <= tried.status <= 499:
        return (
            f"{answered}: compare GATEWAY_VENDOR_TOKEN_PATH, GATEWAY_VENDOR_TOKEN_URL, GATEWAY_VENDOR_TOKEN_METHOD, "
            "GATEWAY_VENDOR_TOKEN_AUTH"
        )
    return f"{answered}: the token endpoint fails: try again later, then ask the vendor"


def _clock(skew: float | None) -> Finding:
    if skew is None:
        return Finding.skipped("clock", "the vendor sent no Date")
    if abs(skew) <= MAX_SKEW:
        return Finding.ok("clock", f"within {MAX_SKEW:g} s of the vendor's")
    ahead = "ahead of" if skew > 0 else "behind"
    return Finding.failed("clock", f"{abs(skew):.0f} s {ahead} the vendor's: set this machine's clock (NTP)")


def _read(tried: Tried) -> Finding:
    reason = None if tried.failure is None else tried.failure.reason_name
    if reason in (None, "CALL_REQUEST_NOT_FOUND"):
        return Finding.ok(
            "read", "a call request that does not exist: CALL_REQUEST_NOT_FOUND" if reason else "answered"
        )
    answered = tried.broken or f"HTTP {tried.status}"
    advice = {
        "VENDOR_REJECTED_CREDENTIALS": "the vendor refuses the token that it has issued: ask it for the right to read",
        "VENDOR_MALFORMED_RESPONSE": "not the vendor's API: compare GATEWAY_VENDOR_URL; is a page in front?",
        "VENDOR_RATE_LIMITED": "wait, and set GATEWAY_VENDOR_MAX_CALLS_PER_SECOND",
    }.get(str(reason), "try again later, then ask the vendor")
    return Finding.failed("read", f"{answered}, {reason}: {advice}")
