"""The client of the vendor: tokens, what was sent and what was not, and what bounds an exchange."""

import asyncio
import socket
import ssl
from base64 import b64decode
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import grpc
import httpx
import pytest
import trustme
from pydantic import SecretStr

from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.call_request_service_pb2 import CancelCallRequestRequest, GetCallRequestResultRequest
from server import __version__
from server.app import Gateway
from server.deadline import Deadline
from server.errors import CATALOGUE, Delivery, GatewayError
from server.vendor_api.exchange import MAX_BYTES
from server.vendor_api.token import Token
from server.vendor_api.token_endpoint import Credentials
from server.vendor_api.transport import Http1Transport
from testkit.failure import failure, failure_at_deadline
from testkit.gateway import SECRET, connected, settings_for, started
from testkit.scripted_vendor import (
    RESULT_ID,
    TOKEN,
    Answer,
    ScriptedVendor,
    hang_up,
    later,
    never,
    pending,
    raw,
    reset,
    send,
)
from testkit.vendor_client import vendor_client

if TYPE_CHECKING:
    from pathlib import Path

    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub

GET = GetCallRequestResultRequest(call_request_id=RESULT_ID)
CANCEL = CancelCallRequestRequest(call_request_id=RESULT_ID)
DATES = "Sun, 06 Nov 1994 08:49:00 GMT", "Sun, 06 Nov 1994 08:49:40 GMT"


async def test_a_read_is_requested_as_documented(client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor) -> None:
    """GET of the documented path with a Bearer token, plain encoding, our version, an id, and nothing else."""
    await client.GetCallRequestResult(GET)
    (asked,) = vendor.requests("result")
    assert (asked.method, asked.path, asked.body) == ("GET", f"/api/v1/call-request/{RESULT_ID}/result", b"")
    assert asked.headers.pop("host").startswith("127.0.0.1:")
    assert asked.headers.pop("x-request-id")
    assert asked.headers == {
        "authorization": "Bearer token-1",
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": f"call-request-gateway/{__version__}",
    }


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_token_is_requested_as_documented(vendor: ScriptedVendor, method: str) -> None:
    """Client credentials in the query, with the method and at the path of the settings."""
    async with (
        started(vendor.url, vendor_token_method=method, vendor_token_path="/v2/token") as gateway,
        connected(gateway) as client,
    ):
        await client.GetCallRequestResult(GET)
    (asked,) = vendor.requests("token")
    assert (asked.method, asked.path) == (method, "/v2/token")
    assert asked.query == {"client_id": ["client"], "client_secret": [SECRET], "grant_type": ["client_credentials"]}


async def test_one_token_serves_all_calls_and_is_fetched_once(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """However many wait for the first token, one is fetched, and all of them get it."""
    vendor.answer("token", later(0.1, send(TOKEN)))
    await asyncio.gather(*(client.GetCallRequestResult(GET) for _ in range(50)))
    assert len(vendor.requests("token")) == 1
    assert len(vendor.requests("result")) == 50


async def test_when_all_tokens_are_revoked_one_new_one_is_fetched(gateway: Gateway, vendor: ScriptedVendor) -> None:
    """200 calls that all meet a 401 cause one fetch and get 200 answers."""
    vendor.answer("token", send(TOKEN), later(0.05, send(TOKEN | {"access_token": "token-2"})))
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(gateway)) for _ in range(4)]
        await clients[0].GetCallRequestResult(GET)
        vendor.answer("result", _only_with("token-2", vendor))
        await asyncio.gather(*(clients[number % 4].GetCallRequestResult(GET) for number in range(200)))
    assert len(vendor.requests("token")) == 2


async def test_a_late_401_does_not_take_the_new_token_along(gateway: Gateway, vendor: ScriptedVendor) -> None:
    """A refusal of the old token that comes when the new one is there causes no second fetch."""
    vendor.answer("token", send(TOKEN), send(TOKEN | {"access_token": "token-2"}))
    vendor.answer("result", later(0.4, send("", 401)), send("", 401), send(pending()))
    async with connected(gateway) as client:
        late = asyncio.ensure_future(client.GetCallRequestResult(GET))
        await vendor.until(lambda: vendor.requests("result"))
        await client.GetCallRequestResult(GET)
        await late
    assert len(vendor.requests("token")) == 2
    sent = [asked.headers["authorization"].removeprefix("Bearer ") for asked in vendor.requests("result")]
    assert sent == ["token-1", "token-1", "token-2", "token-2"]


def _only_with(token: str, vendor: ScriptedVendor) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        right = vendor.asked_on(writer).headers["authorization"] == f"Bearer {token}"
        await (send(pending()) if right else send("", 401))(writer)

    return answer


WAITS = [
    pytest.param({"retry_after": "40"}, id="seconds"),
    pytest.param({"retry_after": DATES[1], "date": DATES[0]}, id="date"),
]


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("status", [429, 503])
async def test_a_retry_after_reaches_callers(status: int, wait: dict[str, str], vendor: ScriptedVendor) -> None:
    """A date, too, by the vendor's clock."""
    vendor.answer("result", send("", status, **wait))
    async with started(vendor.url) as gateway, connected(gateway) as client:
        assert (await failure(client.GetCallRequestResult(GET))).retry == 40


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("status", [429, 503])
async def test_a_retry_after_of_the_token_endpoint_reaches_callers(
    status: int, wait: dict[str, str], vendor: ScriptedVendor
) -> None:
    """Its failure is the vendor's, with what is left of the wait; no other call requests a token meanwhile."""
    vendor.answer("token", send("", status, **wait))
    async with started(vendor.url) as gateway, connected(gateway) as client:
        for _ in range(3):
            failed = await failure(client.GetCallRequestResult(GET))
            assert (failed.code, failed.reason) == ("UNAVAILABLE", "VENDOR_UNAVAILABLE")
            assert failed.retry is not None
            assert 20 < failed.retry <= 40
    assert len(vendor.requests("token")) == 1


async def test_a_caller_that_leaves_does_not_take_the_token_fetch_along(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """The first caller's deadline ends its wait, not the fetch that the second waits for."""
    vendor.answer("token", later(1.5, send(TOKEN)))
    first = asyncio.ensure_future(client.GetCallRequestResult(GET, timeout=0.2))
    second = asyncio.ensure_future(client.GetCallRequestResult(GET, timeout=20))
    with pytest.raises(grpc.aio.AioRpcError) as left:
        await first
    assert left.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await second
    assert len(vendor.requests("token")) == 1


async def test_a_token_fetch_whose_connection_breaks_is_tried_once_more(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """A kept-alive connection that went stale must not fail the calls that wait for a token."""
    vendor.answer("token", reset(), send(TOKEN))
    await client.GetCallRequestResult(GET)
    assert len(vendor.requests("token")) == 2


async def test_a_read_that_gets_a_401_is_sent_again_with_a_new_token(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """An expired token is the gateway's business, not the caller's."""
    vendor.answer("token", send(TOKEN), send(TOKEN | {"access_token": "token-2"}))
    vendor.answer("result", send("", 401), send(pending()))
    await client.GetCallRequestResult(GET)
    assert [asked.headers["authorization"] for asked in vendor.requests("result")] == [
        "Bearer token-1",
        "Bearer token-2",
    ]


async def test_a_caller_that_leaves_ends_the_vendors_call(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """When a caller cancels, the connection to the vendor is closed: nobody waits for that answer."""
    vendor.answer("result", never())
    call = client.GetCallRequestResult(GET)
    await vendor.until(lambda: vendor.requests("result"))
    call.cancel()
    await vendor.until(lambda: vendor.left)


async def test_without_a_deadline_a_call_ends_after_ten_seconds(vendor: ScriptedVendor) -> None:
    """A caller that sets no deadline is answered after 10 s all the same."""
    vendor.answer("result", never())
    async with started(vendor.url, vendor_timeout=30.0) as gateway, connected(gateway) as client:
        begun = asyncio.get_running_loop().time()
        got = await failure(client.GetCallRequestResult(GET))
        took = asyncio.get_running_loop().time() - begun
    assert got.reason == "DEADLINE_EXCEEDED"
    assert 9.5 < took < 10.5


@pytest.mark.parametrize("answer", [pytest.param(hang_up(), id="hangs up"), pytest.param(reset(), id="resets")])
async def test_a_request_is_sent_once_even_when_a_kept_connection_breaks(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor, answer: Answer
) -> None:
    """No layer below repeats a request by itself: what is repeated is decided, and counted, here."""
    await client.GetCallRequestResult(GET)
    vendor.answer("result", answer)
    vendor.answer("cancel", answer)
    assert (await failure(client.GetCallRequestResult(GET))).reason == "VENDOR_UNAVAILABLE"
    assert len(vendor.requests("result")) == 2 + CATALOGUE[reasons.ERROR_REASON_VENDOR_UNAVAILABLE].retries

    def cancel() -> Awaitable[Any]:
        vendor.asked.clear()
        return client.CancelCallRequest(CANCEL, timeout=1)

    assert (await failure_at_deadline(cancel)).reason == "CANCELLATION_OUTCOME_UNKNOWN"
    assert len(vendor.requests("cancel")) == 1


async def test_no_cookie_is_kept_and_no_redirect_followed(vendor: ScriptedVendor) -> None:
    """What a reply sets or points to has no effect on later requests."""
    vendor.answer("result", send(pending(), set_cookie="a=b; Path=/"), send("", 307, location="/other"))
    # By name: a cookie jar would keep none of an address.
    async with started(vendor.url.replace("127.0.0.1", "localhost")) as gateway, connected(gateway) as client:
        await client.GetCallRequestResult(GET)
        await failure(client.GetCallRequestResult(GET))
    assert "cookie" not in vendor.requests("result")[1].headers
    assert vendor.requests("other") == []


async def test_proxies_of_the_environment_are_not_used(vendor: ScriptedVendor, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY and its like do not send tokens elsewhere."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with started(vendor.url) as gateway, connected(gateway) as client:
        await client.GetCallRequestResult(GET)
    assert len(vendor.requests("result")) == 1


async def test_after_calls_that_ran_out_of_time_connections_are_free(vendor: ScriptedVendor) -> None:
    """Deadlines that end calls, waiting ones included, use up no connection."""
    async with started(vendor.url, vendor_max_connections=4) as gateway, connected(gateway) as client:
        await client.GetCallRequestResult(GET)
        vendor.answer("result", later(0.3, send(pending())))
        calls = (client.GetCallRequestResult(GET, timeout=0.1 + index % 7 / 40) for index in range(200))
        await asyncio.gather(*calls, return_exceptions=True)
        vendor.answer("result", send(pending()))
        for _ in range(20):
            await client.GetCallRequestResult(GET, timeout=20)


async def test_with_no_connection_free_nothing_was_sent(vendor: ScriptedVendor) -> None:
    """A cancel that waits for a connection in vain leaves no doubt."""
    vendor.answer("cancel", never())
    async with Http1Transport(vendor.url, ssl.create_default_context(), 1, MAX_BYTES) as transport:
        client = vendor_client(transport, vendor.url)
        hung = asyncio.create_task(client.cancel(RESULT_ID, Deadline.after(5)))
        await vendor.until(lambda: vendor.requests("cancel"))
        with pytest.raises(GatewayError) as caught:
            await client.cancel(RESULT_ID, Deadline.after(0.4))
        assert caught.value.delivery is Delivery.NOT_SENT
        assert len(vendor.requests("cancel")) == 1
        hung.cancel()
        await asyncio.wait({hung})


async def test_reads_that_hang_take_no_connection_from_cancels(vendor: ScriptedVendor) -> None:
    """However many reads wait for a vendor that does not answer: cancels and tokens have their own connections."""
    vendor.answer("result", never())
    async with started(vendor.url, vendor_max_connections=2) as gateway, connected(gateway) as client:
        reads = [asyncio.ensure_future(client.GetCallRequestResult(GET, timeout=30)) for _ in range(5)]
        await vendor.until(lambda: len(vendor.requests("result")) == 2)
        await client.CancelCallRequest(CANCEL, timeout=20)
        for read in reads:
            read.cancel()


async def test_a_connection_that_takes_all_the_time_leaves_no_doubt() -> None:
    """A vendor that never accepts: the cancel was not sent, and its failure shows that."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(3)]  # they fill the queue, so that no more are accepted
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        async with started(f"http://127.0.0.1:{address[1]}") as gateway, connected(gateway) as client:
            got = await failure_at_deadline(lambda: client.CancelCallRequest(CANCEL, timeout=0.6))
        for each in waiting:
            each.close()
    assert got.reason == "DEADLINE_EXCEEDED"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def _tls(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context


async def test_the_vendors_certificate_is_verified(authority: trustme.CA, tmp_path: "Path") -> None:
    """Https needs a certificate of a known CA for the vendor's name; a private CA is a setting."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with ScriptedVendor(_tls(authority, "localhost")) as right, ScriptedVendor(_tls(authority, "other")) as wrong:
        for url, ca, good in (
            (right.url, tmp_path / "ca.pem", True),
            (right.url, None, False),
            (wrong.url, tmp_path / "ca.pem", False),
        ):
            async with started(url, vendor_ca=ca) as gateway, connected(gateway) as client:
                if good:
                    await client.GetCallRequestResult(GET)
                else:
                    assert (await failure(client.GetCallRequestResult(GET))).reason == "VENDOR_UNAVAILABLE"
                    assert (await failure(client.CancelCallRequest(CANCEL))).reason == "VENDOR_UNAVAILABLE"
        assert wrong.asked == []


async def test_the_transports_errors_distinguish_what_was_not_sent(vendor: ScriptedVendor) -> None:
    """ConnectError and ConnectTimeout mean that nothing was sent; every other error that it may have arrived."""
    vendor.answer("result", hang_up(), reset(), raw(b"garbage\r\n\r\n", close=True))
    url = f"{vendor.url}/api/v1/call-request/{RESULT_ID}/result"
    async with Http1Transport(url, ssl.create_default_context(), 10, 1 << 20) as transport:
        for expected in (httpx.ReadError, httpx.ReadError, httpx.RemoteProtocolError):
            with pytest.raises(expected):
                await transport.handle_async_request(httpx.Request("GET", url))
    for origin in ("http://127.0.0.1:9/", "http://no-such-host.invalid/"):
        async with Http1Transport(origin, ssl.create_default_context(), 10, 1 << 20) as transport:
            with pytest.raises(httpx.ConnectError):
                await transport.handle_async_request(httpx.Request("GET", origin))
    assert len(vendor.asked) == 3


def test_secrets_show_in_no_repr() -> None:
    """Neither credentials, nor tokens, nor settings show a secret when they are printed."""
    shown = [
        repr(Credentials("id", SECRET)),
        repr(Token("token-1", 1, 0)),
        repr(settings_for("https://vendor.example")),
        str(settings_for("https://vendor.example").model_dump()),
    ]
    assert not any(SECRET in text or "token-1" in text for text in shown)


async def test_a_connection_that_was_idle_for_long_is_not_used_again(vendor: ScriptedVendor) -> None:
    """A firewall may have dropped it: a cancel that is sent on it would be in doubt."""
    url = f"{vendor.url}/api/v1/call-request/{RESULT_ID}/result"
    async with Http1Transport(url, ssl.create_default_context(), 10, 1 << 20, keep_idle=0.1) as transport:
        for pause in (0, 0.3, 0):
            await transport.handle_async_request(httpx.Request("GET", url))
            await asyncio.sleep(pause)
    assert vendor.connections == 2


class _Recording(httpx.AsyncBaseTransport):
    """Answers a token and pending results; keeps the targets that were asked for."""

    def __init__(self) -> None:
        self.targets: list[bytes] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        target = request.extensions.get("target") or request.url.raw_path
        self.targets.append(target)
        return httpx.Response(200, json=pending() if b"result" in target else TOKEN)


@pytest.mark.parametrize("path", ["/a%20b", "/100%25", "/a/"])
async def test_the_vendors_address_may_have_a_path(path: str) -> None:
    """With whatever a path may hold: it goes before the vendor's own."""
    transport = _Recording()
    client = vendor_client(transport, f"https://vendor.example{path}")
    await client.read_result(RESULT_ID, Deadline.after(5))
    assert transport.targets[-1].decode() == f"{path.rstrip('/')}/api/v1/call-request/{RESULT_ID}/result"


async def test_the_read_after_a_refused_token_keeps_to_the_rate_limit(vendor: ScriptedVendor) -> None:
    """A token revoked does not double what the vendor gets."""
    async with started(vendor.url, vendor_max_calls_per_second=2.0) as gateway, connected(gateway) as client:
        vendor.answer("result", send("", 401), send(pending()))
        begun = asyncio.get_running_loop().time()
        await client.GetCallRequestResult(GET)
        await client.GetCallRequestResult(GET)
        assert asyncio.get_running_loop().time() - begun > 0.3


async def test_an_id_that_is_refused_with_any_token_harms_no_other(vendor: ScriptedVendor) -> None:
    """40 polls of it cost one token and a request each; the other ids are all answered."""
    other = GetCallRequestResultRequest(call_request_id="other".ljust(16, "0"))

    async def answer(writer: asyncio.StreamWriter) -> None:
        refused = RESULT_ID in vendor.asked_on(writer).path
        await (send("", 401) if refused else send(pending(other.call_request_id)))(writer)

    vendor.answer("result", answer)
    vendor.answer("token", *(send(TOKEN | {"access_token": f"token-{number}"}) for number in range(100)))
    async with started(vendor.url) as gateway, connected(gateway) as client:
        for _ in range(40):
            refused, _ = await asyncio.gather(
                failure(client.GetCallRequestResult(GET)), client.GetCallRequestResult(other)
            )
            assert (refused.code, refused.reason) == ("INTERNAL", "VENDOR_REJECTED_CREDENTIALS")
    assert len(vendor.requests("token")) <= 3
    refusals = [asked for asked in vendor.requests("result") if RESULT_ID in asked.path]
    assert len(refusals) <= 42


async def test_a_cancel_that_is_refused_with_any_token_is_sent_no_third_time(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """Once more with a new token; not at all when no other token may help."""
    vendor.answer("cancel", send("", 401))
    vendor.answer("token", *(send(TOKEN | {"access_token": f"token-{number}"}) for number in range(100)))
    for expected in (2, 3, 4):
        got = await failure(client.CancelCallRequest(CANCEL, timeout=5))
        assert got.reason == "VENDOR_REJECTED_CREDENTIALS"
        assert len(vendor.requests("cancel")) == expected
    assert len(vendor.requests("token")) == 2
    assert [asked.headers["authorization"] for asked in vendor.requests("cancel")][:2] == [
        "Bearer token-0",
        "Bearer token-1",
    ]


@pytest.mark.parametrize(
    ("auth", "method"), [("query", "POST"), ("query", "GET"), ("body", "POST"), ("basic", "POST"), ("basic", "GET")]
)
async def test_credentials_stand_where_the_setting_says(vendor: ScriptedVendor, auth: str, method: str) -> None:
    """In the query, in a form, or in the Authorization header; nowhere else, and encoded as RFC 6749 requires."""
    login = {"client_id": ["a:b c+ä"], "client_secret": ["%&=ü /"]}
    async with (
        started(
            vendor.url,
            vendor_token_auth=auth,
            vendor_token_method=method,
            vendor_client_id=login["client_id"][0],
            vendor_client_secret=SecretStr(login["client_secret"][0]),
        ) as gateway,
        connected(gateway) as client,
    ):
        await client.GetCallRequestResult(GET)
    (asked,) = vendor.requests("token")
    assert asked.method == method
    assert asked.headers["user-agent"] == f"call-request-gateway/{__version__}"
    form = parse_qs(asked.body.decode())
    if form:
        assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    grant = {"grant_type": ["client_credentials"]}
    if auth == "query":
        assert (asked.query, form) == (login | grant, {})
    elif auth == "body":
        assert (asked.query, form) == ({}, login | grant)
    else:
        assert (asked.query, form) == (({}, grant) if method == "POST" else (grant, {}))
        scheme, _, value = asked.headers["authorization"].partition(" ")
        assert (scheme, b64decode(value)) == ("Basic", b"a%3Ab+c%2B%C3%A4:%25%26%3D%C3%BC+%2F")
    assert ("authorization" in asked.headers) == (auth == "basic")


async def test_tokens_may_come_from_another_host(vendor: ScriptedVendor) -> None:
    """By a whole address of its own; nothing else is sent there."""
    async with (
        ScriptedVendor() as authority,
        started(vendor.url, vendor_token_url=f"{authority.url}/oauth/token") as gateway,
        connected(gateway) as client,
    ):
        await client.GetCallRequestResult(GET)
        assert [asked.path for asked in authority.asked] == ["/oauth/token"]
        assert vendor.requests("token") == []
