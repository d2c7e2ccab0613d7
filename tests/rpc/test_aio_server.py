"""grpc.aio's server, mended: whatever method is called, it goes on serving."""

import asyncio
from pathlib import Path
from typing import Any, cast

import grpc
import pytest

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from server.app import Gateway
from server.rpc.aio_server import AioServer
from server.rpc.grpc_server import GrpcServer
from server.settings import Address
from testkit.gateway import connected
from testkit.gateway_process import serving
from testkit.http2 import call_headers
from testkit.http2_connection import Connection, Ended
from testkit.scripted_vendor import RESULT_ID

NO_TEXT = "/no/\udcff\udcfe"
UNIMPLEMENTED = grpc.StatusCode.UNIMPLEMENTED.value[0]


async def _code_of(port: int, path: str) -> int | None:
    """How a call of that method ends, on a connection of its own. None: without a status."""
    connection = await Connection.to(port)
    ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
    connection.begin(call_headers(path), b"", ended.set_result)
    try:
        return (await asyncio.wait_for(ended, 2)).code
    except TimeoutError:
        return None
    finally:
        connection.transport.abort()


@pytest.mark.parametrize(
    "path", ["/no.such.Service/Method", "/callrequest.v1.CallRequestService/No", NO_TEXT, "/callrequest.v1/\u2603", "/"]
)
async def test_a_method_that_there_is_not_is_unimplemented(gateway: Gateway, path: str) -> None:
    """However often it is called, and whatever its name: the calls of others go on."""
    port = gateway.address[1]
    async with connected(gateway) as client:
        assert {await _code_of(port, path) for _ in range(20)} == {UNIMPLEMENTED}
        await client.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=RESULT_ID))
    async with connected(gateway) as client:
        await client.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=RESULT_ID))


async def test_a_caller_that_leaves_at_once_does_no_harm(gateway: Gateway) -> None:
    """Its refusal finds nobody."""
    for _ in range(30):
        connection = await Connection.to(gateway.address[1])
        connection.begin(call_headers(NO_TEXT), b"", lambda ended: None)
        await asyncio.sleep(0.001)
        connection.transport.abort()
    assert await _code_of(gateway.address[1], NO_TEXT) == UNIMPLEMENTED


async def test_grpcs_own_server_still_ends_by_such_a_name() -> None:
    """When this fails, grpc has mended it: server/rpc/aio_server.py can go."""
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await _code_of(port, NO_TEXT)
    await asyncio.wait_for(_ended(server), 20)


async def test_a_server_that_ends_by_itself_is_noticed() -> None:
    """`broken` returns; it does so after a stop, too."""
    broken = GrpcServer((), lambda options: cast("AioServer", grpc.aio.server(options=options)))
    _, port = broken.listen(Address(("127.0.0.1", 0)), None)
    await broken.start()
    noticed = asyncio.ensure_future(broken.broken())
    await asyncio.sleep(0.1)
    assert not noticed.done()
    await _code_of(port, NO_TEXT)
    await asyncio.wait_for(noticed, 2)
    await broken.stop(None)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_process_ends_when_a_server_of_its_has_ended(workers: int, tmp_path: Path) -> None:
    """It says so, and is started again: by whoever looks after it, or by the supervisor of workers."""
    as_grpc_comes = """
import grpc._cython.cygrpc as cygrpc
from server.rpc.aio_server import _Core
_Core._make_request_call_future = cygrpc.AioServer._make_request_call_future
"""
    (tmp_path / "sitecustomize.py").write_text(as_grpc_comes)
    async with serving("", path=tmp_path, WORKERS=workers) as gateway:
        before = gateway.workers()
        await _code_of(gateway.port, NO_TEXT)
        if workers == 1:
            assert await gateway.ended(30) == 1
        else:
            await gateway.until(lambda: gateway.workers() != before, 30)
        assert any("ended by itself" in str(line["event"]) for line in gateway.log())


async def test_it_stops_while_calls_are_refused() -> None:
    """A stop ends what waits for the next call."""
    server = AioServer(())
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    calls = [asyncio.ensure_future(_code_of(port, NO_TEXT)) for _ in range(20)]
    await asyncio.sleep(0.02)
    await asyncio.wait_for(server.stop(1), 3)
    await asyncio.gather(*calls, return_exceptions=True)


async def _ended(server: Any) -> None:
    """Waits until a server has ended, well or not."""
    await asyncio.gather(server.wait_for_termination(), return_exceptions=True)
