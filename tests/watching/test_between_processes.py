"""Watches of gateways that share state."""

import asyncio

from google.protobuf.duration_pb2 import Duration

from callrequest.v1 import call_request_pb2 as pb
from callrequest.v1.call_request_service_pb2 import (
    CancelCallRequestRequest,
    GetCallRequestResultRequest,
    WatchCallRequestResultRequest,
)
from testkit.engine import engine
from testkit.gateway import connected, started
from testkit.scripted_vendor import RESULT_ID, ScriptedVendor, send, with_status
from testkit.server_process import free_ports

WATCH = WatchCallRequestResultRequest(call_request_id=RESULT_ID)
SHARED = {"default_max_age": 30.0, "final_max_age": 60.0}


async def test_what_one_gateway_reads_or_cancels_reaches_the_watchers_of_another(vendor: ScriptedVendor) -> None:
    """At once, although its own poll is due in a minute; for a reading the vendor is not asked again."""
    (port,) = free_ports(1)
    with engine(port) as valkey:
        await _watch_there_act_here(vendor, valkey.url)


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
            messages = aiter(other.WatchCallRequestResult(WATCH))
            assert (await anext(messages)).call_request_result.status == pb.CALL_REQUEST_STATUS_PENDING_TO_CALL
            vendor.answer("result", send(with_status("CANCELLED")))
            await client.CancelCallRequest(CancelCallRequestRequest(call_request_id=RESULT_ID))
            assert (await anext(messages)).call_request_result.status == pb.CALL_REQUEST_STATUS_CANCELLED


async def _watch_there_act_here(vendor: ScriptedVendor, state: str) -> None:
    async with (
        started(vendor.url, state_url=state, **SHARED) as here,
        started(vendor.url, state_url=state, **SHARED) as there,
        connected(here) as client,
        connected(there) as other,
        asyncio.timeout(50),
    ):
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
