"""Attacks by hostile clients. Each returns a sentence about what it has done."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import grpc
from grpc_health.v1 import health_pb2

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from testkit import http2
from testkit.calls import CHANNEL, client_of, code_of, counted, health_watch, identifier
from testkit.http2_connection import SERVICE, Connection

from .fault_case import Form

Attack = Callable[[int, Form], Awaitable[str]]
"""From the port of the gateway and the form of the suite to what was done."""

_READ = SERVICE + "GetCallRequestResult"


async def _raw(port: int, sent: bytes, hold: float, piece: int = 1 << 16) -> None:
    """Connects, sends bytes, and holds the connection for so many seconds unless the server closes it."""
    with suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        with suppress(OSError):
            for at in range(0, len(sent), piece):
                writer.write(sent[at : at + piece])
                await writer.drain()
            await asyncio.sleep(hold)
        writer.transport.abort()


@asynccontextmanager
async def _connections(port: int, number: int) -> AsyncIterator[list[Connection]]:
    """So many connections, to send frames on that make no sense."""
    connections = [await Connection.to(port) for _ in range(number)]
    try:
        yield connections
    finally:
        for connection in connections:
            connection.transport.abort()


async def _bytes(port: int, form: Form) -> str:
    chance = random.Random(1)
    hello = http2.hello()
    kinds = (
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(500),  # how TLS begins
        chance.randbytes(100_000),
        hello + chance.randbytes(100_000),
        hello + http2.frame(http2.HEADERS, http2.END_HEADERS, 1, chance.randbytes(8000)),
        hello + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + bytes(100_000),  # a frame of 16 MB
    )
    number = form.of(300, 2000)
    await asyncio.gather(*(_raw(port, kinds[each % len(kinds)], 1) for each in range(number)))
    return f"{number} connections"


async def _continued(port: int, form: Form) -> str:
    """Each connection sends 1 MB of one header block that never ends, in continuations."""
    sent = http2.frame(http2.HEADERS, 0, 1, b"\x82") + http2.frame(9, 0, 1, b"\x00\x01a\x01b" * 3200) * 62
    number = form.of(20, 100)
    await asyncio.gather(*(_raw(port, http2.hello() + sent, 2) for _ in range(number)))
    return f"{number} connections"


async def _half_open(port: int, form: Form) -> str:
    halves = (
        b"",
        http2.PREFACE[:10],
        http2.hello(),
        http2.hello() + b"\x00\x10\x00\x01\x00\x00\x00\x00\x01" + b"x" * 9,
    )
    number = form.of(400, 2000)
    await asyncio.gather(*(_raw(port, halves[each % len(halves)], 3) for each in range(number)))
    return f"{number} connections"


async def _unending(port: int, form: Form) -> str:
    """More calls than MAX_READS are begun and never sent."""
    begun, headers = 0, http2.call_headers(_READ)
    async with _connections(port, 48) as connections:
        for connection in connections:
            for stream in range(1, 2 * min(connection.limit, 1536 - begun), 2):
                connection.transport.write(http2.frame(http2.HEADERS, http2.END_HEADERS, stream, headers))
                begun += 1
        await asyncio.sleep(form.of(3, 10))
    return f"{begun} streams"


async def _resets(port: int, form: Form) -> str:
    headers, message = http2.call_headers(_READ), GetCallRequestResultRequest(call_request_id=identifier("reset", 0))
    content, sent = message.SerializeToString(), 0

    async def some() -> None:
        nonlocal sent
        while sent < 20_000:
            with suppress(OSError, TimeoutError):
                connection = await Connection.to(port)
                for first in range(1, 2_000, 100):  # then a new connection: the server may have closed this one
                    streams = range(first, first + 100, 2)
                    both = (http2.call(stream, headers, content) + http2.reset(stream) for stream in streams)
                    connection.transport.write(b"".join(both))
                    sent += len(streams)
                    await asyncio.sleep(0.005)
                    if connection.closed:
                        break
                connection.transport.abort()

    await asyncio.gather(*(some() for _ in range(4)))
    return f"{sent} resets"


async def _pings(port: int, form: Form) -> str:
    pings, until, sent = http2.frame(http2.PING, payload=b"faults!!") * 200, time.monotonic() + form.of(3, 10), 0

    async def some() -> None:
        nonlocal sent
        while time.monotonic() < until:
            with suppress(OSError, TimeoutError):
                connection = await Connection.to(port)
                while not connection.closed and time.monotonic() < until:
                    connection.transport.write(pings)
                    sent += 200
                    await asyncio.sleep(0.002)
                connection.transport.abort()

    await asyncio.gather(*(some() for _ in range(4)))
    return f"{sent} pings"


async def _messages(port: int, form: Form) -> str:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=CHANNEL) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(_READ)
        message = b"\x0a\x83\x80\xc0\x02" + b"a" * (5 << 20)
        codes = await asyncio.gather(*(code_of(call(message, timeout=10)) for _ in range(form.of(20, 200))))
    return _refused(codes)


async def _metadata(port: int, form: Form) -> str:
    more = (("x-much", "y" * (64 << 10)),)
    async with client_of(f"127.0.0.1:{port}") as client:
        request = GetCallRequestResultRequest(call_request_id=identifier("meta", 0))
        calls = (client.GetCallRequestResult(request, timeout=10, metadata=more) for _ in range(form.of(100, 1000)))
        codes = await asyncio.gather(*(code_of(call) for call in calls))
    return _refused(codes)


def _refused(codes: list[str]) -> str:
    if "OK" in codes:
        raise AssertionError(f"accepted: {counted(codes)}")
    return counted(codes)


async def _idle(port: int, form: Form) -> str:
    number = form.of(1000, 3000)
    await asyncio.gather(*(_raw(port, http2.hello(), 4) for _ in range(number)))
    return f"{number} connections"


async def _names(port: int, form: Form) -> str:
    """Each on a connection of its own, so that every server of the gateway gets some."""
    sent, number = http2.hello() + http2.call(1, http2.call_headers("/no/\udcff\udcfe"), b""), form.of(200, 2000)
    await asyncio.gather(*(_raw(port, sent, 1) for _ in range(number)))
    return f"{number} calls"


async def _watchers(port: int, form: Form) -> str:
    """They read not one byte; a watcher that reads receives its message all the same."""
    number, request = form.of(100, 1000), health_pb2.HealthCheckRequest(service=SERVICE.strip("/"))
    watch = http2.call(1, http2.call_headers("/grpc.health.v1.Health/Watch"), request.SerializeToString())
    stalled = asyncio.gather(*(_raw(port, http2.hello(window=0) + watch, 3) for _ in range(number)))
    await asyncio.sleep(1)
    async with health_watch(f"127.0.0.1:{port}") as watch:
        if (await asyncio.wait_for(watch.read(), 1)).status != health_pb2.HealthCheckResponse.SERVING:
            raise AssertionError("not serving")
    await stalled
    return f"{number} watchers"


ATTACKS: dict[str, tuple[str, Attack]] = {
    "raw-bytes": ("bytes that are no HTTP/2", _bytes),
    "continued": ("20 header blocks of 1 MB that never end", _continued),
    "half-open": ("connections that begin and never go on", _half_open),
    "unending": ("1 536 streams of headers that never end", _unending),
    "resets": ("20 000 rapid resets", _resets),
    "pings": ("floods of pings", _pings),
    "messages": ("messages of 5 MB", _messages),
    "metadata": ("metadata of 64 KB", _metadata),
    "names": ("calls of methods whose names are no text", _names),
    "watchers": ("watchers of health that do not read", _watchers),
    "idle": ("1 000 (long: 3 000) idle connections", _idle),
}
"""By the name of their row: the words for it, and the attack."""
