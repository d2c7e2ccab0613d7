"""A gateway in this process, on free ports, in front of any vendor, and a client of it; all over real sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import grpc
from pydantic import SecretStr

from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceStub
from server.app import Gateway
from server.settings import Settings

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub

SECRET = "client-secret-k9Zt"


def settings_for(url: str | None, **changed: Any) -> Settings:
    """Settings of a gateway on free ports in front of the vendor at that address."""
    usual: dict[str, Any] = {
        "listen": "127.0.0.1:0",
        "metrics_listen": "127.0.0.1:0",
        "sandbox_listen": "127.0.0.1:0",
        "vendor_url": url,
        "vendor_client_id": "client",
        "vendor_client_secret": SecretStr(SECRET),
        "allow_sandbox": True,  # with credentials, and then without a vendor
        "default_max_age": 0.0,  # nothing is kept or shared, unless a test is about that
        "final_max_age": 0.0,
        "drain_delay": 0.0,
        "grace": 2.0,
    }
    return Settings(**(usual | changed))


@asynccontextmanager
async def started(url: str | None, **changed: Any) -> AsyncIterator[Gateway]:
    """A running gateway."""
    async with Gateway(settings_for(url, **changed)) as gateway:
        yield gateway


@asynccontextmanager
async def connected(gateway: Gateway) -> AsyncIterator["CallRequestServiceAsyncStub"]:
    """A client of the gateway."""
    options = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))
    async with grpc.aio.insecure_channel(str(gateway.address), options=options) as channel:
        yield CallRequestServiceStub(channel)


async def metrics_of(gateway: Gateway) -> str:
    """The metrics of the gateway, as a scrape reads them."""
    async with aiohttp.ClientSession() as session, session.get(f"http://{gateway.metrics_address}/metrics") as reply:
        assert reply.status == 200
        return await reply.text()


async def status_page_of(gateway: Gateway) -> str:
    """The status page of the gateway, as a browser gets it."""
    async with aiohttp.ClientSession() as session, session.get(f"http://{gateway.metrics_address}/") as reply:
        assert reply.status == 200
        return await reply.text()
