"""The names and the dates of clients' certificates.

gRPC for Python cuts the values of `auth_context()` at a NUL, so that a name there may be only the beginning of the
certificate's: `…/desk`, a NUL and `.evil.example` would be `…/desk`. Names come from the certificate itself.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from cryptography import x509

from callrequest.v1 import error_reason_pb2 as reasons

from ..errors import GatewayError
from ..observability.logs import describe, get_log
from .callers_file import DNS, URI

MAX_CACHED = 1024
"""Certificates whose names and dates are kept: a few hundred bytes each."""

_PEM = "x509_pem_cert"


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """names: URIs as they are, DNS names in lower case, each with its kind. begins, ends: in seconds since 1970."""

    names: tuple[tuple[str, str], ...]
    begins: float
    ends: float


_UNREADABLE = PeerCertificate((), 0, 0)


class PeerCertificates:
    """Reads certificates that gRPC has verified, each once. now: seconds since 1970."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._known: dict[bytes, PeerCertificate] = {}

    def names(self, auth_context: Mapping[str, Iterable[bytes]]) -> tuple[tuple[str, str], ...]:
        """Returns the names of a call's certificate; none without a certificate.

        Raises CALLER_UNAUTHENTICATED when it has ended or has not begun: gRPC looks at the dates in a full handshake
        alone, and a client resumes its TLS session for two days.
        """
        for pem in auth_context.get(_PEM, ()):
            certificate = self._certificate(pem)
            if not certificate.begins <= self._now() <= certificate.ends:
                raise GatewayError(reasons.ERROR_REASON_CALLER_UNAUTHENTICATED)
            return certificate.names
        return ()

    def _certificate(self, pem: bytes) -> PeerCertificate:
        digest = hashlib.sha256(pem).digest()
        known = self._known.get(digest)
        if known is None:
            if len(self._known) >= MAX_CACHED:
                del self._known[next(iter(self._known))]
            known = self._known[digest] = _read(pem)
        return known


def _read(pem: bytes) -> PeerCertificate:
    """Reads a certificate; one that cannot be read has ended."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        names = tuple(_names(certificate))
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except Exception as error:  # the library has several of its own that are no ValueError: for a version, for a name
        get_log().warning("a client's certificate cannot be read", **describe(error))
        return _UNREADABLE
    return PeerCertificate(names, begins.timestamp(), ends.timestamp())


def _names(certificate: x509.Certificate) -> Iterable[tuple[str, str]]:
    """Its URIs, then its DNS names. None at all when one of them is not plain text or the extension is malformed."""
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return ()
    uris = alternatives.get_values_for_type(x509.UniformResourceIdentifier)
    dns_names = alternatives.get_values_for_type(x509.DNSName)
    if not all(name.isascii() and name.isprintable() for name in (*uris, *dns_names)):
        return ()
    return [*((URI, name) for name in uris), *((DNS, name.lower()) for name in dns_names)]
