"""Cases: tokens, secrets, certificates and connections to the vendor, while they change."""

import asyncio
import ssl
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from testkit.calls import at_rate, counted, identifier
from testkit.certificate_authority import DNS, Authority, replace
from testkit.gateway_process import serving
from testkit.http2_connection import Ended, connected
from testkit.scripted_vendor import send
from testkit.stateful_vendor import Vendor, after

from .fault_case import FaultCase, Findings, Form

_RATE = 100.0  # calls a second
_DEADLINE = 2.0  # seconds
_RELOADED = 2.5  # seconds until a changed file is read
_IDLE = 15.0  # seconds after which the gateway closes an idle connection


def outcomes(ended: list[Ended]) -> list[str]:
    """The reason of each read, OK for an answer."""
    return [each.outcome for each in ended]


async def _token_refused(form: Form, findings: Findings) -> None:
    async with Vendor() as vendor, serving(vendor.url) as gateway, connected(gateway.port, 16) as client:
        vendor.answer("token", send({"error": "invalid_client"}, 401))
        seconds = form.of(10.0, 30.0)
        ended = await at_rate(_RATE, seconds, lambda number: client.read(identifier("refused", number), _DEADLINE))
        fetches = len(vendor.requests("token"))
        reads = len(vendor.requests("result"))
        vendor.answer_tokens()
        returned = time.monotonic()
        took = 0.0
        while (await client.read(identifier("again", 0), _DEADLINE)).code and took < 25:
            await asyncio.sleep(0.1)
            took = time.monotonic() - returned
    findings.record(f"{len(ended)} reads: {counted(outcomes(ended))}", set(outcomes(ended)) == {_REJECTED})
    findings.record(f"{fetches} token requests in {seconds:.0f} s", 2 <= fetches <= 10)
    findings.record(f"{reads} reads reached the vendor", reads == 0)
    findings.record(f"a token {took:.1f} s after the endpoint's return", took <= 20.5)


_REJECTED = "VENDOR_REJECTED_CREDENTIALS"


class _Files:
    """The gateway's files for a vendor that requires client certificates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority()
        self.secret, self.ca = folder / "gateway_vendor_client_secret", folder / "ca.pem"
        self.certificate, self.key = folder / "client.pem", folder / "client.key"
        replace(self.secret, b"secret-0\n")
        replace(self.ca, self.authority.pem)
        self.renew()

    def renew(self) -> None:
        """Replaces the client's certificate."""
        self.authority.issue(DNS("gateway.example")).write(self.certificate, self.key)

    def certify(self, context: ssl.SSLContext, authority: Authority) -> None:
        """Has the vendor use a certificate of that authority from the next handshake on."""
        authority.issue(DNS("localhost")).write(self.folder / "server.pem", self.folder / "server.key")
        context.load_cert_chain(self.folder / "server.pem", self.folder / "server.key")


async def _rotation(form: Form, findings: Findings) -> None:
    """One thing after the other is replaced, a broken file before each; each token is revoked by the next secret."""
    async with AsyncExitStack() as stack:
        files = _Files(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-"))))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_verify_locations(cadata=files.authority.pem.decode())
        context.verify_mode = ssl.CERT_REQUIRED
        files.certify(context, files.authority)
        vendor = await stack.enter_async_context(Vendor(context))
        gateway = await stack.enter_async_context(
            serving(
                vendor.url,
                VENDOR_CLIENT_SECRET="",
                SECRETS_DIR=files.folder,
                VENDOR_CA=files.ca,
                VENDOR_CERTIFICATE=files.certificate,
                VENDOR_KEY=files.key,
                VENDOR_MAX_CONNECTION_AGE=1,
            )
        )
        client = await stack.enter_async_context(connected(gateway.port, 16))
        rounds = form.of(1, 5)
        seconds = rounds * 5 * _RELOADED
        load = asyncio.ensure_future(
            at_rate(_RATE, seconds, lambda number: client.read(identifier("rotate", number), _DEADLINE))
        )
        for number in range(1, rounds + 1):
            replace(files.secret, b"")
            replace(files.ca, b"broken")
            await asyncio.sleep(_RELOADED)
            replace(files.secret, f"secret-{number}\n".encode())
            successor = Authority()
            replace(files.ca, files.authority.pem + successor.pem)
            await asyncio.sleep(_RELOADED)
            vendor.revoke()  # the next token must come with the new secret
            files.certify(context, successor)
            files.renew()
            await asyncio.sleep(_RELOADED)
            replace(files.ca, successor.pem)
            await asyncio.sleep(_RELOADED)
            replace(files.ca, successor.pem + files.authority.pem)
            await asyncio.sleep(_RELOADED)
            files.certify(context, files.authority)
        ended = await load
        secrets = [asked.query["client_secret"][0] for asked in vendor.requests("token")]
        defects = gateway.defects()
        broken = [line for line in gateway.log() if "broken" in str(line.get("event"))]
    findings.record(f"{len(ended)} reads: {counted(outcomes(ended))}", set(outcomes(ended)) == {"OK"})
    expected = [f"secret-{number}" for number in range(rounds + 1)]
    findings.record(f"tokens fetched with {len(set(secrets))} secrets", list(dict.fromkeys(secrets)) == expected)
    findings.record(f"{len(broken)} broken files logged", len(broken) >= 2 * rounds)
    findings.record(f"{len(defects)} defects logged", not defects)


async def _moved(form: Form, findings: Findings) -> None:
    """The old address goes on answering on the connections that it has."""
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(Vendor())
        gateway = await stack.enter_async_context(serving(old.url, VENDOR_MAX_CONNECTION_AGE=1))
        client = await stack.enter_async_context(connected(gateway.port, 16))

        async def read(number: int) -> Ended:
            return await client.read(identifier("moved", number), _DEADLINE)

        before = await at_rate(_RATE, 2, read)
        old.stop_listening()
        new = Vendor()
        await new.listen(int(old.url.rpartition(":")[2]))
        stack.push_async_exit(new)
        after_move = await at_rate(_RATE, 2, lambda number: read(10_000 + number))
        asked = len(old.requests("result"))
        after_age = await at_rate(_RATE, form.of(2, 20), lambda number: read(20_000 + number))
        late = len(old.requests("result")) - asked
    reasons = outcomes([*before, *after_move, *after_age])
    findings.record(f"{len(reasons)} reads: {counted(reasons)}", set(reasons) == {"OK"})
    findings.record(f"{late} requests to the old address after the age", late == 0)


async def _idle(form: Form, findings: Findings) -> None:
    """300 connections after a burst; then nobody calls."""
    async with Vendor() as vendor, serving(vendor.url) as gateway, connected(gateway.port, 16) as client:
        vendor.on_read = after(1.0, vendor.result_of)
        ended = await asyncio.gather(*(client.read(identifier("burst", number), 10) for number in range(300)))
        opened = vendor.open
        await asyncio.sleep(_IDLE + 1.5)
        left = vendor.open
    findings.record(f"{opened} connections after {counted(outcomes(ended))}", opened >= 200)
    findings.record(f"{left} open {_IDLE + 1.5:.1f} s later", left == 0)


CASES = (
    FaultCase(
        "token-refused",
        "token endpoint refuses the credentials, 100 reads/s for 10 s (long: 30 s)",
        "≤ 10 token requests, each read VENDOR_REJECTED_CREDENTIALS, all succeed within 20 s of its return",
        _token_refused,
        80,
    ),
    FaultCase(
        "vendor-rotation",
        "secret, client certificate and CA for the vendor rotated under 100 reads/s, a broken file before each",
        "no read lost, the new ones hold, broken files are logged",
        _rotation,
        100,
    ),
    FaultCase(
        "vendor-moves",
        "the vendor's address leads elsewhere, 100 reads/s, VENDOR_MAX_CONNECTION_AGE 1",
        "no read lost, none reaches the old place after the age",
        _moved,
        60,
    ),
    FaultCase(
        "idle-connections",
        "a burst opens 300 connections to the vendor, then nobody calls",
        "all are closed after 15 s",
        _idle,
        60,
    ),
)
