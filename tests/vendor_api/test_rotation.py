"""Secrets and certificates for the vendor are replaced while the gateway runs."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from server.app import Gateway
from server.files import MAX_BYTES
from testkit.certificate_authority import DNS, Authority, replace
from testkit.failure import failure
from testkit.gateway import SECRET, connected, metrics_of, started
from testkit.scripted_vendor import RESULT_ID, TOKEN, ScriptedVendor, pending, send

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub

GET = GetCallRequestResultRequest(call_request_id=RESULT_ID)
SECRET_FILE = "gateway_vendor_client_secret"
CREDENTIALS, TLS = "GATEWAY_VENDOR_CLIENT_SECRET", "GATEWAY_VENDOR_CA, GATEWAY_VENDOR_CERTIFICATE, GATEWAY_VENDOR_KEY"


async def _until_reloaded(gateway: Gateway, settings: str, outcome: str, times: int = 1) -> None:
    counted = f'file_reloads_total{{outcome="{outcome}",settings="{settings}"}}'
    async with asyncio.timeout(10):
        while await _value(gateway, counted) < times:  # noqa: ASYNC110 (there is no event for it)
            await asyncio.sleep(0.05)


async def _value(gateway: Gateway, series: str) -> float:
    (line,) = (line for line in (await metrics_of(gateway)).splitlines() if line.startswith(series))
    return float(line.rpartition(" ")[2])


def _revoke(vendor: ScriptedVendor, good: str) -> None:
    """From now on reads are answered with this token only."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        right = vendor.asked_on(writer).headers["authorization"] == f"Bearer {good}"
        await (send(pending()) if right else send("", 401))(writer)

    vendor.answer("result", answer)


def _secrets(vendor: ScriptedVendor) -> list[str]:
    return [asked.query["client_secret"][0] for asked in vendor.requests("token")]


async def test_the_next_token_is_fetched_with_the_new_secret(vendor: ScriptedVendor, tmp_path: Path) -> None:
    """The current one serves until then; a line break and a byte order mark are no part of the secret."""
    (tmp_path / SECRET_FILE).write_text(f"{SECRET}\n")
    vendor.answer("token", send(TOKEN), send(TOKEN | {"access_token": "token-2"}))
    async with started(vendor.url, secrets_dir=tmp_path) as gateway, connected(gateway) as client:
        await client.GetCallRequestResult(GET)
        replace(tmp_path / SECRET_FILE, "\ufeffnew-secret\r\n".encode())
        await _until_reloaded(gateway, CREDENTIALS, "loaded")
        await client.GetCallRequestResult(GET)
        assert _secrets(vendor) == [SECRET]
        _revoke(vendor, "token-2")
        await client.GetCallRequestResult(GET)
    assert _secrets(vendor) == [SECRET, "new-secret"]


async def test_sighup_reads_secrets_again_that_have_not_changed(vendor: ScriptedVendor, tmp_path: Path) -> None:
    """At once: the log and the metric show that they were read."""
    (tmp_path / SECRET_FILE).write_text(SECRET)
    async with started(vendor.url, secrets_dir=tmp_path) as gateway:
        for times in (1, 2):
            gateway.reload()
            await _until_reloaded(gateway, CREDENTIALS, "loaded", times)


async def test_rejected_credentials_are_mended_without_a_restart(vendor: ScriptedVendor, tmp_path: Path) -> None:
    """The first call after the change fetches, whatever pause the rejections have led to."""
    (tmp_path / SECRET_FILE).write_text("wrong")

    async def answer(writer: asyncio.StreamWriter) -> None:
        right = vendor.asked_on(writer).query["client_secret"] == ["right"]
        await (send(TOKEN) if right else send({"error": "invalid_client"}, 401))(writer)

    vendor.answer("token", answer)
    async with started(vendor.url, secrets_dir=tmp_path) as gateway, connected(gateway) as client:
        assert (await failure(client.GetCallRequestResult(GET))).reason == "VENDOR_REJECTED_CREDENTIALS"
        replace(tmp_path / SECRET_FILE, b"right")
        await _until_reloaded(gateway, CREDENTIALS, "loaded")
        await client.GetCallRequestResult(GET)
    assert _secrets(vendor) == ["wrong", "right"]


def _make_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _make_a_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    "break_it",
    [
        pytest.param(lambda path: replace(path, b" \n"), id="empty"),
        pytest.param(lambda path: replace(path, b"\xff\xfe"), id="not-utf-8"),
        pytest.param(lambda path: path.unlink(), id="gone"),
        pytest.param(_make_a_pipe, id="a-pipe-that-nobody-writes-to"),
        pytest.param(_make_a_device, id="a-device-without-an-end"),
        pytest.param(lambda path: path.write_bytes(b"x" * (MAX_BYTES + 1)), id="too-large"),
    ],
)
async def test_a_broken_secret_changes_nothing(
    vendor: ScriptedVendor, tmp_path: Path, break_it: Callable[[Path], object]
) -> None:
    """The old one fetches the next token; the metric counts it."""
    (tmp_path / SECRET_FILE).write_text(SECRET)
    vendor.answer("token", send(TOKEN), send(TOKEN | {"access_token": "token-2"}))
    async with started(vendor.url, secrets_dir=tmp_path) as gateway, connected(gateway) as client:
        await client.GetCallRequestResult(GET)
        break_it(tmp_path / SECRET_FILE)
        await _until_reloaded(gateway, CREDENTIALS, "broken")
        _revoke(vendor, "token-2")
        await client.GetCallRequestResult(GET)
        assert await _value(gateway, f'file_reloads_total{{outcome="loaded",settings="{CREDENTIALS}"}}') == 0
    assert _secrets(vendor) == [SECRET] * 2


class _Site:
    """A vendor with TLS that requires client certificates of an authority, and the gateway's files for it."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority()
        self.ca, self.certificate, self.key = (folder / name for name in ("ca.pem", "client.pem", "client.key"))
        self._folder = folder
        self.trust()
        self.renew()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_verify_locations(cadata=self.authority.pem.decode())
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.certify(self.context, self.authority)
        self.serials: list[int] = []

    def trust(self, *others: Authority) -> None:
        replace(self.ca, b"".join(authority.pem for authority in (self.authority, *others)))

    def renew(self) -> int:
        """Replaces the client's certificate; its serial number."""
        issued = self.authority.issue(DNS("gateway.example"))
        issued.write(self.certificate, self.key)
        return x509.load_pem_x509_certificate(issued.certificate).serial_number

    def certify(self, context: ssl.SSLContext, authority: Authority) -> None:
        """Has the vendor use a certificate of that authority from the next handshake on."""
        authority.issue(DNS("localhost")).write(self._folder / "server.pem", self._folder / "server.key")
        context.load_cert_chain(self._folder / "server.pem", self._folder / "server.key")

    @asynccontextmanager
    async def served(
        self, **changed: Any
    ) -> AsyncIterator[tuple[ScriptedVendor, Gateway, "CallRequestServiceAsyncStub"]]:
        files = {"vendor_ca": self.ca, "vendor_certificate": self.certificate, "vendor_key": self.key}
        async with ScriptedVendor(self.context) as vendor:

            async def answer(writer: asyncio.StreamWriter) -> None:
                certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
                self.serials.append(x509.load_der_x509_certificate(certificate).serial_number)
                await send(pending())(writer)

            vendor.answer("result", answer)
            async with started(vendor.url, **(files | changed)) as gateway, connected(gateway) as client:
                yield vendor, gateway, client


async def test_the_vendor_sees_our_certificate_and_then_its_successor(tmp_path: Path) -> None:
    """From the first request after the change on, without a failure."""
    site = _Site(tmp_path)
    first = site.renew()
    async with site.served() as (_, gateway, client):
        await client.GetCallRequestResult(GET, timeout=10)
        second = site.renew()
        await _until_reloaded(gateway, TLS, "loaded")
        await client.GetCallRequestResult(GET, timeout=10)
    assert site.serials == [first, second]


async def test_without_our_certificate_the_vendor_is_unavailable(tmp_path: Path) -> None:
    """It refuses the handshake, or the first bytes after it."""
    site = _Site(tmp_path)
    async with site.served(vendor_certificate=None, vendor_key=None) as (vendor, _, client):
        assert (await failure(client.GetCallRequestResult(GET, timeout=5))).reason == "VENDOR_UNAVAILABLE"
        assert vendor.asked == []


async def test_a_ca_that_is_added_is_trusted_and_one_that_is_removed_is_not(tmp_path: Path) -> None:
    """The vendor changes to another CA's certificate in between."""
    site, successor = _Site(tmp_path), Authority()
    async with site.served() as (vendor, gateway, client):
        await client.GetCallRequestResult(GET, timeout=10)
        site.trust(successor)
        await _until_reloaded(gateway, TLS, "loaded")
        site.certify(site.context, successor)
        await client.GetCallRequestResult(GET, timeout=10)
        replace(site.ca, successor.pem)
        await _until_reloaded(gateway, TLS, "loaded", 2)
        await client.GetCallRequestResult(GET, timeout=10)
        replace(site.ca, Authority().pem)
        await _until_reloaded(gateway, TLS, "loaded", 3)
        before = len(vendor.asked)
        assert (await failure(client.GetCallRequestResult(GET, timeout=5))).reason == "VENDOR_UNAVAILABLE"
        assert len(vendor.asked) == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("ca.pem", b"", id="empty-ca"),
        pytest.param("ca.pem", b"garbage", id="broken-ca"),
        pytest.param("client.pem", b"garbage", id="broken-certificate"),
        pytest.param("client.key", b"garbage", id="broken-key"),
        pytest.param("client.pem", Authority().issue(DNS("a")).certificate, id="certificate-of-another-key"),
    ],
)
async def test_a_broken_file_of_tls_changes_nothing(tmp_path: Path, name: str, content: bytes) -> None:
    """New connections are made with what was read before."""
    site = _Site(tmp_path)
    first = site.renew()
    async with site.served(vendor_max_connection_age=0.1) as (_, gateway, client):
        await client.GetCallRequestResult(GET, timeout=10)
        replace(tmp_path / name, content)
        await _until_reloaded(gateway, TLS, "broken")
        await client.GetCallRequestResult(GET, timeout=10)
    assert site.serials == [first] * 2


async def test_a_pipe_in_a_files_place_does_not_hold_up_the_next_one(tmp_path: Path) -> None:
    """It is a broken file like every other: its successor is read, and so are the files of other settings."""
    site = _Site(tmp_path)
    (secrets := tmp_path / "secrets").mkdir()
    (secrets / SECRET_FILE).write_text(SECRET)
    async with site.served(vendor_max_connection_age=0.1, secrets_dir=secrets) as (_, gateway, client):
        site.certificate.unlink()
        os.mkfifo(site.certificate)
        await _until_reloaded(gateway, TLS, "broken")
        replace(secrets / SECRET_FILE, b"new-secret")
        await _until_reloaded(gateway, CREDENTIALS, "loaded")
        last = site.renew()
        await _until_reloaded(gateway, TLS, "loaded")
        await client.GetCallRequestResult(GET, timeout=10)
    assert site.serials[-1] == last
