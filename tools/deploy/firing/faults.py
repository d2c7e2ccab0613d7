"""The faults that are played, and the alerts that each raises: of its cause, and of the objectives that it breaks."""

import asyncio
import hashlib
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from callrequest.v1.call_request_service_pb2 import BatchGetCallRequestResultsRequest, GetCallRequestResultRequest
from testkit.calls import client_of, code_of, identifier
from testkit.certificate_authority import Pki
from testkit.engine import EngineProcess, engine
from testkit.gateway_process import GatewayProcess
from testkit.http2_connection import Connection, connected
from testkit.scripted_vendor import failed, never, send, with_status
from testkit.server_process import free_ports
from testkit.stateful_vendor import HTML, Vendor, after, always

from .stage import Stage, forever

Play = Callable[[Stage], Coroutine[Any, Any, None]]


class Fault(NamedTuple):
    """row: the case of the fault suite that it is. alerts: all that fire, and no other may."""

    job: str
    row: str
    alerts: frozenset[str]
    play: Play


async def _goes_on() -> None:
    await asyncio.Event().wait()


async def _no_fault(stage: Stage) -> None:
    """Callers make mistakes; that is no fault of the gateway's or the vendor's."""
    async with (
        Vendor() as vendor,
        stage.gateway(vendor.url) as gateway,
        stage.loaded(gateway, cancels=1, watches=2),
    ):
        vendor.statuses[identifier("done", 1)] = "COMPLETED"
        vendor.on_cancel = lambda each: send(failed("CANCELLATION_NOT_ALLOWED"), 409)
        await stage.begin()
        async with connected(gateway.port) as client:
            await forever(4, lambda number: client.read("../etc/passwd", 1.5))


async def _outage(stage: Stage) -> None:
    async with (
        Vendor() as vendor,
        stage.gateway(vendor.url, WATCH_PENDING_INTERVAL=0.5) as gateway,
        stage.loaded(gateway, watches=5),
        client_of(gateway.target) as client,
    ):
        async with stage.loaded(gateway, reads=0, watches=2):  # these watchers leave
            await stage.begin()
        vendor.on_read = always(send("", 503))

        async def many(number: int) -> None:
            ids = [identifier("batch", 10 * number + each) for each in range(3)]
            request = BatchGetCallRequestResultsRequest(call_request_ids=ids)
            await code_of(client.BatchGetCallRequestResults(request, timeout=1.5))

        await forever(1, many)


async def _swallowed(stage: Stage) -> None:
    async with Vendor() as vendor, stage.gateway(vendor.url) as gateway, stage.loaded(gateway):
        await stage.begin()
        vendor.on_read = always(never())
        await _goes_on()


async def _rate_limited(stage: Stage) -> None:
    async with Vendor() as vendor, stage.gateway(vendor.url) as gateway, stage.loaded(gateway):
        await stage.begin()
        vendor.on_read = always(send("", 429, retry_after="60"))
        await _goes_on()


async def _wrong_secret(stage: Stage) -> None:
    async with Vendor() as vendor, stage.gateway(vendor.url) as gateway, stage.loaded(gateway):
        await stage.begin()
        vendor.answer("token", send({"error": "invalid_client"}, 401))
        vendor.revoke()
        await _goes_on()


async def _page(stage: Stage) -> None:
    async with Vendor() as vendor, stage.gateway(vendor.url) as gateway, stage.loaded(gateway):
        await stage.begin()
        vendor.on_read = always(send(HTML))
        await _goes_on()


async def _new_words(stage: Stage) -> None:
    async with Vendor() as vendor, stage.gateway(vendor.url) as gateway, stage.loaded(gateway):
        await stage.begin()
        vendor.on_read = lambda each: send(with_status("ASKED_TO_CALL_BACK", each))
        await _goes_on()


async def _doubt(stage: Stage) -> None:
    async with (
        Vendor() as vendor,
        stage.gateway(vendor.url, VENDOR_TIMEOUT=0.4) as gateway,
        stage.loaded(gateway, reads=0, cancels=2),
    ):
        await stage.begin()
        vendor.on_read = vendor.on_cancel = always(never())
        await _goes_on()


async def _refused(stage: Stage) -> None:
    async with Vendor() as vendor, stage.gateway(vendor.url) as gateway, stage.loaded(gateway, reads=0, cancels=2):
        await stage.begin()
        await vendor.leave()
        await _goes_on()


async def _slow_cancels(stage: Stage) -> None:
    async with (
        Vendor() as vendor,
        stage.gateway(vendor.url) as gateway,
        stage.loaded(gateway, reads=0, cancels=2, seconds=10),
    ):
        await stage.begin()
        vendor.on_cancel = after(3, vendor.accept)
        await _goes_on()


async def _crowd(stage: Stage) -> None:
    async with Vendor() as vendor, stage.gateway(vendor.url, MAX_READS=4) as gateway, stage.loaded(gateway, reads=2):
        await stage.begin()
        vendor.on_read = after(0.5, vendor.result_of)
        async with stage.loaded(gateway, reads=40, seconds=10):
            await _goes_on()


async def _defect(stage: Stage) -> None:
    async with (
        Vendor() as vendor,
        stage.gateway(vendor.url, module="measure.faults.stuck") as gateway,
        stage.loaded(gateway),
    ):
        await stage.begin()
        async with connected(gateway.port) as client:
            await client.read(identifier("failing", 1), 3)
        await _goes_on()


def _callers(folder: str) -> Path:
    digest = hashlib.sha256(b"token-of-billing").hexdigest()
    path = Path(folder) / "callers.toml"
    path.write_text(f'[[caller]]\nname = "billing"\ntoken_sha256 = "{digest}"\nmay = ["read"]\nmax_per_second = 5\n')
    return path


async def _call_with(token: str, gateway: GatewayProcess, rate: float) -> None:
    async with client_of(gateway.target) as client:

        async def call(number: int) -> None:
            request = GetCallRequestResultRequest(call_request_id=identifier("read", number))
            metadata = (("authorization", f"Bearer {token}"),)
            await code_of(client.GetCallRequestResult(request, timeout=1.5, metadata=metadata))

        await forever(rate, call)


async def _greedy(stage: Stage) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with Vendor() as vendor, stage.gateway(vendor.url, CALLERS=_callers(folder)) as gateway:
            await stage.begin()
            await _call_with("token-of-billing", gateway, 20)


async def _wrong_token(stage: Stage) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with Vendor() as vendor, stage.gateway(vendor.url, CALLERS=_callers(folder)) as gateway:
            await stage.begin()
            await _call_with("token-of-nobody", gateway, 4)


async def _broken_file(stage: Stage) -> None:
    with tempfile.TemporaryDirectory() as folder:
        callers = _callers(folder)
        async with Vendor() as vendor, stage.gateway(vendor.url, CALLERS=callers) as gateway:
            await stage.begin()
            callers.write_text("[[caller]\n")
            gateway.signal(signal.SIGHUP)
            await _goes_on()


def _tls(pki: Pki) -> dict[str, object]:
    return {name.upper(): path for name, path in pki.settings(mutual=False).items()}


def _pki(folder: str) -> Pki:
    pki = Pki(Path(folder))
    pki.authority.issue(days=90).write(pki.certificate, pki.key)
    return pki


async def _handshakes(stage: Stage) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with Vendor() as vendor, stage.gateway(vendor.url, **_tls(_pki(folder))) as gateway:
            await stage.begin()

            async def in_plain_text(number: int) -> None:
                _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
                writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                await asyncio.sleep(1)
                writer.close()

            await forever(4, in_plain_text)


async def _ends(stage: Stage, days: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pki = _pki(folder)
        async with Vendor() as vendor, stage.gateway(vendor.url, **_tls(pki)) as gateway:
            await stage.begin()
            pki.authority.issue(days=days).write(pki.certificate, pki.key)
            gateway.signal(signal.SIGHUP)
            await _goes_on()


async def _ends_soon(stage: Stage) -> None:
    await _ends(stage, 10)


async def _has_ended(stage: Stage) -> None:
    await _ends(stage, -1)


@asynccontextmanager
async def _engine_shared(stage: Stage, reads: int) -> AsyncIterator[EngineProcess]:
    """A gateway that is read from, with shared state in this engine."""
    [port] = free_ports(1)
    with engine(port) as valkey:
        async with (
            Vendor() as vendor,
            stage.gateway(vendor.url, STATE_URL=valkey.url) as gateway,
            stage.loaded(gateway, reads=reads),
        ):
            await stage.begin()
            yield valkey


async def _engine_killed(stage: Stage) -> None:
    async with _engine_shared(stage, reads=2) as valkey:
        valkey.kill()
        await _goes_on()


async def _engine_restarted(stage: Stage) -> None:
    """It is away for less than the alert about an engine that is down waits for, as at a failover."""
    async with _engine_shared(stage, reads=4) as valkey:
        valkey.kill()
        await asyncio.sleep(1)
        await asyncio.to_thread(valkey.start)
        await _goes_on()


async def _log_lost(stage: Stage) -> None:
    to_a_full_disk = ("sh", "-c", 'exec "$@" >/dev/full', "sh")
    async with Vendor() as vendor, stage.gateway(vendor.url, prefix=to_a_full_disk) as gateway:
        await stage.begin()
        async with stage.loaded(gateway, reads=2):
            await _goes_on()


async def _no_collector(stage: Stage) -> None:
    """The collector is not there from the start; spans are dropped once there are calls."""
    [port] = free_ports(1)
    settings = {"OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "TRACE_SAMPLE_RATIO": 1}
    async with Vendor() as vendor, stage.gateway(vendor.url, **settings) as gateway:
        await stage.begin()
        async with stage.loaded(gateway):
            await _goes_on()


async def _descriptors(stage: Stage) -> None:
    limited = ("prlimit", "--nofile=300:300")
    async with Vendor() as vendor, stage.gateway(vendor.url, prefix=limited) as gateway:
        await stage.begin()
        opened = []
        while (await gateway.scrape())["process_open_fds{}"] < 260:
            opened += [await Connection.to(gateway.port) for _ in range(10)]
        await _goes_on()


async def _killed(stage: Stage) -> None:
    async with Vendor() as vendor, stage.gateway(vendor.url) as gateway:
        await stage.begin()
        gateway.signal(signal.SIGKILL)
        await _goes_on()


async def _one_killed(stage: Stage) -> None:
    """The other goes on; its callers poll a few results, which it mostly has."""
    async with (
        Vendor() as vendor,
        stage.gateway(vendor.url) as gateway,
        stage.gateway(vendor.url, DEFAULT_MAX_AGE=1, FINAL_MAX_AGE=60) as other,
        stage.loaded(other, reads=30, ids=3),
    ):
        await stage.begin()
        gateway.signal(signal.SIGKILL)
        await _goes_on()


async def _workers_killed(stage: Stage) -> None:
    async with Vendor() as vendor, stage.gateway(vendor.url, WORKERS=3) as gateway:
        await stage.begin()
        for process in gateway.workers().values():
            os.kill(process, signal.SIGKILL)
        await _goes_on()


async def _forged_pushes(stage: Stage) -> None:
    [port] = free_ports(1)
    settings = {"WEBHOOK_LISTEN": f"127.0.0.1:{port}", "WEBHOOK_TOKENS": "a-token-that-is-known"}
    async with Vendor() as vendor, stage.gateway(vendor.url, **settings), aiohttp.ClientSession() as session:
        await stage.begin()

        async def push(_: int) -> None:
            url = f"http://127.0.0.1:{port}/webhooks/call-request-completed"
            async with session.post(url, data=b"{}", headers={"Authorization": "Bearer another"}):
                pass

        await forever(2, push)


def _fault(job: str, row: str, play: Play, *alerts: str) -> Fault:
    return Fault(f"call-request-gateway-{job}", row, frozenset(f"Gateway{each}" for each in alerts), play)


FAULTS = (
    _fault("workers-killed", "worker-killed", _workers_killed, "Restarts"),
    _fault("healthy", "", _no_fault),
    _fault("vendor-down", "outage", _outage, "VendorUnavailable", "ReadsFail", "WatchesStale"),
    _fault("vendor-slow", "swallowed", _swallowed, "VendorSlow", "ReadsSlow", "ReadsFail"),
    _fault("vendor-limits", "retry-after", _rate_limited, "VendorRateLimits", "VendorRateLimitsMany", "ReadsFail"),
    _fault("wrong-secret", "token-refused", _wrong_secret, "VendorRejectsCredentials", "ReadsFail"),
    _fault("vendor-page", "html", _page, "VendorRepliesUnusable", "ReadsFail"),
    _fault("new-words", "seen", _new_words, "VendorValuesUnrecognized"),
    _fault("doubt", "hung", _doubt, "CancelInDoubt", "CancelsStayInDoubt", "VendorSlow"),
    _fault("cancels-refused", "refused", _refused, "VendorUnavailable", "CancelsFail"),
    _fault("cancels-slow", "slow", _slow_cancels, "CancelsSlow"),
    _fault("crowd", "crowd", _crowd, "Overloaded", "ReadsFail"),
    _fault("defect", "defect", _defect, "Defect"),
    _fault("greedy", "greedy", _greedy, "CallerAboveItsRate"),
    _fault("wrong-token", "tokens", _wrong_token, "CallersRejected"),
    _fault("broken-file", "callers-file", _broken_file, "FilesBroken"),
    _fault("handshakes", "certificates", _handshakes, "HandshakesFail"),
    _fault("ends-soon", "certificates", _ends_soon, "CertificateEndsSoon"),
    _fault("has-ended", "certificates", _has_ended, "CertificateEnds"),
    _fault("engine-killed", "state-refused", _engine_killed, "StateDown", "StateInterrupted"),
    _fault("engine-restarted", "state-failover", _engine_restarted, "StateInterrupted"),
    _fault("log-lost", "log-unread", _log_lost, "LogLinesLost"),
    _fault("no-collector", "collector-dead", _no_collector, "SpansDropped"),
    _fault("open-files", "descriptors", _descriptors, "OpenFilesNearLimit"),
    _fault("killed", "kill", _killed, "Down"),
    _fault("one-killed", "kill", _one_killed, "InstanceDown"),
    _fault("forged-pushes", "webhook-once", _forged_pushes, "WebhookRefusesPushes"),
)
"""Each alert fires for at least one, the one that its section of the runbook is about."""
