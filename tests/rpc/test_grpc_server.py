"""The server: its port, how it takes in calls, and its end."""

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from callrequest.v1 import call_request_service_pb2 as pb
from callrequest.v1.call_request_service_pb2_grpc import (
    CallRequestServiceStub,
    add_CallRequestServiceServicer_to_server,
)
from server.observability.access_log import AccessLog
from server.observability.metrics import Metrics
from server.process.port import reserved_port
from server.rpc.aio_server import INTAKES
from server.rpc.grpc_server import GrpcServer
from server.rpc.interceptor import Interceptor
from server.settings import Address, SettingsError
from testkit.http2_connection import connected
from testkit.scripted_vendor import RESULT_ID
from testkit.servicer import servicer

GET = pb.GetCallRequestResultRequest(call_request_id=RESULT_ID)
OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)


async def _slow(request: Any, context: Any) -> Any:
    await asyncio.sleep(0.5)
    return pb.GetCallRequestResultResponse()


def _has_ipv6() -> bool:
    with suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


with_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")


def listeners(port: int) -> int:
    """How many sockets listen on a port (Linux)."""
    rows = [line.split() for family in ("tcp", "tcp6") for line in Path(f"/proc/net/{family}").read_text().splitlines()]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


@asynccontextmanager
async def started(address: Address, answer: Any = _slow) -> AsyncIterator[tuple[GrpcServer, Address]]:
    """A server whose methods are all `answer`, and where it listens."""
    server = GrpcServer(())
    interceptor: Any = Interceptor(server, Metrics().calls, AccessLog("error", None))
    add_CallRequestServiceServicer_to_server(servicer(lambda method: answer, lambda method: answer), interceptor)
    try:
        listens = server.listen(address, None)
        await server.start()
        yield server, listens
    finally:
        await server.stop(None)


async def test_the_end_waits_for_the_calls_of_all_connections() -> None:
    """Calls in progress finish before the end, whatever their connection, and no call begins after it."""
    async with started(Address(("127.0.0.1", 0))) as (server, (host, port)):
        channels = [grpc.aio.insecure_channel(f"{host}:{port}", options=OWN_CONNECTION) for _ in range(32)]
        await asyncio.gather(*(channel.channel_ready() for channel in channels))
        clients = [CallRequestServiceStub(channel) for channel in channels]
        calls = [asyncio.ensure_future(client.GetCallRequestResult(GET)) for client in clients]
        await asyncio.sleep(0.2)
        await server.stop(5)
        assert await asyncio.gather(*calls) == [pb.GetCallRequestResultResponse()] * len(channels)
        assert listeners(port) == 0
        with pytest.raises(grpc.aio.AioRpcError):
            await clients[0].GetCallRequestResult(GET, timeout=1)
        for channel in channels:
            await channel.close()


async def test_calls_of_one_connection_are_taken_in_together() -> None:
    """INTAKES of them in a turn of the event loop, if so many wait."""
    loop, begun = asyncio.get_running_loop(), Counter[int]()
    turn = 0

    def count_turns() -> None:
        nonlocal turn
        turn += 1
        loop.call_soon(count_turns)

    async def answer(request: Any, context: Any) -> Any:
        begun[turn] += 1
        if begun.total() == 1:
            time.sleep(0.5)  # noqa: ASYNC251 (so that the calls of the next turn are all there)
        return pb.GetCallRequestResultResponse()

    async with started(Address(("127.0.0.1", 0)), answer) as (_, (_, port)), connected(port) as client:
        loop.call_soon(count_turns)
        calls = [asyncio.ensure_future(client.read(RESULT_ID, 5)) for _ in range(4 * INTAKES)]
        assert {(await call).code for call in calls} == {0}
    assert max(begun.values()) > INTAKES / 2


async def test_a_port_is_held_for_one_gateway() -> None:
    """A server has the port, and nobody else: neither before it listens nor while it does."""

    def is_taken(address: Address) -> None:
        with pytest.raises(SettingsError, match="is the port taken"), reserved_port(str(address)):
            pass
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(address)

    with reserved_port("127.0.0.1:0") as address:
        is_taken(address)
        async with started(address) as (_, listens):
            assert listens == address
            assert listeners(address[1]) == 1
            is_taken(address)
    with reserved_port(str(address)) as again:
        assert again == address


def test_of_two_that_start_at_the_same_time_one_holds_the_port() -> None:
    """However their steps fall between each other's, never do both."""
    with reserved_port("127.0.0.1:0") as address:
        pass
    together = threading.Barrier(2)

    def holds(_: int) -> bool:
        together.wait()
        try:
            with reserved_port(str(address)):
                together.wait()
                return True
        except SettingsError:
            together.wait()
            return False

    with ThreadPoolExecutor(2) as both:
        held_by = [sum(both.map(holds, range(2))) for _ in range(500)]
    assert max(held_by) == 1


@with_ipv6
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("[::1]", "localhost"),
        ("127.0.0.1", "localhost"),
        ("localhost", "[::1]"),
        ("localhost", "127.0.0.1"),
        ("[::1]", "0.0.0.0"),
        ("127.0.0.1", "[::]"),
        ("0.0.0.0", "[::1]"),
        ("[::]", "127.0.0.1"),
        ("0.0.0.0", "[::]"),
        ("[::]", "0.0.0.0"),
        ("[::]", "[::ffff:127.0.0.1]"),
    ],
)
def test_a_port_is_held_on_each_address_that_grpc_takes(first: str, second: str) -> None:
    """Names and wildcards stand for several addresses: no other gateway has one of them."""
    with reserved_port(f"{first}:0") as (_, port), pytest.raises(SettingsError, match="is the port taken"):  # noqa: SIM117
        with reserved_port(f"{second}:{port}"):
            pass
    with reserved_port(f"{second}:{port}") as again:
        assert again[1] == port


@with_ipv6
@pytest.mark.parametrize("host", ["localhost", "0.0.0.0", "::"])
async def test_a_server_listens_on_what_is_held(host: str) -> None:
    """What holds the port does not stand in the server's own way, on any of several addresses."""
    with reserved_port(str(Address((host, 0)))) as address:
        async with started(address):
            for each in ("127.0.0.1", "::1"):
                socket.create_connection((each, address[1]), 1).close()


@pytest.mark.parametrize(
    ("listen", "why"),
    [
        pytest.param("no-such-host.invalid:1", "; the host cannot be resolved", id="no such host"),
        pytest.param("192.0.2.1:1", "; cannot assign requested address", id="another machine's"),
    ],
)
def test_why_a_port_cannot_be_held_is_named(listen: str, why: str) -> None:
    """Only a port that is taken is called so."""
    with pytest.raises(SettingsError, match=f"^GATEWAY_LISTEN: cannot listen on {listen}{why}$"), reserved_port(listen):
        pass
