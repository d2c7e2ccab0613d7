"""Certificates that are rotated while the server runs: no call is lost, and a broken one changes nothing."""

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from server.app import Gateway
from server.healthcheck import find_failure
from server.reloading import Reloading
from server.settings import SettingsError
from testkit.certificate_authority import DNS, URI, Authority, Issued, Pki, replace
from testkit.gateway import settings_for, started
from testkit.logs import log_to_stdout
from testkit.scripted_vendor import RESULT_ID, ScriptedVendor

GET = GetCallRequestResultRequest(call_request_id=RESULT_ID)
SERVER, CLIENT = DNS("localhost"), URI("spiffe://example.com/desk")


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


def shown(gateway: Gateway) -> int:
    """The serial number of the certificate that a new connection sees."""
    host, port = gateway.address
    return _serial(ssl.get_server_certificate((host, port), timeout=5).encode())


def _serial(pem: bytes) -> int:
    return x509.load_pem_x509_certificate(pem).serial_number


async def _come_in(pki: Pki, gateway: Gateway, client: Issued | None = None) -> None:
    """One call on a connection of its own."""
    async with pki.connected(gateway, client) as stub:
        await stub.GetCallRequestResult(GET, timeout=5)


def _logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    return [line for line in lines if line["event"].startswith("certificates")]


def in_one_step(pki: Pki, issued: Issued) -> None:
    """As Kubernetes' mounts do: both files are links into a folder that is exchanged."""
    folder = pki.certificate.parent / f"{_serial(issued.certificate)}"
    folder.mkdir()
    (folder / "pem").write_bytes(issued.certificate)
    (folder / "key").write_bytes(issued.key)
    current = pki.certificate.parent / "current"
    for path, name in ((pki.certificate, "pem"), (pki.key, "key")):
        if not path.is_symlink():
            path.unlink()
            path.symlink_to(current / name)
    link = current.with_name("link")
    link.symlink_to(folder)
    link.replace(current)


def one_by_one(pki: Pki, issued: Issued) -> None:
    """The certificate, and its key a little later: in between they are no pair."""
    replace(pki.certificate, issued.certificate)
    time.sleep(0.1)
    replace(pki.key, issued.key)


def written_slowly(pki: Pki, issued: Issued) -> None:
    """Into the files, in pieces: in between they are half of it."""
    for path, content in ((pki.key, issued.key), (pki.certificate, issued.certificate)):
        with path.open("wb", buffering=0) as file:
            for start in range(0, len(content), 100):
                file.write(content[start : start + 100])
                time.sleep(0.01)


@pytest.mark.parametrize("rotate", [one_by_one, written_slowly, in_one_step])
async def test_a_rotation_under_load_loses_no_call(
    vendor: ScriptedVendor, pki: Pki, rotate: Callable[[Pki, Issued], None]
) -> None:
    """20 calls a second on new connections, and 20 on open ones: all answered, and new ones see the new certificate."""
    client, calls = pki.authority.issue(CLIENT), list[Awaitable[Any]]()
    async with started(vendor.url, **pki.settings()) as gateway, pki.connected(gateway, client) as opened:
        await opened.GetCallRequestResult(GET)

        async def load() -> None:
            while True:
                calls.append(asyncio.ensure_future(_come_in(pki, gateway, client)))
                calls.append(asyncio.ensure_future(opened.GetCallRequestResult(GET, timeout=5)))
                await asyncio.sleep(0.05)

        loading = asyncio.ensure_future(load())
        for _ in range(5):
            issued = pki.authority.issue(SERVER)
            await asyncio.to_thread(rotate, pki, issued)
            await asyncio.sleep(0.1)
            assert await asyncio.to_thread(shown, gateway) == _serial(issued.certificate)
        loading.cancel()
        await asyncio.gather(*calls)
    assert len(calls) > 20


def _mismatched(pki: Pki) -> None:
    replace(pki.certificate, pki.authority.issue(SERVER).certificate)


def _cut_off(pki: Pki) -> None:
    replace(pki.certificate, pki.certificate.read_bytes()[:-100])


def _emptied(pki: Pki) -> None:
    replace(pki.key, b"")


def _gone(pki: Pki) -> None:
    pki.key.unlink()


def _encrypted(pki: Pki) -> None:
    key = serialization.load_pem_private_key(pki.key.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"password")
    replace(pki.key, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked))


def _no_authority(pki: Pki) -> None:
    replace(pki.client_ca, b"-----BEGIN CERTIFICATE-----")


CERTIFICATE, KEY, CLIENT_CA = "GATEWAY_TLS_CERTIFICATE", "GATEWAY_TLS_KEY", "GATEWAY_TLS_CLIENT_CA"
BREAKS = {
    "a certificate of another key": (_mismatched, f"{CERTIFICATE}, {KEY}"),
    "a certificate cut off": (_cut_off, CERTIFICATE),
    "an empty key": (_emptied, KEY),
    "a key that is gone": (_gone, KEY),
    "a key with a password": (_encrypted, KEY),
    "no CA": (_no_authority, CLIENT_CA),
}


@pytest.mark.parametrize(("break_it", "named"), [pytest.param(*case, id=name) for name, case in BREAKS.items()])
async def test_a_broken_certificate_changes_nothing_and_is_logged_once(
    vendor: ScriptedVendor,
    pki: Pki,
    break_it: Callable[[Pki], None],
    named: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The old one is served, the log names the setting and no path; a start ends with it; a good one is taken again."""
    log_to_stdout("info")
    client = pki.authority.issue(CLIENT)
    async with started(vendor.url, **pki.settings()) as gateway:
        before = await asyncio.to_thread(shown, gateway)
        await asyncio.to_thread(break_it, pki)
        for _ in range(3):
            await _come_in(pki, gateway, client)
        assert await asyncio.to_thread(shown, gateway) == before
        (line,) = _logged(capsys)
        assert (line["level"], line["settings"]) == ("error", named)
        assert str(pki.key.parent) not in str(line)
        if pki.key.exists():
            with pytest.raises(SettingsError) as caught:
                await started(vendor.url, **pki.settings()).__aenter__()
            assert caught.value.lines == [f"{named}: {line['error']}"]
        await asyncio.to_thread(replace, pki.client_ca, pki.authority.pem)
        issued = pki.authority.issue(SERVER)
        await asyncio.to_thread(issued.write, pki.certificate, pki.key)
        await _come_in(pki, gateway, client)
        assert await asyncio.to_thread(shown, gateway) == _serial(issued.certificate)
        line = _logged(capsys)[-1]
        assert line["event"] == "certificates read again"
        assert line["settings"] == "GATEWAY_TLS_CERTIFICATE, GATEWAY_TLS_KEY, GATEWAY_TLS_CLIENT_CA"


async def test_the_clients_authority_is_rotated_too(vendor: ScriptedVendor, pki: Pki) -> None:
    """Both while both are in the file, then the new one's clients alone; open connections go on."""
    new = Authority()
    old_client, new_client = pki.authority.issue(CLIENT), new.issue(CLIENT)

    async def refused(client: Issued) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _come_in(pki, gateway, client)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE

    async with started(vendor.url, **pki.settings()) as gateway, pki.connected(gateway, old_client) as opened:
        await opened.GetCallRequestResult(GET)
        await refused(new_client)
        replace(pki.client_ca, pki.authority.pem + new.pem)
        await _come_in(pki, gateway, old_client)
        await _come_in(pki, gateway, new_client)
        replace(pki.client_ca, new.pem)
        await _come_in(pki, gateway, new_client)
        await refused(old_client)
        await opened.GetCallRequestResult(GET)


@pytest.mark.parametrize("fails", [False, True], ids=["half of it is good", "half of it is broken"])
def test_files_that_are_written_while_they_are_read_are_read_again(tmp_path: Path, fails: bool) -> None:
    """Parts of the old and of the new are never taken for one; what fails meanwhile is no failure."""
    path = tmp_path / "file"

    def load() -> bytes:
        content = path.read_bytes()
        if content == b"first part":
            path.write_bytes(b"all of it")  # by another program, at this very moment
            if fails:
                raise ValueError
        return content

    path.write_bytes(b"old")
    reloading = Reloading([path], load)
    path.write_bytes(b"first part")
    assert not reloading.refresh()
    assert reloading.value == b"old"
    assert reloading.refresh()
    assert reloading.value == b"all of it"
    assert not reloading.refresh()


@pytest.mark.parametrize("metrics", [True, False], ids=["with metrics", "without"])
async def test_the_healthcheck_needs_no_certificate(vendor: ScriptedVendor, pki: Pki, metrics: bool) -> None:
    """With client certificates required it asks at /ready, and its failure says so when that is off."""
    listen = "127.0.0.1:0" if metrics else ""
    async with started(vendor.url, metrics_listen=listen, drain_delay=0.5, **pki.settings()) as gateway:
        address = str(gateway.metrics_address) if metrics else ""
        settings = settings_for(vendor.url, listen=str(gateway.address), metrics_listen=address, **pki.settings())
        failures = [await asyncio.to_thread(find_failure, settings)]
        draining = asyncio.ensure_future(gateway.drain())
        await asyncio.sleep(0.1)
        failures.append(await asyncio.to_thread(find_failure, settings))
        await draining
    failures.append(await asyncio.to_thread(find_failure, settings))
    if metrics:
        assert failures == [None, f"{address}: /ready answers 503", f"{address}: ConnectionRefusedError"]
    else:
        assert failures == [f"{gateway.address}: needs GATEWAY_METRICS_LISTEN, since GATEWAY_TLS_CLIENT_CA is set"] * 3
