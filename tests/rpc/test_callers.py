"""Who may call: known by a certificate's name or by a token, from a file that may change while the server runs."""

import asyncio
import hashlib
import ipaddress
import json
import logging
import re
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from cryptography import x509
from google.protobuf.descriptor import MethodDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from callrequest.v1 import call_request_service_pb2 as pb
from callrequest.v1.call_request_service_pb2_grpc import (
    CallRequestServiceStub,
    add_CallRequestServiceServicer_to_server,
)
from server.app import Gateway
from server.observability.access_log import MAX_STRANGERS_LINES, AccessLog
from server.observability.metrics import Metrics
from server.reloading import FileWatcher
from server.rpc.callers import PERMISSION_BY_METHOD, Callers
from server.rpc.callers_file import read_rules
from server.rpc.interceptor import Interceptor
from server.settings import SettingsError
from testkit.certificate_authority import DNS, MAIL, URI, Authority, Pki, replace
from testkit.failure import Failure, failure
from testkit.gateway import metrics_of, started
from testkit.logs import log_to_stdout, silence_logs
from testkit.scripted_vendor import RESULT_ID, ScriptedVendor
from testkit.servicer import empty_response, servicer

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub

SERVICE = "callrequest.v1.CallRequestService"
GET = pb.GetCallRequestResultRequest(call_request_id=RESULT_ID)
WATCH = pb.WatchCallRequestResultRequest(call_request_id=RESULT_ID)
TOKEN, OTHER_TOKEN = "token-canary-Zk3~x+/9==", "token-canary-other"
NAME = "spiffe://example.com/desk"

Metadata = tuple[tuple[str, str | bytes], ...]


def digest(token: str) -> str:
    """What the file holds of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def table(name: str, identity: str, may: str = '["read", "cancel"]') -> str:
    """One caller of the file. identity: a line of it."""
    return f'[[caller]]\nname = "{name}"\n{identity}\nmay = {may}\n'


def by_token(name: str, token: str, may: str = '["read", "cancel"]') -> str:
    """One caller with a token."""
    return table(name, f'token_sha256 = "{digest(token)}"', may)


def write(file: Path, content: str | bytes) -> None:
    """Writes the file in its place."""
    file.write_bytes(content.encode() if isinstance(content, str) else content)


def bearer(token: str) -> Metadata:
    """What a caller with a token sends."""
    return (("authorization", f"Bearer {token}"),)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of callers: `desk` with a token and all permissions."""
    path = tmp_path / "callers.toml"
    path.write_text(by_token("desk", TOKEN))
    return path


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


@asynccontextmanager
async def plain(gateway: Gateway) -> AsyncIterator["CallRequestServiceAsyncStub"]:
    """A client without TLS."""
    async with grpc.aio.insecure_channel(str(gateway.address), (("grpc.use_local_subchannel_pool", 1),)) as channel:
        yield CallRequestServiceStub(channel)


def refused(got: Failure) -> bool:
    return (got.code, got.reason, got.text) == (
        "UNAUTHENTICATED",
        "CALLER_UNAUTHENTICATED",
        "The caller is not known.",
    )


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 3) -> None:
    """Waits for something to become true."""
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 (it is another program that makes it true)
            await asyncio.sleep(0.05)


def _answering(method: MethodDescriptor) -> Any:
    async def answer(request: Any, context: Any) -> Any:
        return empty_response(method)

    return answer


def _answering_for_ever(method: MethodDescriptor) -> Any:
    async def answer(request: Any, context: Any) -> Any:
        while True:
            yield empty_response(method)
            await asyncio.sleep(0.05)

    return answer


@asynccontextmanager
async def answering(file: Path) -> AsyncIterator[tuple[grpc.aio.Channel, Metrics]]:
    """A server that answers all methods, with one that the contract does not have, behind the real interceptor."""
    metrics = Metrics()
    callers = Callers(file, None)
    async with FileWatcher([callers.watched], metrics.files):
        server = grpc.aio.server()
        interceptor: Any = Interceptor(server, metrics.calls, AccessLog("info", None), callers)
        add_CallRequestServiceServicer_to_server(servicer(_answering, _answering_for_ever), interceptor)
        new = grpc.unary_unary_rpc_method_handler(_echo, _same, _same)
        interceptor.add_registered_method_handlers("some.New", {"Method": new})
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel, metrics
        await server.stop(None)


async def _echo(request: bytes, context: Any) -> bytes:
    return request


def _same(content: bytes) -> bytes:
    return content


KNOWN = {
    "a URI": (NAME, [URI(NAME)]),
    "a DNS name": ("desk.example.com", [DNS("desk.example.com")]),
    "a DNS name, in another case": ("Desk.example.com", [DNS("desk.EXAMPLE.com")]),
    "one of several": (NAME, [DNS("a.example"), URI("urn:a"), URI(NAME), MAIL("a@b.example")]),
}


@pytest.mark.parametrize(("known", "names"), [pytest.param(*case, id=name) for name, case in KNOWN.items()])
async def test_a_caller_is_known_by_a_name_in_its_certificate(
    vendor: ScriptedVendor, pki: Pki, file: Path, known: str, names: list[x509.GeneralName]
) -> None:
    """A URI or a DNS name among the subject alternative names, whichever others there are."""
    write(file, table("desk", f'certificate = "{known}"'))
    async with started(vendor.url, callers=file, **pki.settings()) as gateway:
        async with pki.connected(gateway, pki.authority.issue(*names)) as client:
            await client.GetCallRequestResult(GET)
        assert 'calls_by_caller_total{caller="desk",grpc_code="OK"' in await metrics_of(gateway)


NOT_KNOWN: dict[str, tuple[str, list[x509.GeneralName]]] = {
    "the common name": ("cn.example", []),
    "an e-mail": ("desk.example.com", [MAIL("a@desk.example.com"), URI("mailto:desk.example.com")]),
    "an IP address": ("10.0.0.1", [x509.IPAddress(ipaddress.ip_address("10.0.0.1"))]),
    "a URI that begins like it": (NAME, [URI(f"{NAME}/more")]),
    "a URI in another case": (NAME, [URI(NAME.replace("desk", "Desk"))]),
    "a wildcard of the file": ("*.example.com", [DNS("desk.example.com")]),
    "a wildcard of the certificate": ("desk.example.com", [DNS("*.example.com")]),
    "a DNS name that is spelt as the URI": ("urn:desk", [DNS("urn:desk")]),
    "a URI that goes on after a NUL": (NAME, [URI(f"{NAME}\0.evil.example")]),
    "a URI that ends with a NUL": (NAME, [URI(f"{NAME}\0")]),
    "a URI after a NUL": (NAME, [URI(f"spiffe://evil.example/\0{NAME}")]),
    "a DNS name that goes on after a NUL": ("desk.example.com", [DNS("desk.example.com\0.evil.example")]),
    "a DNS name that ends with a NUL": ("desk.example.com", [DNS("desk.example.com\0")]),
    "a NUL in another name": (NAME, [URI(NAME), DNS("a.example\0.evil.example")]),
    "a URI with a line break": (NAME, [URI(f"{NAME}\n")]),
    "a URI with a blank": (NAME, [URI(f" {NAME}")]),
    "a URI with a dot at its end": (NAME, [URI(f"{NAME}.")]),
    "a URI with a part escaped": (NAME, [URI(NAME.replace("desk", "d%65sk"))]),
    "a DNS name with a dot at its end": ("desk.example.com", [DNS("desk.example.com.")]),
    "a DNS name with a dot before it": ("desk.example.com", [DNS(".desk.example.com")]),
    "a DNS name with a blank": ("desk.example.com", [DNS("desk.example.com ")]),
    "the same name, IDNA-encoded": ("xn--dsk-0na.example.com", [DNS("desk.example.com")]),
    "an IP address as a DNS name": ("10.0.0.1", [x509.IPAddress(ipaddress.ip_address("10.0.0.1")), DNS("10.0.0.10")]),
    "an e-mail with a NUL": ("desk.example.com", [MAIL("desk.example.com\0@b.example")]),
    "a directory name": (NAME, [x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)]))]),
    "nobody's": (NAME, [DNS("desk.example.com")]),
}


@pytest.mark.parametrize(("known", "names"), [pytest.param(*case, id=name) for name, case in NOT_KNOWN.items()])
async def test_nothing_else_in_a_certificate_identifies_a_caller(
    vendor: ScriptedVendor, pki: Pki, file: Path, known: str, names: list[x509.GeneralName]
) -> None:
    """Names of another kind or that are only alike: UNAUTHENTICATED, though the certificate verifies."""
    write(file, table("desk", f'certificate = "{known}"'))
    async with (
        started(vendor.url, callers=file, **pki.settings()) as gateway,
        pki.connected(gateway, pki.authority.issue(*names)) as client,
    ):
        assert refused(await failure(client.GetCallRequestResult(GET)))
        assert vendor.asked == []


@pytest.mark.parametrize("with_file", [True, False], ids=["with a file", "without"])
async def test_a_certificate_that_does_not_verify_does_not_come_in(
    vendor: ScriptedVendor, pki: Pki, file: Path, with_file: bool
) -> None:
    """None, another CA's, an expired one: no connection, also with a good token. With a good one there is."""
    ours, theirs = pki.authority, Authority()
    callers = {"callers": file} if with_file else {}
    async with started(vendor.url, **callers, **pki.settings()) as gateway:
        for bad in (None, theirs.issue(URI(NAME)), ours.issue(URI(NAME), days=-1)):
            async with pki.connected(gateway, bad) as client:
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await client.GetCallRequestResult(GET, timeout=5, metadata=bearer(TOKEN))
                assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        assert vendor.asked == []
        async with pki.connected(gateway, ours.issue(URI(NAME))) as client:
            await client.GetCallRequestResult(GET, metadata=bearer(TOKEN))


async def test_a_certificate_decides_before_a_token(vendor: ScriptedVendor, pki: Pki, file: Path) -> None:
    """A known certificate is who calls, whatever token comes with it; one that is not known leaves it to the token."""
    write(file, table("desk", f'certificate = "{NAME}"', "[]") + by_token("other", TOKEN))
    async with started(vendor.url, callers=file, **pki.settings()) as gateway:
        async with pki.connected(gateway, pki.authority.issue(URI(NAME))) as client:
            assert (await failure(client.GetCallRequestResult(GET, metadata=bearer(TOKEN)))).code == "PERMISSION_DENIED"
        async with pki.connected(gateway, pki.authority.issue(URI("urn:host"))) as client:
            await client.GetCallRequestResult(GET, metadata=bearer(TOKEN))
            assert refused(await failure(client.GetCallRequestResult(GET)))


@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "plaintext on loopback"])
async def test_a_caller_is_known_by_its_token(vendor: ScriptedVendor, pki: Pki, file: Path, tls: bool) -> None:
    """The right token comes in, over TLS that asks for no certificate too."""
    secured = pki.settings(mutual=False) if tls else {}
    async with (
        started(vendor.url, callers=file, **secured) as gateway,
        pki.connected(gateway) if tls else plain(gateway) as client,
    ):
        for value in (f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER  {TOKEN}"):
            await client.GetCallRequestResult(GET, metadata=(("authorization", value),))


NO_TOKEN: dict[str, Metadata] = {
    "none": (),
    "a wrong one": bearer(OTHER_TOKEN),
    "a part of it": bearer(TOKEN[:-1]),
    "more than it": bearer(f"{TOKEN}="),
    "its hash": bearer(digest(TOKEN)),
    "an empty one": bearer(""),
    "an empty header": (("authorization", ""),),
    "no scheme": (("authorization", TOKEN),),
    "another scheme": (("authorization", f"Basic {TOKEN}"),),
    "no space": (("authorization", f"Bearer{TOKEN}"),),
    "another word after it": (("authorization", f"Bearer {TOKEN} x"),),
    "two headers, both right": bearer(TOKEN) * 2,
    "two headers, one right": bearer(TOKEN) + bearer(OTHER_TOKEN),
    "another header": (("x-authorization", f"Bearer {TOKEN}"),),
    "a binary header": (("authorization-bin", f"Bearer {TOKEN}".encode()),),
    "7 KB of it": bearer("a" * 7000),
}


@pytest.mark.parametrize("metadata", [pytest.param(metadata, id=name) for name, metadata in NO_TOKEN.items()])
async def test_without_the_right_token_nobody_comes_in(vendor: ScriptedVendor, file: Path, metadata: Metadata) -> None:
    """UNAUTHENTICATED, and the vendor sees nothing of it."""
    async with started(vendor.url, callers=file) as gateway, plain(gateway) as client:
        assert refused(await failure(client.GetCallRequestResult(GET, metadata=metadata)))
        assert vendor.asked == []


async def test_who_is_not_known_learns_nothing_of_the_request(file: Path) -> None:
    """Refused before a byte of the request is read: not even that it is malformed."""
    async with answering(file) as (channel, _):
        call: Any = channel.unary_unary(f"/{SERVICE}/GetCallRequestResult")
        assert refused(await failure(call(b"\xff\xff")))
        assert (await failure(call(b"\xff\xff", metadata=bearer(TOKEN)))).code == "INVALID_ARGUMENT"


def test_every_method_has_its_permission() -> None:
    """The table has a row for each method of the contract and no other."""
    assert set(PERMISSION_BY_METHOD) == set(pb.DESCRIPTOR.services_by_name["CallRequestService"].methods_by_name)


@pytest.mark.parametrize("may", ['["read"]', '["cancel"]', '["read", "cancel"]', "[]"])
async def test_a_caller_may_call_what_the_file_says(file: Path, may: str) -> None:
    """`read` is Get, Batch and Watch; cancel is Cancel; all else is PERMISSION_DENIED, under the caller's name."""
    write(file, by_token("desk", TOKEN, may))
    async with answering(file) as (channel, metrics):
        for method in pb.DESCRIPTOR.services_by_name["CallRequestService"].methods:
            path = f"/{SERVICE}/{method.name}"
            kind: Any = channel.unary_stream if method.server_streaming else channel.unary_unary
            call = _first(kind(path)(b"", metadata=bearer(TOKEN)))
            if f'"{"cancel" if method.name.startswith("Cancel") else "read"}"' in may:
                await call
            else:
                got = await failure(call)
                assert (got.code, got.reason) == ("PERMISSION_DENIED", "CALLER_FORBIDDEN")
                counted = f'caller="desk",grpc_code="PERMISSION_DENIED",grpc_method="{method.name}"'
                assert counted in metrics.exposition().decode()


async def _first(call: Any) -> Any:
    if isinstance(call, grpc.aio.UnaryStreamCall):
        async for message in call:
            return message
    return await call


async def test_a_method_without_a_row_is_closed_to_all(file: Path) -> None:
    """What is added later and forgotten in the table nobody may call."""
    async with answering(file) as (channel, _):
        got = await failure(channel.unary_unary("/some.New/Method")(b"", metadata=bearer(TOKEN)))  # type: ignore[arg-type]
        assert got.reason == "CALLER_FORBIDDEN"


async def test_health_and_reflection_stay_open(vendor: ScriptedVendor, file: Path) -> None:
    """Probes and tools have no identity; the contract and the health hold nobody's data."""
    async with (
        started(vendor.url, callers=file) as gateway,
        grpc.aio.insecure_channel(str(gateway.address)) as channel,
    ):
        health: Any = health_pb2_grpc.HealthStub(channel)
        assert (await health.Check(health_pb2.HealthCheckRequest(service=SERVICE))).status
        describe: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type]  # its types know no asyncio
        stream = describe.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        services = [each.name async for reply in stream for each in reply.list_services_response.service]
        assert SERVICE in services
        assert "calls_by_caller_total{" not in await metrics_of(gateway)


async def test_the_file_may_change_while_the_server_runs(vendor: ScriptedVendor, file: Path) -> None:
    """Allowed, refused, and allowed again, on one connection, within 3 s of each change."""
    async with started(vendor.url, callers=file) as gateway, plain(gateway) as client:

        async def comes_in() -> bool:
            code = await client.GetCallRequestResult(GET, metadata=bearer(TOKEN)).code()
            assert code in (grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED)
            return code == grpc.StatusCode.OK

        async def stays_out() -> bool:
            return not await comes_in()

        assert await comes_in()
        replace(file, by_token("desk", OTHER_TOKEN).encode())
        await until(stays_out)
        both = f'token_sha256 = ["{digest(OTHER_TOKEN)}", "{digest(TOKEN).upper()}"]'
        write(file, table("desk", both))  # written in its place, too
        await until(comes_in)
        await client.GetCallRequestResult(GET, metadata=bearer(OTHER_TOKEN))


async def test_a_watcher_that_is_struck_off_gets_nothing_more(file: Path) -> None:
    """A stream that is open ends at its next message, with the status of any other call."""
    async with answering(file) as (channel, _):
        stub: Any = CallRequestServiceStub(channel)
        stream = stub.WatchCallRequestResult(WATCH, metadata=bearer(TOKEN), timeout=8)
        messages = aiter(stream)
        await anext(messages)
        replace(file, by_token("desk", OTHER_TOKEN).encode())
        assert refused(await failure(_all(messages)))


async def _all(messages: AsyncIterator[Any]) -> None:
    async for _ in messages:
        pass


BROKEN: dict[str, tuple[str, str]] = {
    "empty": ("", "must hold"),
    "only a comment": ("# desk\n", "must hold"),
    "no tables": ("caller = []", "must hold"),
    "callers that are one": ('[caller]\nname = "desk"', "must hold"),
    "something else": (by_token("desk", TOKEN) + '[other]\nx = "token-canary"', "must hold"),
    "no TOML": (by_token("desk", TOKEN) + "token-canary", "TOML"),
    "no TOML, in a line": ('\n\nname = "token-canary\nmay = 1', "line 3: is not TOML"),
    "a key twice": ('[[caller]]\n"token-canary" = 1\n"token-canary" = 2', "TOML"),
    "a key twice in a table": ('caller = [{"token-canary" = 1, "token-canary" = 2}]', "line 1: is not TOML"),
    "a number of 5000 digits": ("caller = " + "1" * 5000, "TOML"),
    "nested deeply": ("caller = " + "[" * 5000, "TOML"),
    "too large": ("#" * ((1 << 20) + 1), "1 MiB"),
    "no UTF-8": ("\n\ud800", "line 2: is not UTF-8"),
    "no table": ("caller = [1]", "caller 1: needs a name"),
    "no name": (table("", "").replace('name = ""\n', ""), "caller 1: needs a name"),
    "an empty name": (by_token("", TOKEN), "caller 1: needs a name"),
    "a name with a space": (by_token("token canary", TOKEN), "caller 1: needs a name"),
    "a name with a newline": (by_token("desk\\n", TOKEN), "caller 1: needs a name"),
    "a name of 65": (by_token("a" * 65, TOKEN), "caller 1: needs a name"),
    "a name of another script": (by_token("schalter-ü", TOKEN), "caller 1: needs a name"),
    "a name that is a number": ("[[caller]]\nname = 5", "caller 1: needs a name"),
    "the name of those who are not known": (by_token("unknown", TOKEN), "caller 1 (unknown): no caller"),
    "the name of those without a file": (by_token("anonymous", TOKEN), "caller 1 (anonymous): no caller"),
    "a name twice": (by_token("desk", TOKEN) + by_token("desk", OTHER_TOKEN), "caller 2 (desk): has the name"),
    "a token twice": (by_token("desk", TOKEN) + by_token("other", TOKEN), "caller 2 (other): has the"),
    "a certificate twice": (
        table("desk", 'certificate = "a.example"') + table("other", 'certificate = ["A.example"]'),
        "caller 2 (other): has the",
    ),
    "neither": (table("desk", ""), "caller 1 (desk): needs either"),
    "both": (by_token("desk", TOKEN).replace("may", 'certificate = "a"\nmay'), "caller 1 (desk): needs either"),
    "an unknown key": (by_token("desk", TOKEN) + 'token = "token-canary"', "caller 1 (desk): may only hold"),
    "an unknown permission": (by_token("desk", TOKEN, '["read", "token-canary"]'), "caller 1 (desk): may must"),
    "permissions in a text": (by_token("desk", TOKEN, '"read"'), "caller 1 (desk): may must"),
    "permissions nested": (by_token("desk", TOKEN, '[["read"]]'), "caller 1 (desk): may must"),
    "no permissions": (by_token("desk", TOKEN).replace("may", "# may"), "caller 1 (desk): may must"),
    "a token for its hash": (table("desk", f'token_sha256 = "{TOKEN}"'), "caller 1 (desk): token_sha256 must"),
    "a hash cut off": (table("desk", f'token_sha256 = "{digest(TOKEN)[:-1]}"'), "caller 1 (desk): token_sha256 must"),
    "a hash with a newline": (table("desk", f'token_sha256 = "{digest(TOKEN)}\\n"'), "token_sha256 must"),
    "a hash that is a number": (table("desk", "token_sha256 = 1"), "caller 1 (desk): token_sha256 must"),
    "no hashes": (table("desk", "token_sha256 = []"), "caller 1 (desk): token_sha256 must"),
    "an empty certificate": (table("desk", 'certificate = ""'), "caller 1 (desk): certificate must"),
    "a certificate's subject": (table("desk", 'certificate = "CN=desk, O=x"'), "caller 1 (desk): certificate must"),
    "a certificate and no CA": (table("desk", 'certificate = "a.example"'), "need GATEWAY_TLS_CLIENT_CA"),
}


@pytest.mark.parametrize(("content", "expected"), [pytest.param(*case, id=name) for name, case in BROKEN.items()])
async def test_a_broken_file_ends_the_start_and_later_changes_nothing(
    file: Path, content: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line at the start; an error in the log later, once, and the old rules. It repeats nothing of the file."""
    log_to_stdout("info")
    callers = Callers(file, None)
    watcher = FileWatcher([callers.watched], Metrics().files)
    write(file, content.encode(errors="surrogatepass"))
    with pytest.raises(SettingsError) as caught:
        Callers(file, None)
    await watcher.refresh()
    await watcher.refresh()
    assert callers.identify({}, bearer(TOKEN)).name == "desk"
    (line,) = caught.value.lines
    (logged,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (logged["level"], logged["settings"]) == ("error", "GATEWAY_CALLERS")
    assert line == f"GATEWAY_CALLERS: {logged['error']}"
    assert expected in line
    assert "canary" not in line
    assert digest(TOKEN)[:8] not in line
    assert len(line) < 200


async def test_a_missing_file_changes_nothing_and_is_logged(
    vendor: ScriptedVendor, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the running gateway, within 3 s, without a call; what comes back is read again."""
    log_to_stdout("info")
    async with started(vendor.url, callers=file) as gateway, plain(gateway) as client:
        await asyncio.to_thread(file.unlink)
        logged: list[dict[str, Any]] = []

        async def reported() -> bool:
            logged.extend(map(json.loads, capsys.readouterr().out.splitlines()))
            return bool(logged)

        await until(reported)
        assert [(line["level"], line["error"]) for line in logged] == [("error", "cannot be read")]
        await client.GetCallRequestResult(GET, metadata=bearer(TOKEN))
        logged.clear()
        write(file, by_token("desk", TOKEN))

        async def read_again() -> bool:
            await reported()
            return any(line["event"] == "callers read again" for line in logged)

        await until(read_again)


async def test_who_called_is_logged_and_counted_and_no_token_is(
    vendor: ScriptedVendor, file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """By name, `unknown` for all who are refused; 1000 wrong tokens leave no more series than one; no trace of any."""
    log_to_stdout("debug")
    logging.getLogger().setLevel(logging.DEBUG)  # the libraries', too
    write(file, by_token("desk", TOKEN, '["read"]'))
    seen: list[str] = []
    async with started(vendor.url, callers=file) as gateway, plain(gateway) as client:
        await client.GetCallRequestResult(GET, metadata=bearer(TOKEN))
        cancel = pb.CancelCallRequestRequest(call_request_id=RESULT_ID)
        seen.append(str(await failure(client.CancelCallRequest(cancel, metadata=bearer(TOKEN)))))
        seen.append(str(await failure(client.GetCallRequestResult(GET, metadata=bearer("token-canary-first")))))
        before = _series(await metrics_of(gateway))
        for batch in range(10):
            calls = [
                client.GetCallRequestResult(GET, metadata=bearer(f"token-canary-{batch}-{number}"))
                for number in range(100)
            ]
            seen += [str(await failure(call)) for call in calls]
        scraped = await metrics_of(gateway)
        assert _series(scraped) == before
        seen.append(scraped)
    for sample in (
        'calls_by_caller_total{caller="desk",grpc_code="OK",grpc_method="GetCallRequestResult"} 1.0',
        'calls_by_caller_total{caller="desk",grpc_code="PERMISSION_DENIED",grpc_method="CancelCallRequest"} 1.0',
        'calls_by_caller_total{caller="unknown",grpc_code="UNAUTHENTICATED",grpc_method="GetCallRequestResult"} 1001.0',
    ):
        assert sample in scraped
    written = capfd.readouterr()
    silence_logs()
    lines = [json.loads(line) for line in written.out.splitlines()]
    who = [line["caller"] for line in lines if line["event"] == "call"]
    assert who == ["desk"] * 2 + ["unknown"] * MAX_STRANGERS_LINES
    left = [line["not_logged"] for line in lines if "not_logged" in line]
    assert left == [{"UNAUTHENTICATED": 1001 - MAX_STRANGERS_LINES}], "a stranger fills no log, and is counted"
    for where in (written.out, written.err, repr(read_rules(file)), *seen):
        assert "canary" not in where
        assert digest(TOKEN)[:8] not in where


def _series(scraped: str) -> set[str]:
    return {line.rpartition(" ")[0] for line in scraped.splitlines() if not line.startswith("#")}


def test_the_page_for_operators_shows_a_good_file_and_makes_good_tokens(tmp_path: Path) -> None:
    """The example of docs/callers.md is read, and its command prints a token with the hash that the file wants."""
    page = (Path(__file__).parents[2] / "docs" / "callers.md").read_text()
    example, command = (re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)[0] for kind in ("toml", "sh"))
    (tmp_path / "callers.toml").write_text(example)
    assert [caller.name for caller in read_rules(tmp_path / "callers.toml").by_san.values()] == ["booking-desk"]
    printed = subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout.split()
    assert printed[1] == digest(printed[0])
    (tmp_path / "callers.toml").write_text(table("desk", f'token_sha256 = "{printed[1]}"'))
    assert Callers(tmp_path / "callers.toml", None).identify({}, bearer(printed[0])).name == "desk"


async def test_without_a_file_callers_are_anonymous(vendor: ScriptedVendor, pki: Pki) -> None:
    """Whoever can connect may call: with mutual TLS who has a certificate, whatever its names."""
    async with started(vendor.url, **pki.settings()) as gateway:
        async with pki.connected(gateway, pki.authority.issue(URI("urn:a"))) as client:
            await client.GetCallRequestResult(GET, metadata=bearer(TOKEN))
        assert 'calls_by_caller_total{caller="anonymous",grpc_code="OK"' in await metrics_of(gateway)
