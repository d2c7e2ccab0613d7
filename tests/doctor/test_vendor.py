"""The way to the vendor: each step is broken once, and the step that is broken is the one that fails."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path

import pytest
from pydantic import SecretStr

from server.doctor.vendor import MAX_SKEW, UNKNOWN_ID
from testkit.answering_server import answering
from testkit.certificate_authority import DNS, Authority, replace
from testkit.gateway import SECRET
from testkit.handshakes import handshakes
from testkit.http_proxy import http_proxy
from testkit.scripted_vendor import Answer, ScriptedVendor, failed, hang_up, raw, send
from testkit.server_process import free_ports

from .findings import PASSWORD, TOKEN, of_vendor, state_of, text_of


async def _token(writer: asyncio.StreamWriter) -> None:
    """A token, with the Date of this moment."""
    await send({"access_token": TOKEN, "expires_in": 600}, date=formatdate(usegmt=True))(writer)


@pytest.fixture
async def vendor() -> AsyncIterator[ScriptedVendor]:
    """A vendor to which nothing is known of the id that doctor reads."""
    async with ScriptedVendor() as scripted:
        scripted.answer("token", _token)
        scripted.answer("result", send(failed("NOT_FOUND"), 404))
        yield scripted


async def test_without_a_vendor_the_sandbox_is_tried() -> None:
    """Every step is well or skipped."""
    findings = await of_vendor(None)
    assert "failed" not in {finding.state for finding in findings}
    assert text_of(findings, "token", "ok") == "for 84400 s"
    assert "CALL_REQUEST_NOT_FOUND" in text_of(findings, "read", "ok")


async def test_what_is_well_is_said_and_only_one_token_is_fetched(vendor: ScriptedVendor) -> None:
    """A second token could end the first; the secret is in no finding."""
    findings = await of_vendor(vendor.url)
    assert text_of(findings, "token", "ok") == "for 600 s"
    assert text_of(findings, "clock", "ok") == f"within {MAX_SKEW:g} s of the vendor's"
    assert [asked.operation for asked in vendor.asked] == ["token", "result"]
    assert UNKNOWN_ID in vendor.requests("result")[0].path


async def test_a_name_that_does_not_resolve_fails_and_skips_the_rest() -> None:
    """All that follows is skipped."""
    findings = await of_vendor("https://no.invalid")
    assert "no.invalid cannot be resolved" in text_of(findings, "name", "failed")
    for check in ("proxy", "connection", "tls", "token", "clock", "read"):
        assert state_of(findings, check) == {"skipped"}


async def test_the_names_addresses_of_both_families_are_listed(vendor: ScriptedVendor) -> None:
    """A family without an address is named, too."""
    assert text_of(await of_vendor(vendor.url), "name", "ok") == "127.0.0.1: IPv4 127.0.0.1; IPv6 none"


async def test_a_port_on_which_nothing_listens_fails_the_connection() -> None:
    """It is the connection that fails, not the name."""
    (closed,) = free_ports(1)
    findings = await of_vendor(f"http://127.0.0.1:{closed}")
    text = text_of(findings, "connection", "failed")
    assert "connection refused: compare GATEWAY_VENDOR_URL" in text
    assert "the vendor is down" in text
    assert state_of(findings, "token") == {"skipped"}


async def test_a_token_endpoint_elsewhere_is_reached_too(vendor: ScriptedVendor) -> None:
    """Its steps have findings of their own."""
    (closed,) = free_ports(1)
    findings = await of_vendor(vendor.url, vendor_token_url=f"http://127.0.0.1:{closed}/token")
    assert [finding.state for finding in findings if finding.check == "connection"] == ["ok", "failed"]


# The proxy.


def _proxy(port: int, login: str = "") -> SecretStr:
    return SecretStr(f"http://{login and f'{login}@'}127.0.0.1:{port}")


async def test_through_a_proxy_every_check_is_ok(vendor: ScriptedVendor) -> None:
    """The name is the proxy's; the proxy resolves the vendor's."""
    async with http_proxy("--basic-auth", f"user:{PASSWORD}") as port:
        findings = await of_vendor(vendor.url, vendor_proxy=_proxy(port, f"user:{PASSWORD}"))
        assert f"through 127.0.0.1:{port}" in text_of(findings, "proxy", "ok")
        assert state_of(findings, "read") == {"ok"}


async def test_a_proxy_that_wants_other_credentials_fails_its_check(vendor: ScriptedVendor) -> None:
    """407; nothing reaches the vendor."""
    async with http_proxy("--basic-auth", f"user:{PASSWORD}") as port:
        text = text_of(await of_vendor(vendor.url, vendor_proxy=_proxy(port, "user:wrong")), "proxy", "failed")
    assert "HTTP 407: it wants other credentials" in text
    assert vendor.asked == []


async def test_a_proxy_that_cannot_reach_the_vendor_fails_its_check() -> None:
    """502 of the proxy's."""
    (closed,) = free_ports(1)
    async with http_proxy() as port:
        findings = await of_vendor(f"http://127.0.0.1:{closed}", vendor_proxy=_proxy(port))
    assert "HTTP 502: it cannot reach the vendor" in text_of(findings, "proxy", "failed")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(raw(b"HTTP/1.1 401 No\r\n\r\n"), "HTTP 401: it wants other credentials", id="401-as-tinyproxy"),
        pytest.param(raw(b"HTTP/1.1 403 No\r\n\r\n"), "HTTP 403: it does not let this host through", id="403"),
        pytest.param(raw(b"HTTP/1.1 503 No\r\n\r\n"), "HTTP 503: it cannot reach the vendor", id="503"),
        pytest.param(raw(b"HTTP/1.1 429 No\r\n\r\n"), "HTTP 429: it refuses: ask those who run it", id="429"),
        pytest.param(raw(b"SSH-2.0-OpenSSH\r\n\r\n"), "not HTTP: compare GATEWAY_VENDOR_PROXY", id="no-proxy"),
        pytest.param(hang_up(), "closed the connection", id="hangs-up"),
        pytest.param(raw(b""), "no answer within 0.5 s", id="silent"),
    ],
)
async def test_each_refusal_of_a_proxy_has_its_advice(vendor: ScriptedVendor, answer: Answer, expected: str) -> None:
    """Each refusal has advice of its own."""
    async with answering(answer) as port:
        login = f"user:{PASSWORD}"
        findings = await of_vendor(vendor.url, vendor_proxy=_proxy(port, login), vendor_connect_timeout=0.5)
    assert expected in text_of(findings, "proxy", "failed")


async def test_a_proxy_that_is_missing_is_not_bypassed(vendor: ScriptedVendor) -> None:
    """It is not passed by."""
    (closed,) = free_ports(1)
    findings = await of_vendor(vendor.url, vendor_proxy=_proxy(closed))
    assert "connection refused: compare GATEWAY_VENDOR_PROXY" in text_of(findings, "proxy", "failed")
    assert vendor.asked == []


# TLS.


def _context(folder: Path, authority: Authority, name: str = "localhost", days: float = 30) -> ssl.SSLContext:
    issued = authority.issue(DNS(name), days=days)
    replace(folder / "server.pem", issued.certificate)
    replace(folder / "server.key", issued.key)
    replace(folder / "ca.pem", authority.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return context


async def test_tls_that_is_well_shows_the_certificate(tmp_path: Path) -> None:
    """Whose it is, who has issued it, and how many days are left."""
    async with ScriptedVendor(_context(tmp_path, Authority())) as vendor:
        vendor.answer("result", send(failed("NOT_FOUND"), 404))
        text = text_of(await of_vendor(vendor.url, vendor_ca=tmp_path / "ca.pem"), "tls", "ok")
    assert "TLSv1.3, certificate of localhost, issued by CN=Tests" in text
    assert "29 days left" in text


@pytest.mark.parametrize(
    ("name", "days", "trusted", "check", "advice"),
    [
        pytest.param("localhost", -1, True, "certificate has expired (10)", "renew", id="expired"),
        pytest.param("other.example", 1, True, "Hostname mismatch", "GATEWAY_VENDOR_URL", id="another-name"),
        pytest.param("localhost", 1, False, "unable to get local issuer", "GATEWAY_VENDOR_CA", id="unknown-ca"),
    ],
)
async def test_a_failed_check_of_tls_is_named_with_its_certificate(
    tmp_path: Path, name: str, days: float, trusted: bool, check: str, advice: str
) -> None:
    """Which check it was, in OpenSSL's words, for which certificate, and what to do; nothing is sent."""
    async with ScriptedVendor(_context(tmp_path, Authority(), name, days)) as vendor:
        if not trusted:
            replace(tmp_path / "ca.pem", Authority().pem)
        text = text_of(await of_vendor(vendor.url, vendor_ca=tmp_path / "ca.pem"), "tls", "failed")
        assert vendor.asked == []
    assert check in text
    assert f"; certificate of {name}, issued by CN=Tests" in text
    assert advice in text


async def test_a_server_that_does_not_speak_tls_fails_its_check(vendor: ScriptedVendor) -> None:
    """A wrong port, as a rule."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        findings = await of_vendor(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert "WRONG_VERSION_NUMBER: the other side does not speak TLS" in text_of(findings, "tls", "failed")


@pytest.mark.parametrize(
    ("alert", "advice"),
    [
        pytest.param(70, "PROTOCOL_VERSION: no common version", id="protocol-version"),
        pytest.param(40, "HANDSHAKE_FAILURE: the two have no cipher in common", id="handshake-failure"),
        pytest.param(112, "UNRECOGNIZED_NAME: the vendor's server does not know this name", id="unrecognized-name"),
        pytest.param(42, "BAD_CERTIFICATE: the vendor wants another client certificate", id="bad-certificate"),
        pytest.param(48, "UNKNOWN_CA: the vendor wants another client certificate", id="unknown-ca"),
        pytest.param(80, "INTERNAL_ERROR: see docs/vendor-connection.md", id="internal-error"),
    ],
)
async def test_an_alert_of_the_vendors_has_advice_of_its_own(alert: int, advice: str) -> None:
    """Not each is about our certificate."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(bytes((21, 3, 3, 0, 2, 2, alert)))  # RFC 8446, 6: fatal
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        findings = await of_vendor(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert advice in text_of(findings, "tls", "failed")


@pytest.mark.parametrize(
    ("version", "check"),
    [
        pytest.param(ssl.TLSVersion.TLSv1_2, "tls", id="in-the-handshake"),
        pytest.param(ssl.TLSVersion.TLSv1_3, "token", id="after-it"),
    ],
)
async def test_a_missing_client_certificate_is_named(tmp_path: Path, version: ssl.TLSVersion, check: str) -> None:
    """TLS 1.2 refuses in the handshake; 1.3 when the first request is on its way."""
    context = _context(tmp_path, Authority())
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = version
    with handshakes(context) as url:
        text = text_of(await of_vendor(url, vendor_ca=tmp_path / "ca.pem"), check, "failed")
    assert "ALERT" in text
    assert "compare GATEWAY_VENDOR_CERTIFICATE" in text


async def test_a_tunnel_that_ends_before_tls_does_not_advise_a_proxy(vendor: ScriptedVendor) -> None:
    """Whoever has a proxy set is not asked to set one."""
    async with answering(raw(b"HTTP/1.1 200 OK\r\n\r\n", close=True)) as port:
        text = text_of(
            await of_vendor(vendor.url.replace("http:", "https:"), vendor_proxy=_proxy(port)), "connection", "failed"
        )
    assert "the other side closed the connection: before TLS was agreed on, behind the proxy" in text
    assert "GATEWAY_VENDOR_CERTIFICATE" in text
    assert "is a proxy needed" not in text


async def test_a_vendor_that_only_ends_connections_may_refuse_a_certificate(vendor: ScriptedVendor) -> None:
    """So do some that refuse a client's certificate: the alert is lost when they close at once."""
    vendor.answer("token", hang_up())
    text = text_of(await of_vendor(vendor.url), "token", "failed")
    assert "no reply" in text
    assert "GATEWAY_VENDOR_CERTIFICATE" in text


async def test_broken_files_of_tls_skip_the_vendor(vendor: ScriptedVendor, tmp_path: Path) -> None:
    """The certificates' check says what is wrong with them."""
    (tmp_path / "ca.pem").write_text("no PEM")
    findings = await of_vendor(vendor.url, vendor_ca=tmp_path / "ca.pem")
    assert {finding.state for finding in findings} == {"skipped"}
    assert vendor.asked == []


# Token, clock, read.


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(send({}, 401), "HTTP 401: the vendor refuses the credentials", id="401"),
        pytest.param(
            send({"error": "invalid_client"}), "HTTP 200: the vendor refuses the credentials", id="error-at-200"
        ),
        pytest.param(send("", 404), "HTTP 404: compare GATEWAY_VENDOR_TOKEN_PATH", id="404"),
        pytest.param(send("", 415), "HTTP 415: compare GATEWAY_VENDOR_TOKEN_PATH", id="415"),
        pytest.param(send("", 302), "HTTP 302: a redirect", id="redirect"),
        pytest.param(send({"access_token": "a b"}), "HTTP 200 without a token that can be used", id="with-a-blank"),
        pytest.param(send("<html>"), "HTTP 200 without a token", id="page"),
        pytest.param(send("", 429), "HTTP 429: too many", id="429"),
        pytest.param(send("", 503), "HTTP 503: the token endpoint fails", id="503"),
        pytest.param(hang_up(), "no reply: ", id="hangs-up"),
        pytest.param(raw(b"SSH-2.0\r\n\r\n", close=True), "no reply: a reply that is not HTTP", id="no-http"),
    ],
)
async def test_a_token_that_is_not_issued_fails_and_skips_the_read(
    vendor: ScriptedVendor, answer: Answer, expected: str
) -> None:
    """The status and what to do; the read is skipped."""
    vendor.answer("token", answer)
    findings = await of_vendor(vendor.url)
    assert expected in text_of(findings, "token", "failed")
    assert text_of([each for each in findings if each.check == "read"], "read", "skipped") == "there is no token"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(-3600, "ahead of the vendor's", id="ahead"),
        pytest.param(3600, "behind the vendor's", id="behind"),
    ],
)
async def test_a_wrong_clock_is_shown_by_its_difference(vendor: ScriptedVendor, seconds: float, expected: str) -> None:
    """By how much it differs from the Date of the vendor's reply."""
    date = formatdate(time.time() + seconds, usegmt=True)
    vendor.answer("token", send({"access_token": TOKEN, "expires_in": 600}, date=date))
    assert expected in text_of(await of_vendor(vendor.url), "clock", "failed")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(send({"access_token": TOKEN}), id="none"),
        pytest.param(send({"access_token": TOKEN}, date="yesterday"), id="unreadable"),
        pytest.param(send({"access_token": TOKEN}, date="Fri, 27 Nov 99999999999 03:00:00 GMT"), id="no-such-year"),
    ],
)
async def test_a_reply_without_a_date_skips_the_clock(vendor: ScriptedVendor, answer: Answer) -> None:
    """There is nothing to compare with."""
    vendor.answer("token", answer)
    assert text_of(await of_vendor(vendor.url), "clock", "skipped") == "the vendor sent no Date"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(send({}, 401), "HTTP 401, VENDOR_REJECTED_CREDENTIALS: the vendor refuses the token", id="401"),
        pytest.param(send("<html>"), "HTTP 200, VENDOR_MALFORMED_RESPONSE: not the vendor's API", id="page"),
        pytest.param(send("<html>", 403), "HTTP 403, VENDOR_MALFORMED_RESPONSE", id="firewall"),
        pytest.param(send({}, 429), "HTTP 429, VENDOR_RATE_LIMITED: which caller calls more than usual", id="429"),
        pytest.param(send({}, 503), "HTTP 503, VENDOR_UNAVAILABLE: try again later", id="503"),
    ],
)
async def test_a_failed_read_has_its_status_reason_and_advice(
    vendor: ScriptedVendor, answer: Answer, expected: str
) -> None:
    """The status, the ErrorReason, and what to do."""
    vendor.answer("result", answer)
    assert expected in text_of(await of_vendor(vendor.url), "read", "failed")


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 500])
async def test_nothing_of_a_reply_is_printed(vendor: ScriptedVendor, status: int) -> None:
    """A vendor may repeat the secret and the token in what it answers."""
    answer = send({"error": {"code": SECRET, "message": TOKEN}}, status, location=f"/{TOKEN}", date=SECRET)
    for operation in ("result", "token"):
        vendor.answer(operation, answer)
        findings = await of_vendor(vendor.url)
        assert not [each for each in findings if SECRET in each.text or TOKEN in each.text]
