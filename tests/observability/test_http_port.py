"""The operators' port: what others do, or leave undone, on their connections keeps nobody from it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web

from server.observability.http_port import HttpPort
from server.settings import Address

MOST, SECONDS = 4, 0.3
REQUEST = b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n"


@asynccontextmanager
async def serving(connection_timeout: float) -> AsyncIterator[int]:
    """A port with few connections; yields its number."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="well\n")

    app = web.Application()
    app.router.add_get("/metrics", answer)
    http_port = HttpPort(app, MOST, connection_timeout)
    _, number = await http_port.start("GATEWAY_METRICS_LISTEN", Address(("127.0.0.1", 0)))
    yield number
    await http_port.aclose()


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with serving(SECONDS) as number:
        yield number


async def exchange(port: int, sent: bytes) -> bytes:
    """Sends that and returns all that comes until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
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
