"""The webhook of a running gateway, over real sockets."""

import asyncio
import base64
import json
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from standardwebhooks import Webhook
from structlog.testing import capture_logs

from callrequest.v1 import call_request_pb2 as pb
from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest, WatchCallRequestResultRequest
from server.app import Gateway
from server.settings import SettingsError
from server.webhook.opening import MAX_LINES
from testkit.certificate_authority import Authority, Issued, Pki, replace
from testkit.engine import engine
from testkit.gateway import connected, metrics_of, started
from testkit.scripted_vendor import RESULT_ID, ScriptedVendor, send, with_status
from testkit.server_process import free_ports

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
TOKEN = "a-token-of-the-vendor"
TLS_FILES = "GATEWAY_WEBHOOK_TLS_CERTIFICATE, GATEWAY_WEBHOOK_TLS_KEY, GATEWAY_WEBHOOK_TLS_CLIENT_CA"
SECRET_FILES = "GATEWAY_WEBHOOK_SECRETS, GATEWAY_WEBHOOK_TOKENS, GATEWAY_WEBHOOK_BASIC"
PATH = "/webhooks/call-request-completed"
OUTCOME = {
    "callType": "BOOKING_VERIFICATION",
    "callStatus": "SUCCESS",
    "outcomeSummary": "confirmed",
    "outcomeDetails": "by the front desk",
}


def event(
    event_id: str = "evt-1", *, status: str = "COMPLETED", nested: bool = True, occurred: float = 0, **changed: Any
) -> bytes:
    """A push; occurred: seconds ago."""
    moment = (datetime.now(UTC) - timedelta(seconds=occurred)).strftime("%Y-%m-%dT%H:%M:%SZ")
    outcome = {"result": OUTCOME} if nested else OUTCOME
    data = {"callRequestId": RESULT_ID, "callRequestStatus": status, **outcome}
    document = {"eventId": event_id, "eventType": "call.request.completed", "occurredAt": moment, "sentAt": moment}
    return json.dumps({**document, "data": data, **changed}).encode()


def signature(body: bytes, minutes: float = 0) -> dict[str, str]:
    """The headers by which it is signed."""
    moment = datetime.now(UTC) - timedelta(minutes=minutes)
    signed = Webhook(SECRET).sign("msg-1", moment, body.decode())
    return {"webhook-id": "msg-1", "webhook-timestamp": str(int(moment.timestamp())), "webhook-signature": signed}


async def post(gateway: Gateway, body: bytes, headers: dict[str, str] | None = None, path: str = PATH) -> int:
    """Sends a push; signed unless there are other headers. Returns the HTTP status."""
    headers = signature(body) if headers is None else headers
    url = f"http://{gateway.webhook_address}{path}"
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as reply:
        assert await reply.read() == b"" or reply.status in (404, 405, 413)
        return reply.status


@asynccontextmanager
async def gateway_of(vendor: ScriptedVendor, **settings: Any) -> AsyncIterator[Gateway]:
    """A gateway with a webhook, with ages as by default."""
    usual = {"webhook_listen": "127.0.0.1:0", "webhook_secrets": SECRET, "webhook_tokens": TOKEN}
    ages = {"default_max_age": 1.0, "final_max_age": 3600.0}
    async with started(vendor.url, **(usual | ages | settings)) as gateway:
        yield gateway


async def status_of(gateway: Gateway) -> str:
    """The status that a caller gets."""
    async with connected(gateway) as client:
        reply = await client.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=RESULT_ID), timeout=5)
    return pb.CallRequestStatus.Name(reply.call_request_result.status)


@pytest.mark.parametrize("nested", [pytest.param(True, id="in result"), pytest.param(False, id="beside the status")])
async def test_a_signed_push_is_the_result_from_then_on(vendor: ScriptedVendor, nested: bool) -> None:
    """The vendor is not asked; the outcome is there wherever it stood."""
    async with gateway_of(vendor) as gateway, connected(gateway) as client:
        assert await post(gateway, event(nested=nested)) == 200
        reply = await client.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=RESULT_ID), timeout=5)
        assert reply.call_request_result.status == pb.CALL_REQUEST_STATUS_COMPLETED
        assert reply.call_request_result.outcome.outcome_details == "by the front desk"
        assert reply.call_request_result.HasField("observed_at")
        assert not vendor.requests("result")


async def test_a_watcher_learns_of_a_push_at_once(vendor: ScriptedVendor) -> None:
    """Long before its next poll."""
    vendor.answer("result", send(with_status("PENDING_TO_CALL")))
    async with gateway_of(vendor) as gateway, connected(gateway) as client:
        watch = client.WatchCallRequestResult(WatchCallRequestResultRequest(call_request_id=RESULT_ID), timeout=20)
        first: Any = await watch.read()
        assert first.call_request_result.status == pb.CALL_REQUEST_STATUS_PENDING_TO_CALL
        assert await post(gateway, event()) == 200
        second: Any = await watch.read()
        assert second.call_request_result.status == pb.CALL_REQUEST_STATUS_COMPLETED


async def test_a_replay_changes_nothing_and_another_body_is_a_conflict(vendor: ScriptedVendor) -> None:
    """Each event is applied once; the sender may send it again for as long as it likes."""
    async with gateway_of(vendor) as gateway:
        body = event(occurred=20 * 3600)
        assert [await post(gateway, body) for _ in range(3)] == [200, 200, 200]
        assert await post(gateway, event(occurred=5)) == 409
        metrics = await metrics_of(gateway)
        for outcome, count in (("applied", 1), ("duplicate", 2), ("conflict", 1), ("malformed", 0)):
            assert f'webhook_pushes_total{{outcome="{outcome}"}} {count}.0' in metrics


async def test_a_push_that_is_older_than_what_is_known_changes_nothing(vendor: ScriptedVendor) -> None:
    """Pushes come in any order; a final result never goes back."""
    async with gateway_of(vendor) as gateway:
        assert await post(gateway, event("evt-2")) == 200
        assert await post(gateway, event("evt-1", status="IN_PROGRESS", nested=False)) == 200
        assert await status_of(gateway) == "CALL_REQUEST_STATUS_COMPLETED"
        assert 'webhook_pushes_total{outcome="stale"} 1.0' in await metrics_of(gateway)


@pytest.mark.parametrize(
    "occurred", [pytest.param("2099-01-01T00:00:00Z", id="from the future"), pytest.param(None, id="none")]
)
async def test_a_result_was_never_observed_later_than_now(vendor: ScriptedVendor, occurred: str | None) -> None:
    """Whatever the push has as its time."""
    async with gateway_of(vendor) as gateway, connected(gateway) as client:
        assert await post(gateway, event(occurredAt=occurred, sentAt=None)) == 200
        reply = await client.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=RESULT_ID), timeout=5)
        observed = reply.call_request_result.observed_at.ToDatetime(UTC)
        assert abs((datetime.now(UTC) - observed).total_seconds()) < 60


async def test_an_unsigned_push_is_a_hint(vendor: ScriptedVendor) -> None:
    """Its content is not believed: the result is read again, and an event id of its is not remembered."""
    vendor.answer("result", send(with_status("IN_PROGRESS")))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with gateway_of(vendor) as gateway:
        assert await post(gateway, event(), headers) == 202
        async with asyncio.timeout(10):
            while not vendor.requests("result"):  # noqa: ASYNC110 (nothing to wait for)
                await asyncio.sleep(0.01)
        assert await status_of(gateway) == "CALL_REQUEST_STATUS_IN_PROGRESS"
        assert await post(gateway, event()) == 200, "a forged event id does not block the true one"
        assert await status_of(gateway) == "CALL_REQUEST_STATUS_COMPLETED"


async def test_a_flood_of_hints_costs_few_reads(vendor: ScriptedVendor) -> None:
    """Hints about one call request join; those about many wait for their turn, and beyond the bound are refused."""
    vendor.answer("result", send(with_status("IN_PROGRESS")))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with gateway_of(vendor) as gateway:
        statuses = await asyncio.gather(*(post(gateway, event(f"evt-{number}"), headers) for number in range(100)))
        assert set(statuses) == {202}
        await asyncio.sleep(0.3)
        assert len(vendor.requests("result")) < 60


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"", 400, id="nothing"),
        pytest.param(b"[]", 400, id="no object"),
        pytest.param(b"\xff", 401, id="no UTF-8: no signature can be right"),
        pytest.param(b'{"eventId": "1"}', 400, id="no data"),
        pytest.param(event(eventId=""), 400, id="no event id"),
        pytest.param(event(eventId="x" * 300), 400, id="an event id without end"),
        pytest.param(event(eventId=17), 400, id="an event id that is a number"),
        pytest.param(event(data={"callRequestId": "../etc"}), 400, id="an id that is none"),
        pytest.param(event(data={"callRequestId": RESULT_ID}), 400, id="no status"),
        pytest.param(event(data=[]), 400, id="data that is a list"),
        pytest.param(event(occurredAt="yesterday", sentAt=None), 200, id="no time: now"),
        pytest.param(event(eventType="call.request.archived"), 200, id="another event: ignored"),
        pytest.param(event(eventType="Call_Request_Completed"), 200, id="the event in another spelling"),
        pytest.param(b"[" * 5000, 400, id="deep"),
    ],
)
async def test_a_push_is_taken_or_refused_by_its_form(vendor: ScriptedVendor, body: bytes, status: int) -> None:
    """4xx for what is malformed, never 500."""
    async with gateway_of(vendor) as gateway:
        headers: dict[str, str] | None = {} if body == b"\xff" else None
        assert await post(gateway, body, headers) == status


async def test_strangers_are_refused_before_anything_is_read(vendor: ScriptedVendor) -> None:
    """401 without a right signature, an old one, and from another source; nothing reaches the vendor or the log."""
    async with gateway_of(vendor) as gateway:
        assert await post(gateway, event(), {}) == 401
        assert await post(gateway, event(), signature(event(), minutes=6)) == 401
        assert await post(gateway, event("2"), signature(event("1"))) == 401
        assert await post(gateway, event(), path="/webhooks/other") == 404
        assert await post(gateway, b" " * 70_000, {"Authorization": f"Bearer {TOKEN}"}) == 413
    async with gateway_of(vendor, webhook_sources="192.0.2.0/24", webhook_trusted_proxies="127.0.0.0/8") as gateway:
        body = event()
        assert await post(gateway, body) == 401
        assert await post(gateway, body, signature(body) | {"X-Forwarded-For": "192.0.2.7"}) == 200
    assert not vendor.requests("result")


async def test_senders_that_never_finish_hold_nobody_up(vendor: ScriptedVendor) -> None:
    """200 connections with half a request: a whole one is answered."""
    async with gateway_of(vendor) as gateway:
        host, _, port = str(gateway.webhook_address).rpartition(":")
        halves = [await asyncio.open_connection(host, int(port)) for _ in range(200)]
        for _, writer in halves:
            writer.write(b"POST /webhooks/call-request-completed HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        async with asyncio.timeout(10):
            assert await post(gateway, event()) == 200
        for _, writer in halves:
            writer.close()


async def test_a_push_at_one_gateway_is_known_at_the_other(vendor: ScriptedVendor) -> None:
    """Through the shared state; a replay at the other is a duplicate there; without the engine it is sent again."""
    (port,) = free_ports(1)
    vendor.answer("result", send(with_status("PENDING_TO_CALL")))
    with engine(port) as running:
        shared = {"state_url": running.url}
        async with (
            gateway_of(vendor, **shared) as one,
            gateway_of(vendor, **shared) as other,
            connected(other) as client,
        ):
            async with asyncio.timeout(10):
                while "state_up 1.0" not in await metrics_of(one) or "state_up 1.0" not in await metrics_of(other):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            watch = client.WatchCallRequestResult(WatchCallRequestResultRequest(call_request_id=RESULT_ID), timeout=20)
            await watch.read()
            body = event()
            assert await post(one, body) == 200
            changed: Any = await watch.read()
            assert changed.call_request_result.status == pb.CALL_REQUEST_STATUS_COMPLETED
            assert await post(other, body) == 200
            assert 'webhook_pushes_total{outcome="duplicate"} 1.0' in await metrics_of(other)
            assert await post(other, event(occurred=9)) == 409
            running.kill()
            assert await post(one, event("evt-9")) == 503


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        pytest.param({"webhook_secrets": None, "webhook_tokens": None}, "WEBHOOK_SECRETS", id="no way to know senders"),
        pytest.param({"webhook_secrets": "whsec_AAAA"}, "WEBHOOK_SECRETS", id="a short secret"),
        pytest.param({"webhook_tokens": "short"}, "WEBHOOK_TOKENS", id="a short token"),
        pytest.param({"webhook_basic": "user"}, "WEBHOOK_BASIC", id="no password"),
        pytest.param({"webhook_sources": "anywhere"}, "WEBHOOK_SOURCES", id="no network"),
        pytest.param({"webhook_listen": "0.0.0.0:0"}, "WEBHOOK_LISTEN", id="plaintext beyond loopback"),
    ],
)
async def test_a_webhook_that_is_not_safe_does_not_start(
    vendor: ScriptedVendor, settings: dict[str, Any], named: str
) -> None:
    """The setting is named."""
    with pytest.raises(SettingsError) as caught:
        async with gateway_of(vendor, **settings):
            pass
    assert named in str(caught.value)


async def test_replaced_certificates_are_used_without_a_restart(vendor: ScriptedVendor, tmp_path: Path) -> None:
    """That of the port, and the CA of the senders'. Broken ones change nothing; each reading is counted."""
    pki, other = Pki(tmp_path), Authority()
    sender, other_sender = pki.authority.issue(), other.issue()
    tls = {f"webhook_{name}": path for name, path in pki.settings().items()}
    async with gateway_of(vendor, **tls) as gateway:
        first = await shown_certificate(gateway, pki, sender)
        assert first is not None
        assert await shown_certificate(gateway, pki, other_sender) is None
        replace(pki.certificate, b"no certificate")
        await until_read(gateway, "broken")
        assert await shown_certificate(gateway, pki, sender) == first

        replace(pki.client_ca, other.pem)
        pki.authority.issue(x509.DNSName("localhost")).write(pki.certificate, pki.key)
        await until_read(gateway, "loaded")
        assert await shown_certificate(gateway, pki, other_sender) not in (first, None)
        assert await shown_certificate(gateway, pki, sender) is None


async def shown_certificate(gateway: Gateway, pki: Pki, sender: Issued) -> bytes | None:
    """The certificate that the port shows to a sender with that one; None to a sender that it refuses."""
    context = ssl.create_default_context(cadata=pki.authority.pem.decode())
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder) / "cert.pem", Path(folder) / "key.pem"
        sender.write(*paths)
        context.load_cert_chain(*paths)
    assert gateway.webhook_address is not None
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", int(gateway.webhook_address.rpartition(":")[2]), ssl=context, server_hostname="localhost"
    )
    shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return shown if await reader.readline() else None
    except ConnectionError:
        return None  # with TLS 1.3 a client learns after its handshake that it is refused
    except ssl.SSLError:
        return None
    finally:
        writer.close()


async def until_read(gateway: Gateway, outcome: str, settings: str = TLS_FILES, times: int = 1) -> None:
    """Waits until the webhook's files were read again so many times with that outcome."""
    series = f'file_reloads_total{{outcome="{outcome}",settings="{settings}"}}'
    assert series in await metrics_of(gateway)
    async with asyncio.timeout(20):
        while f"{series} {times}.0" not in await metrics_of(gateway):  # noqa: ASYNC110 (nothing to wait for)
            await asyncio.sleep(0.1)


def signed_by(secret: str, body: bytes) -> dict[str, str]:
    """The headers by which it is signed with that secret."""
    moment = datetime.now(UTC)
    given = Webhook(secret).sign("msg-1", moment, body.decode())
    return {"webhook-id": "msg-1", "webhook-timestamp": str(int(moment.timestamp())), "webhook-signature": given}


async def test_replaced_secrets_and_tokens_are_used_without_a_restart(vendor: ScriptedVendor, tmp_path: Path) -> None:
    """Files of SECRETS_DIR, when they change and at SIGHUP; each way to know a sender, and the old ones no more."""
    new, new_token, basic = "whsec_" + base64.b64encode(bytes(32)).decode(), "another-token-of-it", b"user:password"
    paths = [tmp_path / f"gateway_webhook_{name}" for name in ("secrets", "tokens", "basic")]
    for path, content in zip(paths, (SECRET, TOKEN, "user:before"), strict=True):
        path.write_text(content)
    given = {"webhook_secrets": SECRET, "webhook_tokens": TOKEN, "webhook_basic": "user:before"}

    async def statuses(gateway: Gateway) -> list[int]:
        body = event(f"evt-{datetime.now(UTC).timestamp()}")
        bearer = [{"Authorization": f"Bearer {token}"} for token in (TOKEN, new_token)]
        by_basic = {"Authorization": f"Basic {base64.b64encode(basic).decode()}"}
        ways = [signed_by(SECRET, body), signed_by(new, body), *bearer, by_basic]
        return [await post(gateway, body, headers) for headers in ways]

    async with gateway_of(vendor, **given, secrets_dir=tmp_path) as gateway:
        assert await statuses(gateway) == [200, 401, 202, 401, 401]
        replace(paths[0], f"{new}\n".encode())
        await until_read(gateway, "loaded", SECRET_FILES)
        assert await statuses(gateway) == [401, 200, 202, 401, 401]
        replace(paths[1], f"\ufeff{new_token}\r\n".encode())
        await until_read(gateway, "loaded", SECRET_FILES, 2)
        replace(paths[2], basic)
        await until_read(gateway, "loaded", SECRET_FILES, 3)
        assert await statuses(gateway) == [401, 200, 401, 202, 202]
        gateway.reload()
        await until_read(gateway, "loaded", SECRET_FILES, 4)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        pytest.param("secrets", b"", "is empty or not UTF-8", id="empty"),
        pytest.param("secrets", b"\xff", "is empty or not UTF-8", id="no UTF-8"),
        pytest.param("secrets", b"whsec_AAAA", "must be whsec_ and 24 to 64 bytes in base64", id="a short secret"),
        pytest.param(
            "tokens", b"short", "must be tokens of at least 16 characters, comma-separated", id="a short token"
        ),
        pytest.param("tokens", None, "cannot be read", id="removed"),
    ],
)
async def test_a_broken_file_of_secrets_keeps_the_old_ones(
    vendor: ScriptedVendor, tmp_path: Path, name: str, content: bytes | None, why: str
) -> None:
    """The log has its setting and what is wrong, and nothing of what it holds; the metric is 0 until it is repaired."""
    for each, value in (("secrets", SECRET), ("tokens", TOKEN)):
        (tmp_path / f"gateway_webhook_{each}").write_text(value)
    file, settings = tmp_path / f"gateway_webhook_{name}", "GATEWAY_WEBHOOK_SECRETS, GATEWAY_WEBHOOK_TOKENS"
    async with gateway_of(vendor, secrets_dir=tmp_path) as gateway:
        with capture_logs() as lines:
            if content is None:
                file.unlink()
            else:
                replace(file, content)
            await until_read(gateway, "broken", settings)
        (line,) = (line for line in lines if line["event"] == "a changed file is broken, the old one stays")
        assert line["error"] == f"GATEWAY_WEBHOOK_{name.upper()}: {why}"
        assert f'file_reload_success{{settings="{settings}"}} 0.0' in await metrics_of(gateway)
        body = event()
        assert await post(gateway, body) == 200
        assert await post(gateway, body, {"Authorization": f"Bearer {TOKEN}"}) == 202
        replace(file, (SECRET if name == "secrets" else TOKEN).encode())
        await until_read(gateway, "loaded", settings)
        assert f'file_reload_success{{settings="{settings}"}} 1.0' in await metrics_of(gateway)


async def test_secrets_of_the_environment_are_read_at_the_start_alone(
    vendor: ScriptedVendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They go before a file of the same name, which is not watched."""
    monkeypatch.setenv("GATEWAY_WEBHOOK_SECRETS", SECRET)
    (tmp_path / "gateway_webhook_secrets").write_text("nothing of the kind")
    async with gateway_of(vendor, secrets_dir=tmp_path) as gateway:
        assert await post(gateway, event()) == 200
        assert "GATEWAY_WEBHOOK" not in await metrics_of(gateway)


async def test_what_strangers_send_is_no_line_of_the_log(vendor: ScriptedVendor) -> None:
    """Whatever is wrong with it: they could fill a disk. It is counted."""
    gzipped = {"Content-Encoding": "gzip"}
    async with gateway_of(vendor) as gateway:
        with capture_logs() as lines:
            assert await post(gateway, b"no gzip", gzipped) == 400
            assert await post(gateway, event(), {"Authorization": "Bearer nobody"}) == 401
            assert await post(gateway, b" " * 70_000, {}) == 413
            assert await post(gateway, b"no JSON", signature(b"no JSON")) == 400
        assert [line["outcome"] for line in lines if line["event"] == "webhook"] == ["malformed"], "of a known sender"
        assert 'webhook_pushes_total{outcome="malformed"} 2.0' in await metrics_of(gateway)


async def test_a_flood_of_pushes_is_a_few_lines_of_the_log(vendor: ScriptedVendor) -> None:
    """Of each outcome that anybody can cause who knows little, or nothing where no proof is asked for."""
    with capture_logs() as lines:
        async with gateway_of(vendor, webhook_allow_unsigned=True) as gateway:
            for number in range(MAX_LINES + 5):
                assert await post(gateway, event(f"evt-{number}"), {}) == 202
                assert await post(gateway, b"no JSON", {}) == 400
                assert await post(gateway, event(f"signed-{number}", occurred=100 - number)) == 200
    outcomes = [line["outcome"] for line in lines if line["event"] == "webhook" and "outcome" in line]
    assert [outcomes.count(each) for each in ("hint", "malformed")] == [MAX_LINES, MAX_LINES]
    assert outcomes.count("applied") == MAX_LINES + 5, "the sender has signed them, and each is another result"
    assert [line["not_logged"] for line in lines if "not_logged" in line] == [{"hint": 5, "malformed": 5}]


async def test_a_final_push_is_as_young_as_its_arrival(vendor: ScriptedVendor) -> None:
    """It is given for FINAL_MAX_AGE however long ago it occurred; of two, the one that occurred later stays."""
    request = GetCallRequestResultRequest(call_request_id=RESULT_ID)
    async with gateway_of(vendor) as gateway, connected(gateway) as client:
        for number, (minutes, kept) in enumerate([(900, "0"), (800, "1"), (850, "1")]):
            data = {"callRequestId": RESULT_ID, "callRequestStatus": "COMPLETED", "outcomeSummary": str(number)}
            assert await post(gateway, event(f"evt-{number}", occurred=minutes * 60, data=data)) == 200
            reply = await client.GetCallRequestResult(request, timeout=5)
            assert reply.call_request_result.outcome.outcome_summary == kept
    assert vendor.requests("result") == []


async def test_of_two_final_pushes_the_one_that_occurred_later_is_given_by_all_processes(
    vendor: ScriptedVendor,
) -> None:
    """By those, too, that have already given the other one; whichever of them takes the push, and in any order."""
    request = GetCallRequestResultRequest(call_request_id=RESULT_ID)
    (port,) = free_ports(1)
    with engine(port) as valkey:
        async with (
            gateway_of(vendor, state_url=valkey.url) as one,
            gateway_of(vendor, state_url=valkey.url) as other,
            connected(one) as client,
            connected(other) as other_client,
            asyncio.timeout(50),
        ):
            while "state_up 1.0" not in await metrics_of(one) or "state_up 1.0" not in await metrics_of(other):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            for number, (minutes, kept) in enumerate([(900, "0"), (800, "1"), (850, "1"), (700, "3")]):
                data = {"callRequestId": RESULT_ID, "callRequestStatus": "COMPLETED", "outcomeSummary": str(number)}
                body = event(f"evt-{number}", occurred=minutes * 60, data=data)
                assert await post(other if number % 2 else one, body) == 200
                await asyncio.sleep(0.3)  # in which an older one would reach the other process
                for each in (client, other_client):
                    reply = await each.GetCallRequestResult(request, timeout=5)
                    while reply.call_request_result.outcome.outcome_summary != kept:
                        await asyncio.sleep(0.05)
                        reply = await each.GetCallRequestResult(request, timeout=5)
    assert vendor.requests("result") == []
