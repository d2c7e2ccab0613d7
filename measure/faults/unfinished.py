"""Cases: requests that never become whole, and streams that their clients do not read."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from grpc_health.v1 import health_pb2

from testkit import http2
from testkit.calls import health_watch, identifier
from testkit.gateway_process import GatewayProcess, serving
from testkit.http2_connection import SERVICE, Connection
from testkit.stateful_vendor import Vendor
from testkit.unfinished_requests import ENDED, METHODS, OPEN, UNKNOWN, ends, send

from .fault_case import FaultCase, Findings, Form

_PROMISED = 30.0  # seconds in which every call ends
_LATE = 0.5


async def _unfinished(form: Form, findings: Findings) -> None:
    """Every shape to every method, 128 streams on a connection; who shares the connection is served after it."""
    async with Vendor() as vendor, serving(vendor.url) as gateway:
        sent, connections = [], []
        for frames in (*ENDED.values(), *OPEN.values()):
            connection = await Connection.to(gateway.port)
            connections.append(connection)
            number = connection.limit // len(METHODS) * len(METHODS)
            sent += [send(connection, METHODS[each % len(METHODS)], frames) for each in range(number)]
        ended = [each for each in await ends(sent, _PROMISED + _LATE) if each is not None]
        slowest = max(each.seconds for each in ended)
        findings.record(f"{len(ended)} of {len(sent)} ended", len(ended) == len(sent))
        findings.record(f"the last after {slowest:.1f} s", slowest <= _PROMISED)
        codes = [(await each.read(identifier("after", number), 5)).code for number, each in enumerate(connections)]
        findings.record(
            f"reads on the same connections: {codes.count(0)} of {len(codes)} OK", codes == [0] * len(codes)
        )
        for connection in connections:
            connection.transport.abort()
        scraped = await gateway.scrape()
        counted = sum(value for name, value in scraped.items() if name.startswith("grpc_server_handled_total"))
        findings.record(f"{counted - len(codes):.0f} counted", counted == len(sent) + len(codes))
        unknown = sum(method in UNKNOWN for method in METHODS) / len(METHODS) * len(sent)
        logged = sum(line.get("event") == "call" and line.get("method") == "unknown" for line in gateway.log())
        findings.record(f"{logged} of {unknown:.0f} unknown methods logged", logged == unknown)


@asynccontextmanager
async def _unread(gateway: GatewayProcess) -> AsyncIterator[None]:
    """Watchers of health and readers of results that take no byte of what is sent to them."""
    watch = health_pb2.HealthCheckRequest(service=SERVICE.strip("/")).SerializeToString()
    read = b"\x0a\x10" + identifier("unread", 0).encode()
    calls = (("/grpc.health.v1.Health/Watch", watch), (SERVICE + "GetCallRequestResult", read))
    writers = []
    for each in range(20):
        path, message = calls[each % 2]
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(http2.hello(window=0) + http2.call(1, http2.call_headers(path), message))
        writers.append(writer)
    yield
    for writer in writers:
        writer.transport.abort()


async def _sigterm(form: Form, findings: Findings) -> None:
    """All of it at once, and a client that watches the health and stays."""
    delay, grace = 0.5, 20.0
    async with (
        Vendor() as vendor,
        serving(vendor.url, DRAIN_DELAY=delay, GRACE=grace) as gateway,
        AsyncExitStack() as stack,
    ):
        watch = await stack.enter_async_context(health_watch(gateway.target))
        await watch.read()
        await stack.enter_async_context(_unread(gateway))
        for frames in OPEN.values():
            connection = await Connection.to(gateway.port)
            stack.callback(connection.transport.abort)
            for method in METHODS:
                send(connection, method, frames)
        await asyncio.sleep(0.5)
        signalled = time.monotonic()
        gateway.signal()
        code = await gateway.ended(grace + 5)
        took = time.monotonic() - signalled
        findings.record(f"exit code {code} after {took:.1f} s, GRACE {grace:.0f}", code == 0 and took < delay + 5)
        last = await watch.read()
        findings.record(f"last health: {last.status}", last.status == health_pb2.HealthCheckResponse.NOT_SERVING)


CASES = (
    FaultCase(
        "unfinished",
        "requests that never become whole: 10 kinds to every method, 120 streams a connection",
        "each ends within 30 s, counted and logged; their connections serve on",
        _unfinished,
        60,
    ),
    FaultCase(
        "sigterm-unfinished",
        "SIGTERM with such requests open, watchers of health that stay, readers that do not read",
        "exit within 5 s of the delay, GRACE 20",
        _sigterm,
        45,
    ),
)
