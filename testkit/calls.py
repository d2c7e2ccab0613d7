"""Calls: clients for them, calls at a rate, and figures about how they ended."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceStub
from testkit.http2_connection import SERVICE
from testkit.server_process import ROOT

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub

_Result = TypeVar("_Result")

CHANNEL = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))
"""Options of a channel that shares no connection with another."""


def identifier(prefix: str, number: int) -> str:
    """A call request's id: the prefix, then the number."""
    return f"{prefix}{number:0{16 - len(prefix)}d}"


@asynccontextmanager
async def client_of(target: str) -> "AsyncIterator[CallRequestServiceAsyncStub]":
    """A client of the generated stubs, on a connection of its own."""
    async with grpc.aio.insecure_channel(target, options=CHANNEL) as channel:
        yield CallRequestServiceStub(channel)


@asynccontextmanager
async def health_watch(target: str) -> AsyncIterator[Any]:
    """A watch of the service's health, on a connection of its own."""
    async with grpc.aio.insecure_channel(target, options=CHANNEL) as channel:
        watch: Any = health_pb2_grpc.HealthStub(channel).Watch  # type: ignore[attr-defined]  # its types know Check
        yield watch(health_pb2.HealthCheckRequest(service=SERVICE.strip("/")))


async def at_rate(rate: float, seconds: float, begin: Callable[[int], Awaitable[_Result]]) -> list[_Result]:
    """Begins calls at an even rate whatever becomes of them (open loop), and returns all their results in order."""
    loop, started = asyncio.get_running_loop(), asyncio.get_running_loop().time()
    tasks: list[asyncio.Future[_Result]] = []
    while (passed := loop.time() - started) < seconds:
        while len(tasks) < passed * rate:
            tasks.append(asyncio.ensure_future(begin(len(tasks))))
        await asyncio.sleep(0.002)
    return await asyncio.gather(*tasks)


async def code_of(call: Awaitable[object]) -> str:
    """The name of the code that a call made with the generated stubs ends with."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


def counted(codes: Iterable[object]) -> str:
    """How often each occurs: `20 OK, 3 UNAVAILABLE`."""
    return ", ".join(f"{number} {code}" for code, number in Counter(codes).most_common()) or "none"


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share of all values does not exceed; 0 without any."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] if values else 0.0


@asynccontextmanager
async def recommended_clients(target: str, number: int = 8) -> "AsyncIterator[list[CallRequestServiceAsyncStub]]":
    """Clients with the service config that clients/ recommends, each with a connection of its own."""
    options = (*CHANNEL, ("grpc.service_config", (ROOT / "clients/service_config.json").read_text()))
    channels = [grpc.aio.insecure_channel(target, options=options) for _ in range(number)]
    try:
        yield [CallRequestServiceStub(channel) for channel in channels]
    finally:
        for channel in channels:
            await channel.close()
