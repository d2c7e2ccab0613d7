"""Which check of TLS failed is logged, by OpenSSL's name and number."""

import asyncio
import datetime as dt
import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.call_request_service_pb2 import CancelCallRequestRequest, GetCallRequestResultRequest
from server.deadline import Deadline
from server.errors import Delivery, GatewayError
from server.observability.logs import configure_logs
from server.vendor_api.exchange import Exchanges, Outages
from server.vendor_api.transport import Http1Transport
from testkit.certificate_authority import DNS, Authority, replace
from testkit.failure import failure
from testkit.gateway import connected, started
from testkit.handshakes import handshakes
from testkit.logs import Lines, silence_logs
from testkit.scripted_vendor import RESULT_ID, ScriptedVendor
from testkit.vendor_client import Unobserved, vendor_client

GET = GetCallRequestResultRequest(call_request_id=RESULT_ID)
CANCEL = CancelCallRequestRequest(call_request_id=RESULT_ID)


@pytest.fixture
def checks() -> Iterator[Callable[[], list[str]]]:
    """Returns the failed checks that were logged so far."""
    lines = Lines()
    configure_logs("info", console=False, sink=lines)
    yield lambda: [
        line["tls"]
        for line in map(json.loads, lines.getvalue().splitlines())
        if line["event"] == "no connection to the vendor"
    ]
    silence_logs()


def _context(folder: Path, certificate: bytes, key: bytes) -> ssl.SSLContext:
    replace(folder / "server.pem", certificate)
    replace(folder / "server.key", key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return context


@pytest.mark.parametrize(
    ("name", "days", "trusted", "check"),
    [
        pytest.param("localhost", -1, True, "certificate has expired (10)", id="expired"),
        pytest.param(
            "other.example",
            1,
            True,
            "Hostname mismatch, certificate is not valid for 'localhost'. (62)",
            id="another-name",
        ),
        pytest.param("localhost", 1, False, "unable to get local issuer certificate (20)", id="unknown-ca"),
    ],
)
async def test_the_failed_check_is_logged(
    tmp_path: Path, checks: Callable[[], list[str]], name: str, days: float, trusted: bool, check: str
) -> None:
    """Once; read and cancel are UNAVAILABLE, for nothing was sent."""
    authority = Authority()
    issued = authority.issue(DNS(name), days=days)
    (tmp_path / "ca.pem").write_bytes((authority if trusted else Authority()).pem)
    async with (
        ScriptedVendor(_context(tmp_path, issued.certificate, issued.key)) as vendor,
        started(vendor.url, vendor_ca=tmp_path / "ca.pem") as gateway,
        connected(gateway) as client,
    ):
        for call in (client.GetCallRequestResult(GET, timeout=5), client.CancelCallRequest(CANCEL, timeout=5)):
            assert (await failure(call)).reason == "VENDOR_UNAVAILABLE"
        assert vendor.asked == []
    assert checks() == [check]


async def test_a_refused_client_certificate_is_logged(tmp_path: Path, checks: Callable[[], list[str]]) -> None:
    """TLS 1.3 refuses it when the request is already on its way: the connection breaks, and the log says why."""
    authority = Authority()
    issued = authority.issue(DNS("localhost"))
    context = _context(tmp_path, issued.certificate, issued.key)
    context.verify_mode = ssl.CERT_REQUIRED
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    with handshakes(context) as url:
        async with started(url, vendor_ca=tmp_path / "ca.pem") as gateway, connected(gateway) as client:
            assert (await failure(client.GetCallRequestResult(GET, timeout=5))).reason == "VENDOR_UNAVAILABLE"
    assert set(checks()) == {"TLSV13_ALERT_CERTIFICATE_REQUIRED"}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("shown", [True, False], ids=["of-another-authority", "none"])
async def test_a_request_whose_certificate_is_refused_was_not_sent(
    tmp_path: Path, version: ssl.TLSVersion, shown: bool
) -> None:
    """With TLS 1.3 it is on its way when the refusal comes, but the vendor cannot have read it."""
    authority, another = Authority(), Authority().issue(DNS("gateway.example"))
    issued = authority.issue(DNS("localhost"))
    context = _context(tmp_path, issued.certificate, issued.key)
    context.load_verify_locations(cadata=authority.pem.decode())
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = context.maximum_version = version
    ours = ssl.create_default_context(cadata=authority.pem.decode())
    if shown:
        another.write(tmp_path / "client.pem", tmp_path / "client.key")
        ours.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
    with handshakes(context) as url:
        async with Http1Transport(url, ours, 5, 1 << 20) as transport:
            exchanges = Exchanges(transport, 3, Unobserved(), Outages())
            with pytest.raises(GatewayError) as caught:
                await exchanges.exchange("cancel", httpx.Request("POST", url, content=b"{}"), Deadline.after(5), 5)
    assert caught.value.reason == reasons.ERROR_REASON_VENDOR_UNAVAILABLE
    assert caught.value.delivery is Delivery.NOT_SENT


async def test_a_server_that_does_not_speak_tls_is_logged(checks: Callable[[], list[str]]) -> None:
    """A wrong port, as a rule."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    async with server, started(url) as gateway, connected(gateway) as client:
        assert (await failure(client.GetCallRequestResult(GET, timeout=5))).reason == "VENDOR_UNAVAILABLE"
    assert set(checks()) == {"WRONG_VERSION_NUMBER"}


def _private_authority(*, critical: bool, identified: bool) -> tuple[bytes, bytes, bytes]:
    """A CA, and a certificate of its own and its key, in PEM. identified: with key identifiers."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in ("Private CA", "leaf")]
    now = dt.datetime.now(dt.UTC)
    usage = x509.KeyUsage(*(number == 5 for number in range(9)))  # key_cert_sign alone
    pems = []
    for subject, key in zip(names, keys, strict=True):
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(names[0])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
        )
        if key is keys[0]:
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=critical)
            builder = builder.add_extension(usage, critical=True)
        else:
            builder = builder.add_extension(x509.SubjectAlternativeName([DNS("localhost")]), critical=False)
        if identified or key is keys[0]:
            builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        if identified and key is not keys[0]:
            issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key())
            builder = builder.add_extension(issuer, critical=False)
        pems.append(builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    key_pem = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pems[0], pems[1], key_pem


@pytest.mark.parametrize(
    ("critical", "identified", "check"),
    [
        pytest.param(True, False, "Missing Authority Key Identifier", id="no-authority-key-identifier"),
        pytest.param(False, True, "Basic Constraints of CA cert not marked critical", id="constraints-not-critical"),
        pytest.param(True, True, None, id="complete"),
    ],
)
async def test_what_python_313_asks_of_private_cas_is_logged(
    tmp_path: Path, checks: Callable[[], list[str]], critical: bool, identified: bool, check: str | None
) -> None:
    """Its contexts are strict by themselves; here every version's is made so."""
    ca, certificate, key = _private_authority(critical=critical, identified=identified)
    strict = ssl.create_default_context(cadata=ca.decode())
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    async with (
        ScriptedVendor(_context(tmp_path, certificate, key)) as vendor,
        Http1Transport(vendor.url, strict, 5, 1 << 20) as transport,
    ):
        client = vendor_client(transport, vendor.url)
        if check is None:
            await client.read_result(RESULT_ID, Deadline.after(5))
        else:
            with pytest.raises(GatewayError) as caught:
                await client.cancel(RESULT_ID, Deadline.after(5))
            assert caught.value.delivery is Delivery.NOT_SENT
            (logged,) = checks()
            assert logged.startswith(f"{check} (")
