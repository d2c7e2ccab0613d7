"""What to do about a step to the vendor that failed, and about a token that was not issued."""

from ..vendor_api.explanations import CLOSED
from ..vendor_api.probe import Attempt, StepFailedError, VendorProbe

_NO_WAY_ON = "it cannot reach the vendor: compare GATEWAY_VENDOR_URL, and the proxy's own network"
_OTHER_LOGIN = "it wants other credentials: compare user and password in GATEWAY_VENDOR_PROXY"

PROXY_REFUSALS = {
    "HTTP 401": _OTHER_LOGIN,  # tinyproxy's, for a wrong password
    "HTTP 407": _OTHER_LOGIN,
    "HTTP 403": "it does not let this host through: have the vendor's host and port allowed there",
    "HTTP 502": _NO_WAY_ON,
    "HTTP 503": _NO_WAY_ON,
    "HTTP 504": _NO_WAY_ON,
}


def advice_for_step(failed: StepFailedError, vendor: VendorProbe) -> str:
    """What failed on the way to the vendor, and what to do."""
    if failed.step == "proxy":
        assert vendor.proxy is not None
        refused = "it refuses: ask those who run it" if failed.why.startswith("HTTP ") else None
        silent = "compare GATEWAY_VENDOR_PROXY: is it an HTTP proxy, and does it run?"
        return f"the proxy {vendor.proxy}: {failed.why}: {PROXY_REFUSALS.get(failed.why) or refused or silent}"
    if failed.step == "connection":
        return f"{failed.why}: {_advice_without_connection(failed, vendor)}"
    return f"{failed.why}{f'; {failed.certificate}' if failed.certificate else ''}: {_tls_advice(failed.why)}"


def _advice_without_connection(failed: StepFailedError, vendor: VendorProbe) -> str:
    if failed.why == CLOSED:
        by = "" if vendor.proxy is None else ", behind the proxy"
        return (
            f"before TLS was agreed on{by}: is GATEWAY_VENDOR_URL's port the one for https, and does the vendor want "
            "another client certificate (GATEWAY_VENDOR_CERTIFICATE)? If neither has changed, the vendor is down"
        )
    return (
        "compare GATEWAY_VENDOR_URL and the firewall; is a proxy needed (GATEWAY_VENDOR_PROXY)? "
        "If nothing of these has changed, the vendor is down"
    )


_OTHER_CERTIFICATE = "the vendor wants another client certificate: compare GATEWAY_VENDOR_CERTIFICATE"

TLS_CHECKS = {
    "expired": "the vendor must renew it; compare the clocks",
    "not yet valid": "compare the clocks",
    "mismatch": "compare GATEWAY_VENDOR_URL with the certificate's names",
    "local issuer": "set GATEWAY_VENDOR_CA to the CA that issued it; a proxy that inspects TLS has one of its own",
    "self-signed": "set GATEWAY_VENDOR_CA to the CA that issued it",
    "self signed": "set GATEWAY_VENDOR_CA to the CA that issued it",
    "WRONG_VERSION_NUMBER": "the other side does not speak TLS: compare the port in GATEWAY_VENDOR_URL",
    "too weak": "the vendor must take a stronger key",
    "PROTOCOL": "no common version: the gateway speaks TLS 1.2 and 1.3",
    "UNRECOGNIZED_NAME": "the vendor's server does not know this name: compare GATEWAY_VENDOR_URL",
    "HANDSHAKE_FAILURE": f"the two have no cipher in common, or {_OTHER_CERTIFICATE}",
    "CERTIFICATE": _OTHER_CERTIFICATE,
    "UNKNOWN_CA": _OTHER_CERTIFICATE,
    "ACCESS_DENIED": _OTHER_CERTIFICATE,
}
"""What to do, by a part of OpenSSL's name of the check or of the vendor's alert; the first that is found counts."""


def _tls_advice(why: str) -> str:
    return next((text for part, text in TLS_CHECKS.items() if part in why), "see docs/vendor-connection.md, TLS")


def advice_for_token(attempt: Attempt) -> str:
    """How the token endpoint answered, and what to do."""
    if attempt.status is None:
        if "ALERT" in attempt.broken:
            return f"{attempt.broken}: {_tls_advice(attempt.broken)}"
        return (
            f"no reply: {attempt.broken}: compare GATEWAY_VENDOR_URL, GATEWAY_VENDOR_TOKEN_URL; "
            "a vendor that refuses our GATEWAY_VENDOR_CERTIFICATE may end connections so"
        )
    answered = f"HTTP {attempt.status}"
    if attempt.failure is not None and attempt.failure.reason_name == "VENDOR_REJECTED_CREDENTIALS":
        return (
            f"{answered}: the vendor refuses the credentials: compare GATEWAY_VENDOR_CLIENT_ID, "
            "GATEWAY_VENDOR_CLIENT_SECRET and GATEWAY_VENDOR_TOKEN_AUTH; a secret may have expired"
        )
    if 300 <= attempt.status <= 399:
        return f"{answered}: a redirect, which is not followed: set GATEWAY_VENDOR_TOKEN_URL to where it leads"
    if 200 <= attempt.status <= 299:
        return (
            f"{answered} without a token that can be used (a bearer token of at most 8192 ASCII characters without "
            "blanks): compare GATEWAY_VENDOR_TOKEN_PATH, GATEWAY_VENDOR_TOKEN_URL"
        )
    if attempt.status == 429:
        return f"{answered}: too many token requests: wait"
    if 400 <= attempt.status <= 499:
        return (
            f"{answered}: compare GATEWAY_VENDOR_TOKEN_PATH, GATEWAY_VENDOR_TOKEN_URL, GATEWAY_VENDOR_TOKEN_METHOD, "
            "GATEWAY_VENDOR_TOKEN_AUTH"
        )
    return f"{answered}: the token endpoint fails: try again later, then ask the vendor"
