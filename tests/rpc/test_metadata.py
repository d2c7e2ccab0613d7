"""Metadata above its bound is refused, and what callers put into it writes nothing into our log."""

import asyncio
import json

import grpc
import pytest

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from server.app import Gateway
from server.rpc.channel_options import MAX_METADATA_BYTES
from testkit.gateway import connected, metrics_of, started
from testkit.http2 import call_headers
from testkit.http2_connection import SERVICE, Connection
from testkit.logs import log_to_stdout
from testkit.scripted_vendor import RESULT_ID, ScriptedVendor
from testkit.unfinished_requests import METHODS

EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
GET = GetCallRequestResultRequest(call_request_id=RESULT_ID)


class _Mute(Connection):
    """Never acknowledges SETTINGS: grpc's core goes by its own defaults, 16 MB of metadata a call."""

    acknowledges = False


@pytest.mark.parametrize("length", [MAX_METADATA_BYTES, 100_000, 4_000_000])
async def test_too_much_metadata_is_refused_on_every_method(gateway: Gateway, length: int) -> None:
    """Also from a client that never agreed to the bound: RESOURCE_EXHAUSTED, before it is known who calls."""
    more = [(f"x-{at}", b"y" * 8000) for at in range(max(length // 8000, 1))] + [("x-rest", b"y" * 200)]
    connection = await _Mute.to(gateway.address[1])
    ended = [await connection.call(call_headers(method, 5, *more), b"", 5) for method in METHODS]
    connection.transport.abort()
    assert {each.code for each in ended} == {EXHAUSTED}
    assert 'grpc_code="RESOURCE_EXHAUSTED",grpc_method="unknown"' in await metrics_of(gateway)


@pytest.mark.parametrize("acknowledges", [True, False], ids=["acknowledged", "not acknowledged"])
async def test_metadata_within_the_bound_passes(gateway: Gateway, acknowledges: bool) -> None:
    """Many small entries count with what HTTP/2 adds to each."""
    connection = await (Connection if acknowledges else _Mute).to(gateway.address[1])
    for more in ([("x-a", b"y" * 7900)], [(f"x-{at:03}", b"y" * 10) for at in range(150)]):
        headers = call_headers(SERVICE + "GetCallRequestResult", 5, *more)
        assert (await connection.call(headers, GET.SerializeToString(), 5)).code == 0
    connection.transport.abort()


async def test_a_connection_that_does_not_acknowledge_the_settings_is_closed(gateway: Gateway) -> None:
    """Within 15 s: what its calls' metadata holds of grpc's memory is bounded in time."""
    connection = await _Mute.to(gateway.address[1])
    async with asyncio.timeout(15):
        while not connection.closed:  # noqa: ASYNC110 (it is another program that ends it)
            await asyncio.sleep(0.1)


async def test_metadata_that_is_no_text_is_no_error_of_ours(
    vendor: ScriptedVendor, capsys: pytest.CaptureFixture[str]
) -> None:
    """Latin-1, control characters: the call goes on, and the log has its line alone."""
    log_to_stdout("info")
    async with started(vendor.url) as gateway:
        connection = await Connection.to(gateway.address[1])
        for value in ("é".encode("latin-1"), b"\xff\xfe", b"\x01\x7f", b""):
            headers = call_headers(SERVICE + "GetCallRequestResult", 5, ("x-name", value), ("x-request-id", value))
            assert (await connection.call(headers, GET.SerializeToString(), 5)).code == 0
        connection.transport.abort()
        async with connected(gateway) as client:
            await client.GetCallRequestResult(GET)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["call"] * 5
