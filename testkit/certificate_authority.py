"""A certificate authority for tests: certificates with any names and dates."""

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceStub
from server.app import Gateway

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub

URI, DNS, MAIL = x509.UniformResourceIdentifier, x509.DNSName, x509.RFC822Name

# What Python 3.13 demands of a CA and its certificates beyond 3.11: key usage and key identifiers (RFC 5280).
_MAY_SIGN = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, in PEM."""

    certificate: bytes
    key: bytes

    def write(self, certificate: Path, key: Path) -> None:
        """Replaces each file in one step, the certificate first."""
        replace(certificate, self.certificate)
        replace(key, self.key)


class Authority:
    """Issues certificates; `pem` is its own, valid for so many days."""

    def __init__(self, days: float = 1) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"Tests {x509.random_serial_number()}")])
        self._key_identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        built = (
            _builder(self._name, self._key, days)
            .issuer_name(self._name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_MAY_SIGN, critical=True)
            .add_extension(self._key_identifier, critical=False)
        )
        self.pem = built.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        *names: x509.GeneralName,
        common_name: str = "cn.example",
        days: float = 1,
        more: Sequence[x509.ExtensionType] = (),
    ) -> Issued:
        """Issues a certificate with these names, valid for so many days; negative: expired so many days ago.

        more: extensions, as they are.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._key_identifier)
        builder = _builder(subject, key, days).issuer_name(self._name).add_extension(issuer, critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        for extension in more:
            builder = builder.add_extension(extension, critical=False)
        plain = serialization.NoEncryption()
        return Issued(
            builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain),
        )

    def credentials(self, client: Issued | None = None) -> grpc.ChannelCredentials:
        """Credentials of a client that trusts this authority. client: its own certificate."""
        if client is None:
            return grpc.ssl_channel_credentials(self.pem)
        return grpc.ssl_channel_credentials(self.pem, client.key, client.certificate)


class Pki:
    """An authority, a server's certificate of it on disk, and clients that trust it."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority()
        self.certificate, self.key, self.client_ca = (folder / name for name in ("server.pem", "server.key", "ca.pem"))
        self.authority.issue(DNS("localhost")).write(self.certificate, self.key)
        replace(self.client_ca, self.authority.pem)

    def settings(self, *, mutual: bool = True) -> dict[str, Path]:
        """The settings that name its files."""
        paths = {"tls_certificate": self.certificate, "tls_key": self.key}
        return paths | ({"tls_client_ca": self.client_ca} if mutual else {})

    @asynccontextmanager
    async def connected(
        self, gateway: Gateway, client: Issued | None = None
    ) -> AsyncIterator["CallRequestServiceAsyncStub"]:
        """A client with that certificate, on a connection of its own."""
        options = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))
        address, credentials = f"localhost:{gateway.address[1]}", self.authority.credentials(client)
        async with grpc.aio.secure_channel(address, credentials, options) as channel:
            yield CallRequestServiceStub(channel)


def replace(path: Path, content: bytes) -> None:
    """Replaces a file in one step, as a rotation of certificates should. Only its owner may read it."""
    written = path.with_name(f"{path.name}.new")
    written.write_bytes(content)
    written.chmod(0o600)
    written.replace(path)


def _builder(subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: float) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=9))
        .not_valid_after(now + dt.timedelta(days=days))
    )
