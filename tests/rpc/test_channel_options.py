"""Limits of connections: pings that clients may send, streams, ages."""

import asyncio
from typing import Any

import pytest

from callrequest.v1.call_request_service_pb2 import CancelCallRequestRequest
from server.rpc.channel_options import channel_options
from testkit.gateway import connected, started
from testkit.http2_connection import Connection
from testkit.scripted_vendor import ScriptedVendor, send

OPTIONS: dict[str, Any] = dict(channel_options(1800, 128))


def test_clients_that_ping_every_10_seconds_are_within_the_limit() -> None:
    """However unevenly their pings arrive: the minimum is half of it, with and without calls."""
    assert OPTIONS["grpc.http2.min_ping_interval_without_data_ms"] == 5000
    assert OPTIONS["grpc.keepalive_permit_without_calls"] == 1


def test_a_client_that_vanished_is_noticed_within_50_seconds() -> None:
    """A ping after 30 s of silence, 20 s for its answer."""
    assert (OPTIONS["grpc.keepalive_time_ms"], OPTIONS["grpc.http2.ping_timeout_ms"]) == (30_000, 20_000)


@pytest.mark.parametrize("age", [1, 60, 1800, 86_400])
def test_a_connection_outlasts_the_watches_on_it(age: float) -> None:
    """A watch lasts for two thirds of the age at most: one that began at the end of the age ends by itself."""
    options: dict[str, Any] = dict(channel_options(age, 128))
    assert options["grpc.max_connection_age_grace_ms"] > age * 1000 * 2 / 3


async def test_clients_learn_how_many_calls_a_connection_takes(vendor: ScriptedVendor) -> None:
    """MAX_STREAMS is in the server's SETTINGS."""
    async with started(vendor.url, max_streams=7) as gateway:
        connection = await Connection.to(gateway.address[1])
        assert connection.limit == 7
        connection.transport.abort()


async def test_calls_above_the_stream_limit_wait_and_none_is_refused(vendor: ScriptedVendor) -> None:
    """A client of gRPC's holds them back, and begins the next as soon as one has ended."""
    vendor.answer("cancel", send({"success": True}))
    async with started(vendor.url, max_streams=4) as gateway, connected(gateway) as client:
        for _ in range(3):
            cancels = (
                client.CancelCallRequest(CancelCallRequestRequest(call_request_id=f"{number:016}"), timeout=20)
                for number in range(60)
            )
            await asyncio.gather(*cancels)


async def test_a_connection_ends_after_its_age(vendor: ScriptedVendor) -> None:
    """An idle one is closed by the gateway."""
    async with started(vendor.url, max_connection_age=1.0) as gateway:
        connection = await Connection.to(gateway.address[1])
        async with asyncio.timeout(10):
            while not connection.going_away:  # noqa: ASYNC110 (it is another program that ends it)
                await asyncio.sleep(0.05)
        connection.transport.abort()
