"""Health: sent to everybody who asks or watches, whoever else does not read."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import grpc
import pytest
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1.health_pb2_grpc import HealthStub

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from server.app import Gateway
from server.rpc.service import SERVICE
from testkit.gateway import connected, metrics_of, started
from testkit.http2 import call, call_headers, hello
from testkit.logs import log_to_stdout, silence_logs
from testkit.scripted_vendor import RESULT_ID, ScriptedVendor

SERVING, NOT_SERVING = pb.HealthCheckResponse.SERVING, pb.HealthCheckResponse.NOT_SERVING
WATCH = call(
    1, call_headers("/grpc.health.v1.Health/Watch"), pb.HealthCheckRequest(service=SERVICE).SerializeToString()
)


@asynccontextmanager
async def _stalled(gateway: Gateway) -> AsyncIterator[asyncio.StreamWriter]:
    """A watcher that takes no byte of what it is sent."""
    _, writer = await asyncio.open_connection(*gateway.address)
    writer.write(hello(window=0) + WATCH)
    await asyncio.sleep(0.1)
    try:
        yield writer
    finally:
        writer.transport.abort()


@asynccontextmanager
async def _stub(gateway: Gateway) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(str(gateway.address)) as channel:
        yield HealthStub(channel)


async def _ready(gateway: Gateway) -> int:
    async with aiohttp.ClientSession() as session, session.get(f"http://{gateway.metrics_address}/ready") as reply:
        return reply.status


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_health_is_answered_for_the_server_and_the_service(gateway: Gateway, service: str) -> None:
    """SERVING once calls are welcome, under either name; an unknown service is NOT_FOUND."""
    async with _stub(gateway) as health:
        assert (await health.Check(pb.HealthCheckRequest(service=service))).status == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health.Check(pb.HealthCheckRequest(service="no.such.Service"))
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND


async def test_health_can_be_watched_and_says_when_draining_begins(vendor: ScriptedVendor) -> None:
    """A watching client gets SERVING, then NOT_SERVING before the port closes; readiness follows."""
    async with started(vendor.url, drain_delay=0.5) as gateway:
        async with _stub(gateway) as health:
            watch = health.Watch(pb.HealthCheckRequest(service=SERVICE))
            assert (await watch.read()).status == SERVING
            assert await _ready(gateway) == 200
            draining = asyncio.ensure_future(gateway.drain())
            assert (await watch.read()).status == NOT_SERVING
            assert await _ready(gateway) == 503
            async with connected(gateway) as client:
                await client.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=RESULT_ID))
            watch.cancel()
        await draining


async def test_a_watcher_that_does_not_read_keeps_nobody_waiting(vendor: ScriptedVendor) -> None:
    """Neither other watchers, which see NOT_SERVING, nor the drain, which is over long before GRACE."""
    async with started(vendor.url, grace=40.0, drain_delay=0.3) as gateway, AsyncExitStack() as stack:
        for _ in range(20):
            await stack.enter_async_context(_stalled(gateway))
        health = await stack.enter_async_context(_stub(gateway))
        watch = health.Watch(pb.HealthCheckRequest(service=SERVICE))
        async with asyncio.timeout(20):
            assert (await watch.read()).status == SERVING
            begun = time.monotonic()
            draining = asyncio.ensure_future(gateway.drain())
            assert (await watch.read()).status == NOT_SERVING
        watch.cancel()
        await draining
        assert time.monotonic() - begun < 20


async def test_a_watcher_that_stays_sees_the_end_of_its_stream(vendor: ScriptedVendor) -> None:
    """NOT_SERVING, then OK when the port is closed; one that begins meanwhile gets its status first."""
    async with started(vendor.url, grace=40.0, drain_delay=0.3) as gateway, _stub(gateway) as health:
        watch = health.Watch(pb.HealthCheckRequest(service=SERVICE))
        assert (await watch.read()).status == SERVING
        draining = asyncio.ensure_future(gateway.drain())
        assert (await watch.read()).status == NOT_SERVING
        late = health.Watch(pb.HealthCheckRequest(service=SERVICE))
        assert (await late.read()).status == NOT_SERVING
        for each in (watch, late):
            async with asyncio.timeout(20):
                assert await each.read() is grpc.aio.EOF
            assert await each.code() == grpc.StatusCode.OK
        async with asyncio.timeout(20):
            await draining


async def test_watchers_that_go_are_no_defect(vendor: ScriptedVendor, capsys: pytest.CaptureFixture[str]) -> None:
    """What could not be written to them any more is their call's end, not an error of ours."""
    log_to_stdout("info")
    try:
        async with started(vendor.url) as gateway:
            for _ in range(10):
                async with _stalled(gateway):
                    pass
            await asyncio.sleep(0.2)
            scraped = await metrics_of(gateway)
    finally:
        silence_logs()
    assert '"level":"error"' not in capsys.readouterr().out
    assert not re.search(r'grpc_code="INTERNAL".* [1-9]', scraped)
    assert re.search(r'grpc_code="CANCELLED".* [1-9]', scraped)


async def test_a_service_that_there_is_not_is_watched_as_unknown(gateway: Gateway) -> None:
    """As the protocol has it: it might come."""
    async with _stub(gateway) as health:
        watch = health.Watch(pb.HealthCheckRequest(service="no.such.Service"))
        assert (await watch.read()).status == pb.HealthCheckResponse.SERVICE_UNKNOWN
        watch.cancel()


async def test_all_services_can_be_listed(gateway: Gateway) -> None:
    """List came to the protocol later; both names are on it."""
    async with _stub(gateway) as health:
        statuses = (await health.List(pb.HealthListRequest())).statuses  # type: ignore[attr-defined]  # its types are older
    assert {name: each.status for name, each in statuses.items()} == {"": SERVING, SERVICE: SERVING}
