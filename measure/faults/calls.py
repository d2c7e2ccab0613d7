"""Calls at a rate, and what became of them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceStub
from testkit.http2_connection import SERVICE, Ended

from .fault_case import Findings

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub

_Result = TypeVar("_Result")

CHANNEL = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))
"""Options of a channel that shares no connection with another."""

LATE = 0.1
"""Seconds by which an answer may miss its deadline: the way there and back, and a busy machine."""


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
    """Begins calls at an even rate whatever becomes of them (open loop), and gives all their results in order."""
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


def within_deadline(findings: Findings, ended: Sequence[Ended], deadline: float) -> None:
    """Observations how late the latest answer came."""
    late = max((each.seconds for each in ended), default=0.0) - deadline
    text = f"latest answer {late * 1000:.0f} ms after the deadline" if late > 0 else "all before the deadline"
    findings.record(text, late <= LATE)
