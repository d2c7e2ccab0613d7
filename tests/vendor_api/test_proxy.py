"""The way to the vendor through a proxy: a real one, and servers that answer CONNECT as no proxy should."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from pydantic import SecretStr

from callrequest.v1.call_request_service_pb2 import CancelCallRequestRequest, GetCallRequestResultRequest
from server.observability.logs import configure_logs
from server.vendor_api.proxy import MAX_HEAD_BYTES, Proxy
from testkit.answering_server import answering
from testkit.failure import failure
from testkit.gateway import connected, metrics_of, started
from testkit.http_proxy import http_proxy
from testkit.logs import Lines, silence_logs
from testkit.scripted_vendor import RESULT_ID, Answer, ScriptedVendor, hang_up, never, raw, reset
from testkit.server_process import free_ports

GET = GetCallRequestResultRequest(call_request_id=RESULT_ID)
CANCEL = CancelCallRequestRequest(call_request_id=RESULT_ID)
PASSWORD = "p@ss:w%rd"
LOGIN = "user:p%40ss%3Aw%25rd"


@pytest.fixture
def log() -> Iterator[Callable[[], str]]:
    """Returns what was logged so far."""
    lines = Lines()
    configure_logs("info", console=False, sink=lines)
    yield lines.getvalue
    silence_logs()


def _warnings(text: str) -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in text.splitlines()]
    return [(line["event"], line["error"]) for line in lines if line["level"] == "warning" and "error" in line]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def secured(authority: trustme.CA) -> AsyncIterator[ScriptedVendor]:
    """A vendor with TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    async with ScriptedVendor(context) as vendor:
        yield vendor


@pytest.fixture
def ca(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def _proxy(port: int, login: str = "") -> SecretStr:
    return SecretStr(f"http://{login and f'{login}@'}127.0.0.1:{port}")


async def test_every_request_goes_through_the_proxy(secured: ScriptedVendor, ca: Path) -> None:
    """Token, read and cancel, with TLS to the vendor inside and the proxy's credentials outside of it."""
    async with (
        http_proxy("--basic-auth", f"user:{PASSWORD}") as port,
        started(secured.url, vendor_ca=ca, vendor_proxy=_proxy(port, LOGIN)) as gateway,
        connected(gateway) as client,
    ):
        await client.GetCallRequestResult(GET, timeout=10)
        await client.CancelCallRequest(CANCEL, timeout=10)
    assert [asked.operation for asked in secured.asked] == ["token", "result", "cancel"]
    assert not any("proxy" in name for asked in secured.asked for name in asked.headers)


async def test_what_announces_the_proxys_reply_is_passed_over(vendor: ScriptedVendor) -> None:
    """Any number of 1xx before the 200 (RFC 9110, 15.2), in one piece with it or before."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
        there, to = await asyncio.open_connection("127.0.0.1", urlsplit(vendor.url).port)
        await asyncio.wait([asyncio.create_task(forward(reader, to)), asyncio.create_task(forward(there, writer))])

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, started(vendor.url, vendor_proxy=_proxy(port)) as gateway, connected(gateway) as client:
        await client.GetCallRequestResult(GET, timeout=5)


async def test_http_goes_through_a_tunnel_too(vendor: ScriptedVendor) -> None:
    """A proxy that read the requests could change them."""
    async with (
        http_proxy() as port,
        started(vendor.url, vendor_proxy=_proxy(port)) as gateway,
        connected(gateway) as client,
    ):
        await client.GetCallRequestResult(GET, timeout=10)
    assert vendor.requests("result")[0].path.startswith("/")


async def _expect_refusal(url: str, proxy: SecretStr, cause: str, log: Callable[[], str]) -> None:
    """A read and a cancel are UNAVAILABLE, and log and metric show the proxy; no secret shows."""
    async with started(url, vendor_proxy=proxy, vendor_connect_timeout=0.5) as gateway, connected(gateway) as client:
        for call in (client.GetCallRequestResult(GET, timeout=5), client.CancelCallRequest(CANCEL, timeout=5)):
            got = await failure(call)
            assert (got.code, got.reason) == ("UNAVAILABLE", "VENDOR_UNAVAILABLE")
        metrics = await metrics_of(gateway)
    lines = [line for line in metrics.splitlines() if line.startswith("vendor_request_seconds_count")]
    assert [line for line in lines if 'outcome="proxy"' in line and not line.endswith(" 0.0")]
    assert not [line for line in lines if 'outcome="proxy"' not in line and not line.endswith(" 0.0")]
    text = log()
    assert ("no connection through the proxy", cause) in _warnings(text)
    assert "no connection to the vendor" not in text
    assert "client-secret" not in text
    assert "p@ss" not in text
    assert LOGIN not in text


@pytest.mark.parametrize("login", ["", "user:wrong", "user"], ids=["none", "wrong-password", "no-password"])
async def test_a_proxy_that_wants_other_credentials_is_not_the_vendor(
    vendor: ScriptedVendor, login: str, log: Callable[[], str]
) -> None:
    """407: nothing was sent to the vendor, so a cancel is not in doubt."""
    async with http_proxy("--basic-auth", f"user:{PASSWORD}") as port:
        await _expect_refusal(vendor.url, _proxy(port, login), "HTTP 407", log)
    assert vendor.asked == []


async def test_a_proxy_that_cannot_reach_the_vendor_is_not_the_vendor(log: Callable[[], str]) -> None:
    """502 of the proxy's."""
    (closed,) = free_ports(1)
    async with http_proxy() as port:
        await _expect_refusal(f"http://127.0.0.1:{closed}", _proxy(port), "HTTP 502", log)


async def test_a_proxy_that_is_not_there_is_not_the_vendor(vendor: ScriptedVendor, log: Callable[[], str]) -> None:
    """Nor is it passed by: no request goes to the vendor directly."""
    (closed,) = free_ports(1)
    await _expect_refusal(vendor.url, _proxy(closed), "ConnectionRefusedError", log)
    assert vendor.asked == []


NOT_HTTP = "a reply that is not HTTP"


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        pytest.param(raw(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n"), "HTTP 403", id="403"),
        pytest.param(raw(b"HTTP/1.0 503 Busy\r\n\r\n<html>", close=True), "HTTP 503", id="503-with-a-page"),
        pytest.param(raw(b"HTTP/1.1 302 Found\r\nlocation: http://login/\r\n\r\n"), "HTTP 302", id="login-page"),
        pytest.param(raw(b"HTTP/1.1 407 Login\n\n"), "HTTP 407", id="lone-line-feeds"),
        pytest.param(raw(b"SSH-2.0-OpenSSH\r\n\r\n"), NOT_HTTP, id="another-protocol"),
        pytest.param(raw(b"HTTP/1.1 2000 OK\r\n\r\n"), NOT_HTTP, id="status-of-4-digits"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 2 * MAX_HEAD_BYTES), NOT_HTTP, id="endless-head"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200"), "bytes after its reply", id="speaks-on"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\n"), "TimeoutError", id="half-a-head"),
        pytest.param(raw(b"HTTP/1.1 100 Continue\r\n\r\n"), "TimeoutError", id="announced-only"),
        pytest.param(raw(b"HTTP/1.1 102 Processing\r\n\r\n" * 9000), NOT_HTTP, id="announced-for-ever"),
        pytest.param(raw(b"HTTP/1.1 101 Switching\r\n\r\n"), "HTTP 101", id="another-protocol-on-it"),
        pytest.param(raw(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 407 No\r\n\r\n"), "HTTP 407", id="announced-no"),
        pytest.param(never(), "TimeoutError", id="silence"),
        pytest.param(hang_up(), "closed the connection", id="hangs-up"),
        pytest.param(reset(), "ConnectionResetError", id="resets"),
    ],
)
async def test_what_no_proxy_should_answer_is_not_the_vendor(
    vendor: ScriptedVendor, answer: Answer, cause: str, log: Callable[[], str]
) -> None:
    """Whatever it is, nothing was sent."""
    async with answering(answer) as port:
        await _expect_refusal(vendor.url, _proxy(port, LOGIN), cause, log)
    assert vendor.asked == []


async def test_what_fails_behind_the_proxy_is_the_vendors(secured: ScriptedVendor, log: Callable[[], str]) -> None:
    """For example its certificate, which is of none of the system's CAs."""
    async with (
        http_proxy() as port,
        started(secured.url, vendor_proxy=_proxy(port)) as gateway,
        connected(gateway) as client,
    ):
        assert (await failure(client.GetCallRequestResult(GET, timeout=5))).reason == "VENDOR_UNAVAILABLE"
        metrics = await metrics_of(gateway)
    assert 'outcome="unreachable"' in metrics
    assert _warnings(log()) == [("no connection to the vendor", "SSLCertVerificationError")]


async def test_a_proxy_that_comes_back_is_logged(vendor: ScriptedVendor, log: Callable[[], str]) -> None:
    """Once, with the first reply."""
    (port,) = free_ports(1)
    async with started(vendor.url, vendor_proxy=_proxy(port)) as gateway, connected(gateway) as client:
        await failure(client.GetCallRequestResult(GET, timeout=10))
        async with http_proxy("--port", str(port)):
            await asyncio.sleep(1.1)  # until the next token may be fetched
            await client.GetCallRequestResult(GET, timeout=10)
    assert '"event":"connected through the proxy again"' in log()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://proxy.example:3128", Proxy("proxy.example", 3128)),
        ("http://[::1]:3128/", Proxy("::1", 3128)),
        ("http://a:b%3Ac@p:1", Proxy("p", 1, "Basic YTpiOmM=")),
        ("http://a@p:1", Proxy("p", 1, "Basic YTo=")),
        ("http://%C3%A4:@p:1", Proxy("p", 1, "Basic w6Q6")),
        ("http://ä:%E4@p:1", Proxy("p", 1, "Basic w6Q65A==")),  # bytes as they are, of whatever encoding
    ],
)
def test_the_proxys_address_is_read(url: str, expected: Proxy) -> None:
    """User and password are percent-decoded, and do not show when it is printed."""
    assert Proxy.from_url(url) == expected
    assert "Basic" not in repr(Proxy.from_url(url))
