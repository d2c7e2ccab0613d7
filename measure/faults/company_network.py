"""A case: the network of a company, whole. A proxy with a login, TLS of a private CA, client certificates, a doctor."""

import asyncio
import json
import ssl
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple

from testkit.calls import at_rate, counted, identifier
from testkit.certificate_authority import DNS, Authority, replace
from testkit.gateway_process import serving
from testkit.http2_connection import connected
from testkit.http_proxy import http_proxy
from testkit.scripted_vendor import failed, send
from testkit.server_process import ROOT, free_ports, gateway_environment
from testkit.stateful_vendor import Vendor, always

from .fault_case import FaultCase, Findings, Form
from .vendor_connection import outcomes

_RATE = 50.0  # calls a second
_RELOADED = 2.5  # seconds until a changed file is read
_LOGIN = "gateway:proxy-password"
_DAYS = 60.0  # of certificates that nobody needs to renew yet


class _Breakage(NamedTuple):
    """Settings that differ, and the checks that must fail with them, and no others."""

    checks: str
    settings: Mapping[str, object]


class _Network:
    """Files, settings and the vendor of that network."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority, self.clients = Authority(_DAYS), Authority(_DAYS)
        self.secret = folder / "gateway_vendor_client_secret"
        replace(self.secret, b"secret-0\n")
        replace(folder / "ca.pem", self.authority.pem)
        self.renew_client()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_verify_locations(cadata=self.clients.pem.decode())
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.certify(self.authority)

    def renew_client(self) -> None:
        """Replaces the gateway's client certificate."""
        self.clients.issue(DNS("gateway.example"), days=60).write(
            self.folder / "client.pem", self.folder / "client.key"
        )

    def certify(self, authority: Authority, name: str = "localhost", days: float = _DAYS) -> None:
        """Has the vendor use such a certificate from the next handshake on."""
        issued = authority.issue(DNS(name), days=days)
        issued.write(self.folder / "server.pem", self.folder / "server.key")
        self.context.load_cert_chain(self.folder / "server.pem", self.folder / "server.key")

    def settings(self, vendor: Vendor, proxy: int) -> dict[str, Any]:
        """What an operator of that network sets."""
        return {
            "VENDOR_URL": vendor.url,
            "VENDOR_CLIENT_ID": "client",
            "VENDOR_PROXY": f"http://{_LOGIN}@127.0.0.1:{proxy}",
            "VENDOR_CA": self.folder / "ca.pem",
            "VENDOR_CERTIFICATE": self.folder / "client.pem",
            "VENDOR_KEY": self.folder / "client.key",
            "VENDOR_MAX_CONNECTION_AGE": 1,
            "SECRETS_DIR": self.folder,
        }


async def _doctor(settings: Mapping[str, object]) -> str:
    """Returns the checks that fail with these settings."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server", "doctor", "--json"),
        cwd=ROOT,
        env=gateway_environment(**settings),
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    findings = json.loads(printed)["findings"]
    return ", ".join(sorted({finding["check"] for finding in findings if finding["state"] == "failed"}))


def _breakages(network: _Network, proxy: int) -> list[_Breakage]:
    """Ten things that are set wrongly."""
    folder, stranger = network.folder, Authority(_DAYS)
    replace(folder / "other-ca.pem", stranger.pem)
    network.clients.issue(DNS("gateway.example"), days=-1).write(folder / "expired.pem", folder / "expired.key")
    stranger.issue(DNS("gateway.example"), days=_DAYS).write(folder / "stranger.pem", folder / "stranger.key")
    replace(folder / "callers.toml", b"[[caller]]\nname = 7\n")
    (closed,) = free_ports(1)
    vendor_key = {"VENDOR_CERTIFICATE": folder / "expired.pem", "VENDOR_KEY": folder / "expired.key"}
    other_key = {"VENDOR_CERTIFICATE": folder / "stranger.pem", "VENDOR_KEY": folder / "stranger.key"}
    return [
        _Breakage("settings", {"VENDOR_PROXI": "http://proxy.example"}),
        _Breakage("certificates, token", vendor_key),
        _Breakage("callers", {"CALLERS": folder / "callers.toml"}),
        _Breakage("ports", {"METRICS_LISTEN": f"127.0.0.1:{proxy}"}),
        _Breakage("proxy", {"VENDOR_PROXY": f"http://gateway:wrong@127.0.0.1:{proxy}"}),
        _Breakage("proxy", {"VENDOR_PROXY": f"http://127.0.0.1:{closed}"}),
        _Breakage("proxy", {"VENDOR_URL": f"https://localhost:{closed}"}),
        _Breakage("tls", {"VENDOR_CA": folder / "other-ca.pem"}),
        _Breakage("token", other_key),
        _Breakage("shared state", {"STATE_URL": f"redis://127.0.0.1:{closed}"}),
    ]


async def _company(form: Form, findings: Findings) -> None:
    async with AsyncExitStack() as stack:
        network = _Network(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-"))))
        vendor = await stack.enter_async_context(Vendor(network.context))
        proxy = await stack.enter_async_context(http_proxy("--basic-auth", _LOGIN))
        settings = network.settings(vendor, proxy)
        gateway = await stack.enter_async_context(serving("", VENDOR_CLIENT_SECRET="", **settings))
        client = await stack.enter_async_context(connected(gateway.port, 16))
        load = asyncio.ensure_future(
            at_rate(_RATE, 3 * _RELOADED, lambda number: client.read(identifier("company", number), 5))
        )
        successor = Authority(_DAYS)
        replace(network.secret, b"secret-1\n")
        replace(network.folder / "ca.pem", network.authority.pem + successor.pem)
        await asyncio.sleep(_RELOADED)
        vendor.revoke()  # the next token must come with the new secret
        network.certify(successor)
        network.renew_client()
        await asyncio.sleep(_RELOADED)
        replace(network.folder / "ca.pem", successor.pem)
        ended = await load
        defects = gateway.defects()

        vendor.on_read = always(send(failed("NOT_FOUND"), 404, date=formatdate(usegmt=True)))
        well = await _doctor(settings)
        wrong = []
        for checks, changed in _breakages(network, proxy):
            failing = await _doctor({**settings, **changed})
            if failing != checks:
                wrong.append(f"{', '.join(changed)}: {failing or 'nothing'}, not {checks}")
        vendor.on_read = always(send("", 403))
        if (failing := await _doctor(settings)) != "read":
            wrong.append(f"reads refused: {failing or 'nothing'}, not read")
        for name, days in (("other.example", _DAYS), ("localhost", -1)):
            network.certify(successor, name, days)
            if (failing := await _doctor(settings)) != "tls":
                wrong.append(f"the vendor's certificate of {name}: {failing or 'nothing'}, not tls")
    findings.record(f"{len(ended)} reads: {counted(outcomes(ended))}", set(outcomes(ended)) == {"OK"})
    findings.record(f"{len(defects)} defects logged", not defects)
    findings.record(f"doctor: {well or 'nothing'} fails when all is well", not well)
    findings.record(f"13 things broken, {13 - len(wrong)} found: {'; '.join(wrong)}".removesuffix(": "), not wrong)


CASES = (
    FaultCase(
        "company",
        "proxy with a login, private CA, client certificates; secret, certificates and CA rotated under 50 reads/s; "
        "then 13 things broken, one at a time",
        "no read lost; doctor finds nothing, then each of the 13 and nothing else",
        _company,
        240,
    ),
)
