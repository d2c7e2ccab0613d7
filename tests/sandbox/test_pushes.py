"""The sandbox as the sender of webhooks: from its call request to whoever watches it at the gateway."""

import asyncio
import base64
import re
from typing import Any

import aiohttp
import pytest

from callrequest.v1 import call_request_pb2 as pb
from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest, WatchCallRequestResultRequest
from sandbox import CLIENT_ID, CLIENT_SECRET, Sandbox
from testkit.gateway import connected, started
from testkit.server_process import free_ports

from .caller import Caller

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
TOKEN = "a-token-of-the-vendor"
ID = "myCallRequest002"
PATH = "/webhooks/call-request-completed"
KNOWN = {"webhook_listen": "127.0.0.1:0", "webhook_secrets": SECRET, "webhook_tokens": TOKEN, "final_max_age": 3600}


async def pushed(caller: Caller, count: int) -> list[Any]:
    """The statuses of so many pushes, once they are sent."""
    while True:
        statuses = [each["status"] for each in (await caller.control("GET", "pushes")).json["pushes"]]
        if len(statuses) >= count:
            return statuses


@pytest.mark.parametrize("known_by", [{"secret": SECRET}, {"token": TOKEN}], ids=["signed", "hint"])
async def test_a_watcher_learns_of_a_pushed_result_long_before_its_next_poll(known_by: dict[str, str]) -> None:
    """Sandbox, webhook, watch: the outcome is the vendor's, whether the push is believed or read again."""
    async with Sandbox() as sandbox, aiohttp.ClientSession() as session:
        caller = Caller(session, sandbox.url)
        settings = {"vendor_client_id": CLIENT_ID, "vendor_client_secret": CLIENT_SECRET}
        async with started(sandbox.url, **settings, **KNOWN) as gateway, connected(gateway) as client:
            webhook = {"url": f"http://{gateway.webhook_address}{PATH}", **known_by}
            await caller.control("PUT", f"call-requests/{ID}", {"webhook": webhook})
            watch = client.WatchCallRequestResult(WatchCallRequestResultRequest(call_request_id=ID), timeout=20)
            first: Any = await watch.read()
            assert first.call_request_result.status == pb.CALL_REQUEST_STATUS_PENDING_TO_CALL
            await caller.control("POST", "clock", {"advance": 3700})
            changed: Any = await watch.read()
            assert changed.call_request_result.status == pb.CALL_REQUEST_STATUS_COMPLETED
            assert changed.call_request_result.outcome.hotel_confirmation_id == "123456A"


@pytest.mark.parametrize(
    ("plan", "statuses"),
    [
        pytest.param({"times": 3}, [200, 200, 200], id="three times"),
        pytest.param({"another_body": True}, [200, 409], id="another body"),
        pytest.param({"out_of_order": True}, [200, 200], id="out of order"),
        pytest.param({"nested": False}, [200], id="beside the status"),
        pytest.param({"delay": 0.2}, [200], id="late"),
        pytest.param({"signed_ago": 360}, [401], id="an old signature"),
        pytest.param({"secret": None}, [401], id="unsigned"),
    ],
)
async def test_each_kind_of_push_has_its_answer(plan: dict[str, Any], statuses: list[int]) -> None:
    """And whatever was sent after it: a completed call stays completed."""
    async with Sandbox() as sandbox, aiohttp.ClientSession() as session:
        caller = Caller(session, sandbox.url)
        settings = {"vendor_client_id": CLIENT_ID, "vendor_client_secret": CLIENT_SECRET}
        async with started(sandbox.url, **settings, **KNOWN) as gateway, connected(gateway) as client:
            webhook = {"url": f"http://{gateway.webhook_address}{PATH}", "secret": SECRET} | plan
            await caller.control("PUT", f"call-requests/{ID}", {"status": "COMPLETED", "webhook": webhook})
            assert await pushed(caller, len(statuses)) == statuses
            reply = await client.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=ID), timeout=5)
            assert reply.call_request_result.status == pb.CALL_REQUEST_STATUS_COMPLETED
            assert reply.call_request_result.outcome.hotel_confirmation_id == "123456A"


@pytest.mark.parametrize(
    "webhook",
    [
        pytest.param({}, id="no address"),
        pytest.param({"url": "ftp://host"}, id="another scheme"),
        pytest.param({"url": "http://host", "secret": "short"}, id="no secret"),
        pytest.param({"url": "http://host", "secret": "whsec_AAAA"}, id="a short secret"),
        pytest.param({"url": "http://host", "token": "a b"}, id="a space in the token"),
        pytest.param({"url": "http://host", "token": "a\r\nb"}, id="a line break in the token"),
        pytest.param({"url": "http://host", "times": 0}, id="never"),
        pytest.param({"url": "http://host", "other": 1}, id="an unknown field"),
        pytest.param("http://host", id="no object"),
    ],
)
async def test_a_wrong_webhook_is_refused(webhook: Any) -> None:
    """With one sentence."""
    async with Sandbox() as sandbox, aiohttp.ClientSession() as session:
        reply = await Caller(session, sandbox.url).control("PUT", f"call-requests/{ID}", {"webhook": webhook})
    assert reply.status == 400
    assert reply.json["error"].endswith(".")


async def test_a_reset_forgets_what_was_to_be_pushed() -> None:
    """And so does another call request under the same id."""
    async with Sandbox() as sandbox, aiohttp.ClientSession() as session:
        caller = Caller(session, sandbox.url)
        webhook = {"url": f"{sandbox.url}/nowhere"}
        await caller.control("PUT", f"call-requests/{ID}", {"webhook": webhook})
        await caller.control("PUT", f"call-requests/{ID}", {})
        await caller.control("PUT", "call-requests/myCallRequest003", {"webhook": webhook})
        await caller.control("POST", "reset", {})
        await caller.control("PUT", "call-requests/myCallRequest004", {"status": "COMPLETED", "webhook": webhook})
        assert await pushed(caller, 1) == [404]
        (push,) = (await caller.control("GET", "pushes")).json["pushes"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", push["time"])
        await caller.control("POST", "reset", {})
        assert (await caller.control("GET", "pushes")).json == {"pushes": []}


async def test_a_reset_ends_the_pushes_that_nobody_answers() -> None:
    """The next test has none of them in its report."""
    async with Sandbox() as sandbox, aiohttp.ClientSession() as session:
        caller = Caller(session, sandbox.url)
        # 1 s later it would be sent again, and 19 times in all
        webhook = {"url": f"http://127.0.0.1:{free_ports(1)[0]}/"}
        await caller.control("PUT", f"call-requests/{ID}", {"status": "COMPLETED", "webhook": webhook})
        assert await pushed(caller, 1) == [None]
        await caller.control("POST", "reset", {})
        await asyncio.sleep(1.2)
        assert (await caller.control("GET", "pushes")).json == {"pushes": []}
