"""Why a connection to the vendor failed, and which certificate was presented, in words for a person."""

import math
import os
import socket
import ssl
from datetime import UTC, datetime

import httpx
from cryptography import x509

from .proxy import ProxyRefused

CLOSED = "the other side closed the connection"
"""Why a reply, or the end of TLS's handshake, did not come."""

MAX_SHOWN = 200
"""Characters of a certificate's names that are shown."""


def explain_failure(error: httpx.TransportError, seconds: float) -> str:
    """Returns why there was no connection, or no reply, in a constant text: of OpenSSL, of the system, or ours.

    seconds: how long it was waited for.
    """
    cause = error.__cause__ or error
    if isinstance(cause, ProxyRefused):
        return cause.cause
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"{cause.verify_message} ({cause.verify_code})"
    if isinstance(cause, ssl.SSLError):
        return cause.reason or "TLS failed"
    if isinstance(cause, TimeoutError | httpx.TimeoutException):
        return f"no answer within {seconds:.3g} s"
    if isinstance(cause, httpx.RemoteProtocolError):
        return "a reply that is not HTTP"
    if isinstance(cause, socket.gaierror | UnicodeError):
        return "the name cannot be resolved"
    if isinstance(cause, ConnectionError | httpx.ReadError | httpx.WriteError) and not getattr(cause, "errno", None):
        return CLOSED
    if isinstance(cause, OSError) and cause.errno:
        return os.strerror(cause.errno).lower()
    return type(cause).__name__


def describe_certificate(der: bytes | None) -> str:
    """Returns a line about a certificate: its names, its issuer and its end. der: None: there is none."""
    try:
        certificate = x509.load_der_x509_certificate(der or b"")
        subject, issuer = certificate.subject.rfc4514_string(), certificate.issuer.rfc4514_string()
        ends = certificate.not_valid_after_utc
    except ValueError:
        return "a certificate that cannot be read"
    try:
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = ", ".join(san.get_values_for_type(x509.DNSName))
    except (x509.ExtensionNotFound, ValueError):
        names = ""
    days = math.floor((ends - datetime.now(UTC)).total_seconds() / 86_400)
    until = f"{days} days left" if days >= 0 else f"ended {ends:%Y-%m-%d}"
    return f"certificate of {_shown(names or subject)}, issued by {_shown(issuer)}, {until}"


def _shown(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text[:MAX_SHOWN])
