"""Names and dates of clients' certificates: whole names, within the dates, at every call."""

import asyncio
import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509

from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from server.errors import GatewayError
from server.rpc.callers_file import DNS as DNS_NAME
from server.rpc.callers_file import URI as URI_NAME
from server.rpc.peer_certificates import MAX_CACHED, PeerCertificates
from testkit.certificate_authority import DNS, MAIL, URI, Authority, Pki
from testkit.failure import failure
from testkit.gateway import metrics_of, started
from testkit.scripted_vendor import RESULT_ID, ScriptedVendor

GET = GetCallRequestResultRequest(call_request_id=RESULT_ID)
NAME = "spiffe://example.com/desk"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def seen(certificate: bytes) -> dict[str, list[bytes]]:
    """What gRPC hands over of a call's certificate; the other names there may be cut off and must not matter."""
    return {"x509_pem_cert": [certificate], "peer_uri": [NAME.encode()], "peer_dns": [b"desk.example.com"]}


@pytest.mark.parametrize(
    ("names", "read"),
    [
        pytest.param([], [], id="none"),
        pytest.param([DNS("b.Example"), URI("urn:B")], [(URI_NAME, "urn:B"), (DNS_NAME, "b.example")], id="both"),
        pytest.param([MAIL("a@b.example")], [], id="other kinds alone"),
        pytest.param([URI("urn:a\0b"), URI("urn:c")], [], id="a NUL in one"),
        pytest.param([DNS("a\0b"), URI("urn:c")], [], id="a NUL in one of another kind"),
        pytest.param([DNS("*.example")], [(DNS_NAME, "*.example")], id="a wildcard, as it is written"),
    ],
)
def test_names_are_read_from_the_certificate_itself(
    authority: Authority, names: list[x509.GeneralName], read: list[tuple[str, str]]
) -> None:
    """Whole, the URIs first; none of what gRPC has cut out of it; with an odd one among them none."""
    certificate = authority.issue(*names).certificate
    assert list(PeerCertificates().names(seen(certificate))) == read


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param(b"\x30\x05\x86\x03\xff\xfe\x00", id="a URI that is no text"),
        pytest.param(b"\x30\x02\xa3\x00", id="an X.400 address"),
        pytest.param(b"\x30\x04\xa5\x02\x30\x00", id="an EDI party"),
        pytest.param(b"\x30\x07\x87\x05\x01\x02\x03\x04\x05", id="an address of five bytes"),
    ],
)
def test_an_extension_that_cannot_be_read_holds_no_names(authority: Authority, encoded: bytes) -> None:
    """Whoever encodes it wrongly, or with names that the library does not know, is nobody; it is no defect of ours."""
    odd = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, encoded)
    assert PeerCertificates().names(seen(authority.issue(more=[odd]).certificate)) == ()


def test_a_call_without_a_certificate_has_no_names() -> None:
    """Nothing is taken from elsewhere."""
    assert PeerCertificates().names({"peer_uri": [NAME.encode()]}) == ()


@pytest.mark.parametrize(
    "pem", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_is_refused(pem: bytes) -> None:
    """It cannot happen behind gRPC; then nobody comes in by it."""
    with pytest.raises(GatewayError, match="CALLER_UNAUTHENTICATED"):
        PeerCertificates().names(seen(pem))


@pytest.mark.parametrize(
    ("days", "comes_in"),
    [
        pytest.param(0, True, id="now"),
        pytest.param(0.9, True, id="within its dates"),
        pytest.param(1.1, False, id="ended"),
        pytest.param(30, False, id="ended long ago"),
        pytest.param(-10, False, id="not begun"),
    ],
)
def test_the_dates_are_looked_at_anew_at_every_call(authority: Authority, days: float, comes_in: bool) -> None:
    """A certificate that was read before is refused as soon as it has ended."""
    moment = dt.datetime.now(dt.UTC).timestamp()
    certificates = PeerCertificates(lambda: moment)
    known = seen(authority.issue(URI(NAME), days=1).certificate)
    assert certificates.names(known)
    moment += days * 86_400
    if comes_in:
        assert certificates.names(known)
    else:
        with pytest.raises(GatewayError) as caught:
            certificates.names(known)
        assert caught.value.reason == reasons.ERROR_REASON_CALLER_UNAUTHENTICATED


def test_a_certificate_is_read_once_and_few_are_kept(authority: Authority) -> None:
    """Many different ones cost no memory without bound, and none of them is taken for another."""
    certificates = PeerCertificates()
    first = authority.issue(URI(NAME)).certificate
    for number in range(MAX_CACHED + 10):  # whatever stands around a certificate makes it another
        assert certificates.names(seen(b"%d\n" % number + first))
    other = authority.issue(URI("urn:other")).certificate
    assert certificates.names(seen(other)) == ((URI_NAME, "urn:other"),)
    assert certificates.names(seen(first)) == ((URI_NAME, NAME),)
    assert len(certificates._known) == MAX_CACHED  # noqa: SLF001 (there is no other way to see it)


@pytest.mark.parametrize("with_file", [True, False], ids=["with a callers' file", "without"])
async def test_a_certificate_that_ends_meanwhile_is_refused(
    vendor: ScriptedVendor, tmp_path: Path, with_file: bool
) -> None:
    """On the connection that it opened: UNAUTHENTICATED from then on."""
    pki, file = Pki(tmp_path), tmp_path / "callers.toml"
    file.write_text(f'[[caller]]\nname = "desk"\ncertificate = "{NAME}"\nmay = ["read"]\n')
    async with started(vendor.url, **({"callers": file} if with_file else {}), **pki.settings()) as gateway:
        client = pki.authority.issue(URI(NAME), days=5 / 86_400)
        async with pki.connected(gateway, client) as stub:
            await stub.GetCallRequestResult(GET, timeout=5)
            await asyncio.sleep(6)
            got = await failure(stub.GetCallRequestResult(GET, timeout=5))
        assert (got.code, got.reason) == ("UNAUTHENTICATED", "CALLER_UNAUTHENTICATED")
        assert 'calls_by_caller_total{caller="unknown",grpc_code="UNAUTHENTICATED"' in await metrics_of(gateway)
