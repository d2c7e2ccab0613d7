"""Watches of gateways that share state."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from google.protobuf.duration_pb2 import Duration
from pydantic import SecretStr

from callrequest.v1 import call_request_pb2 as pb
from callrequest.v1.call_request_service_pb2 import (
    CancelCallRequestRequest,
    GetCallRequestResultRequest,
    WatchCallRequestResultRequest,
)
from server.app import Gateway
from server.state.keys import CHANNEL
from testkit.engine import EngineProcess, engine
from testkit.gateway import connected, metrics_of, started
from testkit.pushes import PATH, Push, push_settings, signed
from testkit.scripted_vendor import RESULT_ID, Answer, ScriptedVendor, later, never, pending, send, with_status
from testkit.server_process import free_ports

WATCH = WatchCallRequestResultRequest(call_request_id=RESULT_ID)
GET = GetCallRequestResultRequest(call_request_id=RESULT_ID)
FRESH = GetCallRequestResultRequest(call_request_id=RESULT_ID, max_age=Duration())
SHARED = {"default_max_age": 30.0, "final_max_age": 60.0}
KEEPS_NOTHING = {"default_max_age": 0.0, "final_max_age": 0.0}


async def test_what_one_gateway_reads_or_cancels_reaches_the_watchers_of_another(vendor: ScriptedVendor) -> None:
    """At once, although its own poll is due in a minute; for a reading the vendor is not asked again."""
    (port,) = free_ports(1)
    with engine(port) as valkey:
        await _watch_there_act_here(vendor, valkey)


async def test_a_cancel_reaches_the_watchers_of_processes_that_keep_no_answer(vendor: ScriptedVendor) -> None:
    """With DEFAULT_MAX_AGE and FINAL_MAX_AGE 0, too, and long before their own poll is due."""
    (port,) = free_ports(1)
    with engine(port) as valkey:
        ages = {"default_max_age": 0.0, "final_max_age": 0.0, "state_url": valkey.url}
        async with (
            started(vendor.url, **ages) as here,
            started(vendor.url, **ages) as there,
            connected(here) as client,
            connected(there) as other,
            asyncio.timeout(50),
        ):
            await _until_shared(valkey, here, there)
            messages = aiter(other.WatchCallRequestResult(WATCH))
            assert (await anext(messages)).call_request_result.status == pb.CALL_REQUEST_STATUS_PENDING_TO_CALL
            vendor.answer("result", send(with_status("CANCELLED")))
            await client.CancelCallRequest(CancelCallRequestRequest(call_request_id=RESULT_ID))
            assert (await anext(messages)).call_request_result.status == pb.CALL_REQUEST_STATUS_CANCELLED


async def _until_shared(valkey: EngineProcess, *gateways: Gateway) -> None:
    """A gateway whose engine or channel is there only after a watch has begun polls what is watched once more."""
    for gateway in gateways:
        while "state_up 1.0" not in await metrics_of(gateway):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    while not valkey.command("PUBSUB", "NUMSUB", CHANNEL).endswith(b":%d\r\n" % len(gateways)):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)  # the engine's reply is on its way


@asynccontextmanager
async def _clients_of_two(vendor: ScriptedVendor, valkey: EngineProcess) -> AsyncIterator[tuple[Any, Any]]:
    """Clients of two gateways that share results, in bounded time."""
    async with (
        started(vendor.url, state_url=valkey.url, **SHARED) as here,
        started(vendor.url, state_url=valkey.url, **SHARED) as there,
        connected(here) as client,
        connected(there) as other,
        asyncio.timeout(50),
    ):
        await _until_shared(valkey, here, there)
        yield client, other


async def _watch_there_act_here(vendor: ScriptedVendor, valkey: EngineProcess) -> None:
    async with _clients_of_two(vendor, valkey) as (client, other):
        watch = other.WatchCallRequestResult(WATCH)
        messages = aiter(watch)
        assert (await anext(messages)).call_request_result.status == pb.CALL_REQUEST_STATUS_PENDING_TO_CALL
        await asyncio.sleep(0.1)  # so that what is known is too old for the next read
        vendor.answer("result", send(with_status("IN_PROGRESS")))
        reads = len(vendor.requests("result"))
        await client.GetCallRequestResult(
            GetCallRequestResultRequest(call_request_id=RESULT_ID, max_age=Duration(nanos=1_000_000))
        )
        assert (await anext(messages)).call_request_result.status == pb.CALL_REQUEST_STATUS_IN_PROGRESS
        assert len(vendor.requests("result")) == reads + 1

        vendor.answer("result", send(with_status("CANCELLED")))
        await client.CancelCallRequest(CancelCallRequestRequest(call_request_id=RESULT_ID))
        assert (await anext(messages)).call_request_result.status == pb.CALL_REQUEST_STATUS_CANCELLED
        assert [message async for message in messages] == []


async def test_a_slow_reply_does_not_undo_what_another_process_has_read_since(vendor: ScriptedVendor) -> None:
    """A read that began earlier is the older one, whenever its reply came: no watcher sees the result go back."""
    (port,) = free_ports(1)
    with engine(port) as valkey:
        async with _clients_of_two(vendor, valkey) as (client, other):
            messages = aiter(other.WatchCallRequestResult(WATCH))
            assert (await anext(messages)).call_request_result.status == pb.CALL_REQUEST_STATUS_PENDING_TO_CALL
            passed = asyncio.Event()
            vendor.answer("result", _after(passed, send(with_status("PENDING_TO_CALL"))))
            reads = len(vendor.requests("result"))
            slow = other.GetCallRequestResult(FRESH)
            while len(vendor.requests("result")) == reads:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            vendor.answer("result", send(with_status("IN_PROGRESS")))
            await client.GetCallRequestResult(FRESH)
            assert (await anext(messages)).call_request_result.status == pb.CALL_REQUEST_STATUS_IN_PROGRESS
            passed.set()
            assert (await slow).call_request_result.status == pb.CALL_REQUEST_STATUS_PENDING_TO_CALL
            known = await other.GetCallRequestResult(GET)
            assert known.call_request_result.status == pb.CALL_REQUEST_STATUS_IN_PROGRESS
            vendor.answer("result", send(with_status("CANCELLED")))
            await client.CancelCallRequest(CancelCallRequestRequest(call_request_id=RESULT_ID))
            assert [each.call_request_result.status async for each in messages] == [pb.CALL_REQUEST_STATUS_CANCELLED]


def _after(event: asyncio.Event, then: Answer) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        await event.wait()
        await then(writer)

    return answer


@pytest.mark.parametrize("occurred", [pytest.param(90.0, id="90 s ago"), pytest.param(72_000.0, id="20 hours ago")])
@pytest.mark.parametrize("ages", [pytest.param(SHARED, id="kept"), pytest.param(KEEPS_NOTHING, id="nothing is kept")])
async def test_a_push_that_comes_late_reaches_all_watchers(
    vendor: ScriptedVendor, occurred: float, ages: dict[str, float]
) -> None:
    """Whatever the vendor answers meanwhile: what it has signed is believed, and it is not asked."""
    port, webhook = free_ports(2)
    hooked: dict[str, Any] = {name.lower(): value for name, value in push_settings(webhook).items()}
    with engine(port) as valkey:
        async with (
            started(vendor.url, state_url=valkey.url, **ages, **hooked) as here,
            started(vendor.url, state_url=valkey.url, **ages) as there,
            connected(here) as client,
            connected(there) as other,
            asyncio.timeout(50),
        ):
            await _until_shared(valkey, here, there)
            watches = [aiter(each.WatchCallRequestResult(WATCH)) for each in (client, other)]
            for messages in watches:
                assert (await anext(messages)).call_request_result.status == pb.CALL_REQUEST_STATUS_PENDING_TO_CALL
            # Without kept answers each asks by itself, and may have its first result from the other before.
            reads = 1 if ages is SHARED else 2
            while len(vendor.requests("result")) < reads:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            vendor.answer("result", never())
            body = Push(RESULT_ID, "late", occurred=occurred).body
            url = f"http://{here.webhook_address}{PATH}"
            async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=signed(body)) as reply:
                assert reply.status == 200
            for messages in watches:
                statuses = [each.call_request_result.status async for each in messages]
                assert statuses == [pb.CALL_REQUEST_STATUS_COMPLETED]
            if ages is SHARED:
                for each in (client, other):
                    known = await each.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=RESULT_ID))
                    assert known.call_request_result.status == pb.CALL_REQUEST_STATUS_COMPLETED
            assert len(vendor.requests("result")) == reads


async def test_gateways_with_different_keys_do_not_ask_the_vendor_in_turn(vendor: ScriptedVendor) -> None:
    """Each polls at its own pace, and says in its log what is wrong."""
    (port,) = free_ports(1)
    with engine(port) as valkey:
        keys = [base64.b64encode(bytes([number] * 32)).decode() for number in range(2)]
        shared = [{"state_url": valkey.url, "state_keys": SecretStr(key), **SHARED} for key in keys]
        async with (
            started(vendor.url, **shared[0]) as here,
            started(vendor.url, **shared[1]) as there,
            connected(here) as client,
            connected(there) as other,
            asyncio.timeout(50),
        ):
            await _until_shared(valkey, here, there)
            watches = [aiter(each.WatchCallRequestResult(WATCH)) for each in (client, other)]
            for messages in watches:
                assert (await anext(messages)).call_request_result.status == pb.CALL_REQUEST_STATUS_PENDING_TO_CALL
            await asyncio.sleep(1)
            assert len(vendor.requests("result")) <= 4
            for _ in range(20):
                for each in (client, other):
                    await each.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=RESULT_ID))
            assert len(vendor.requests("result")) <= 4


@pytest.mark.parametrize(
    ("seconds", "default_max_age", "final_max_age"),
    [
        pytest.param(0.005, 0.0, 3600.0, id="nothing is kept"),
        pytest.param(0.3, 0.2, 3600.0, id="a vendor slower than the default age"),
        pytest.param(0.3, 0.2, 0.2, id="a vendor slower than any age"),
    ],
)
async def test_processes_that_watch_one_call_request_do_not_chase_each_other(
    vendor: ScriptedVendor, seconds: float, default_max_age: float, final_max_age: float
) -> None:
    """Each takes what the other has read from what they share: the vendor is asked at the pace of one watch."""
    vendor.answer("result", later(seconds, send(pending())))
    (port,) = free_ports(1)
    with engine(port) as running:
        shared = {"state_url": running.url, "default_max_age": default_max_age, "final_max_age": final_max_age}
        async with (
            started(vendor.url, **shared) as one,
            started(vendor.url, **shared) as other,
            connected(one) as client,
            connected(other) as other_client,
        ):
            await _until_shared(running, one, other)
            watches = [each.WatchCallRequestResult(WATCH, timeout=60) for each in (client, other_client)]
            for watch in watches:
                await watch.read()
            await client.GetCallRequestResult(FRESH)
            await asyncio.sleep(2)
            assert len(vendor.requests("result")) <= 6
