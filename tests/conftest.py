"""What most tests begin with: a scripted vendor, a gateway in front of it, and a client; all over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import pytest
import uvloop

from server.app import Gateway
from testkit.gateway import connected, started
from testkit.logs import silence_logs
from testkit.scripted_vendor import ScriptedVendor

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub


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


@pytest.fixture
async def vendor() -> AsyncIterator[ScriptedVendor]:
    async with ScriptedVendor() as scripted:
        yield scripted


@pytest.fixture
async def gateway(vendor: ScriptedVendor) -> AsyncIterator[Gateway]:
    async with started(vendor.url) as running:
        yield running


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator["CallRequestServiceAsyncStub"]:
    async with connected(gateway) as stub:
        yield stub
