"""A gateway in this process, on free ports, in front of a scripted vendor; all of it over real sockets."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import grpc
import httpx
import pytest
import structlog
import uvloop
from pydantic import SecretStr

from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceStub
from server.app import Gateway
from server.ceiling import Ceiling
from server.logs import Lines, configure_logs
from server.metrics import Metrics
from server.settings import Settings
from server.vendor.client import VendorClient
from server.vendor.token_endpoint import Credentials
from tests.scripted_vendor import ScriptedVendor

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub

SECRET = "client-secret-k9Zt"


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests run on the loop that the server runs on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def _no_log_but_the_tests_own() -> Iterator[None]:
    """Gateways of one test must not write into the captured output of another."""
    silence_logs()
    yield
    silence_logs()


def log_to_stdout(level: str) -> None:
    """Logs as the gateway does when nobody looks on."""
    configure_logs(level, console=False, lines=Lines(sys.stdout))


def silence_logs() -> None:
    """Undoes configure_logs: nothing is written any more."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    logging.basicConfig(handlers=[], level=logging.WARNING, force=True)  # at debug, grpc logs what it is deallocating


@pytest.fixture
async def vendor() -> AsyncIterator[ScriptedVendor]:
    async with ScriptedVendor() as scripted:
        yield scripted


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


@pytest.fixture
async def gateway(vendor: ScriptedVendor) -> AsyncIterator[Gateway]:
    async with started(vendor.url) as running:
        yield running


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator["CallRequestServiceAsyncStub"]:
    async with connected(gateway) as stub:
        yield stub


async def metrics_of(gateway: Gateway) -> str:
    """What a scrape of the gateway gives."""
    async with aiohttp.ClientSession() as session, session.get(f"http://{gateway.metrics_address}/metrics") as reply:
        assert reply.status == 200
        return await reply.text()


def vendor_client(transport: httpx.AsyncBaseTransport, url: str) -> VendorClient:
    """A client of a vendor that is played at the transport."""
    return VendorClient(
        transport,
        transport,
        transport,
        url,
        Credentials("i", "s", "/token", "POST"),
        cancel_path="/cancel",
        connect_timeout=3,
        attempt_timeout=8,
        ceiling=Ceiling(None),
        observer=Metrics(),
    )
