"""Several servers on one port are one gateway: for its callers, its health and its end."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from callrequest.v1 import call_request_service_pb2 as pb
from callrequest.v1.call_request_service_pb2_grpc import (
    CallRequestServiceServicer,
    CallRequestServiceStub,
    add_CallRequestServiceServicer_to_server,
)
from server.access_log import AccessLog
from server.guard import Guard
from server.lanes import LANES, Lanes
from server.metrics import Metrics
from server.port import held
from server.settings import Address, SettingsError
from tests.scripted_vendor import RESULT_ID

GET = pb.GetCallRequestResultRequest(call_request_id=RESULT_ID)
OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)


class _Slow(CallRequestServiceServicer):
    async def GetCallRequestResult(self, request: Any, context: Any) -> Any:  # noqa: N802
        await asyncio.sleep(0.5)
        return pb.GetCallRequestResultResponse()

    CancelCallRequest = BatchGetCallRequestResults = GetCallRequestResult
    WatchCallRequestResult: Any = GetCallRequestResult


def listeners(port: int) -> int:
    """How many sockets listen on a port (Linux)."""
    rows = [line.split() for family in ("tcp", "tcp6") for line in Path(f"/proc/net/{family}").read_text().splitlines()]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


@asynccontextmanager
async def started(lanes: int, address: Address) -> AsyncIterator[tuple[Lanes, Address]]:
    """Lanes that serve slow answers, and where."""
    server = Lanes(lanes, ())
    guard: Any = Guard(server, Metrics(), AccessLog("error", None))
    add_CallRequestServiceServicer_to_server(_Slow(), guard)
    try:
        listens = server.listen(address, None)
        await server.start()
        yield server, listens
    finally:
        await server.stop(None)


async def test_each_connection_is_served_and_the_end_waits_for_all() -> None:
    """All lanes listen on the port; calls under way in any of them are finished before the end, and none begins."""
    async with started(LANES, Address(("127.0.0.1", 0))) as (server, (host, port)):
        assert listeners(port) == LANES
        channels = [grpc.aio.insecure_channel(f"{host}:{port}", options=OWN_CONNECTION) for _ in range(4 * LANES)]
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


async def test_a_port_is_held_for_one_gateway() -> None:
    """Lanes share the port, and nobody else: neither before they listen nor while they do."""

    def is_taken(address: Address) -> None:
        with pytest.raises(SettingsError, match="is the port taken"), held(str(address)):
            pass
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(address)

    with held("127.0.0.1:0") as address:
        is_taken(address)
        async with started(2, address) as (_, listens):
            assert listens == address
            assert listeners(address[1]) == 2
            is_taken(address)
    with held(str(address)) as again:
        assert again == address
