"""The operators' port: what others do, or leave undone, on their connections keeps nobody from it."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from server.observability.http_port import HttpPort
from server.settings import Address
from testkit.certificate_authority import DNS, Authority

MOST, SECONDS = 4, 0.3
REQUEST = b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n"


@asynccontextmanager
async def serving(connection_timeout: float, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A port with few connections; yields its number."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="well\n")

    async def read(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async def fail(request: web.Request) -> web.Response:
        raise KeyError("a guest's name")

    app = web.Application()
    app.router.add_get("/metrics", answer)
    app.router.add_get("/defect", fail)
    app.router.add_post("/read", read)
    http_port = HttpPort(app, MOST, connection_timeout)
    _, number = await http_port.start("GATEWAY_METRICS_LISTEN", Address(("127.0.0.1", 0)), tls=tls)
    yield number
    await http_port.aclose()


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with serving(SECONDS) as number:
        yield number


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context and a client's."""
    authority = Authority()
    authority.issue(DNS("localhost")).write(tmp_path / "certificate", tmp_path / "key")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    return server, ssl.create_default_context(cadata=authority.pem.decode())


async def exchange(port: int, sent: bytes, tls: ssl.SSLContext | None = None) -> bytes:
    """Sends that and returns all that comes until the connection ends."""
    name = "localhost" if tls else None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)
    writer.write(sent)
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("sent", "status"),
    [pytest.param(REQUEST, b"200", id="a page"), pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"404", id="none")],
)
async def test_a_connection_carries_one_request(port: int, sent: bytes, status: bytes) -> None:
    """It is closed with its response, so that none is kept that does nothing."""
    reply = await exchange(port, sent + REQUEST)
    assert reply.startswith(b"HTTP/1.1 " + status)
    assert reply.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in reply.lower()


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET /met", id="a part of the line"),
        pytest.param(b"GET /metrics HTTP/1.1\r\nHost: here\r\nA: ", id="a part of the head"),
        pytest.param(b"GET /metrics HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\nabc", id="a part of the body"),
    ],
)
async def test_a_request_that_does_not_become_whole_is_ended(port: int, sent: bytes) -> None:
    """After the bound, however it is cut off; not only when another one needs its place."""
    async with asyncio.timeout(20):
        await exchange(port, sent)


async def test_a_request_that_trickles_is_ended(port: int) -> None:
    """Bytes that come do not make the bound longer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def trickle() -> None:
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: here\r\nA: ")
        while True:
            writer.write(b"b")
            await asyncio.sleep(SECONDS / 10)

    trickling = asyncio.create_task(trickle())
    begun = time.monotonic()
    async with asyncio.timeout(20):
        with suppress(ConnectionResetError):
            while await reader.read(1):
                pass
    assert time.monotonic() - begun >= SECONDS / 2
    trickling.cancel()
    writer.close()


async def test_more_connections_than_the_bound_end_the_oldest() -> None:
    """Nobody is kept out by those who send nothing; the others of them stay until their time is over."""
    async with serving(3600) as port:
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MOST)]
        assert (await exchange(port, REQUEST)).endswith(b"well\n")
        async with asyncio.timeout(20):
            with suppress(ConnectionResetError):
                assert await idle[0][0].read() == b""
        assert not any(reader.at_eof() for reader, _ in idle[1:])
        for _, writer in idle:
            writer.close()


async def test_handshakes_that_do_not_become_whole_count_as_connections(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    """Their descriptors are bounded, too: with one more than the bound the oldest ends, and requests are answered."""
    server, client = tls
    async with serving(3600, server) as port:
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MOST)]
        for _ in range(3):
            assert (await exchange(port, REQUEST, client)).endswith(b"well\n")
        async with asyncio.timeout(20):
            with suppress(ConnectionResetError):
                assert await idle[0][0].read() == b""
        for _, writer in idle:
            writer.close()


@pytest.mark.parametrize(
    "sent",
    [pytest.param(b"", id="nothing"), pytest.param(b"\x16\x03\x01", id="a part"), pytest.param(REQUEST, id="HTTP")],
)
async def test_a_handshake_that_does_not_become_whole_is_ended(
    tls: tuple[ssl.SSLContext, ssl.SSLContext], sent: bytes
) -> None:
    """As a request is."""
    async with serving(SECONDS, tls[0]) as port, asyncio.timeout(20):
        await exchange(port, sent)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"\x16\x03\x01\x00\xff\r\n\r\n", b"400", id="TLS"),
        pytest.param(b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\na", b"400", id="a length below 0"),
        pytest.param(b"GET http://[:::: HTTP/1.1\r\nHost: x\r\n\r\n", b"400", id="no URL"),
        pytest.param(
            b"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", b"400", id="no chunk size"
        ),
        pytest.param(
            b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde",
            b"400",
            id="no gzip",
        ),
        pytest.param(b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc", b"", id="a cut body"),
    ],
)
async def test_what_strangers_send_is_no_line_of_the_log(
    port: int, sent: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Aiohttp would log a traceback for each, and answer some with 500."""
    with capture_logs() as lines:
        reply = await exchange(port, sent)
    assert not lines
    assert not caplog.records
    assert reply.split(b" ", 2)[1:2] == ([status] if status else [])


async def test_a_defect_is_logged_without_values(port: int) -> None:
    """The answer is a 500."""
    with capture_logs() as lines:
        assert b" 500 " in await exchange(port, b"GET /defect HTTP/1.1\r\nHost: x\r\n\r\n")
    (line,) = lines
    assert (line["event"], line["error"]) == ("unexpected", "KeyError")
    assert "guest" not in str(line)
