"""The log names why the vendor cannot be reached: each cause once, and its end."""

import asyncio
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, suppress
from typing import Any

import grpc
import pytest
import trustme

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from server.observability.logs import configure_logs
from server.observability.outage_log import MAX_LINES, REPEAT_AFTER, OutageLog
from testkit.failure import failure
from testkit.gateway import connected, started
from testkit.logs import Lines, silence_logs
from testkit.scripted_vendor import RESULT_ID, Answer, ScriptedVendor, send
from testkit.server_process import free_ports

GET = GetCallRequestResultRequest(call_request_id=RESULT_ID)


@pytest.fixture
def log() -> Iterator[Callable[[], list[tuple[str, ...]]]]:
    """Returns what was logged since the last call, without calls: level, event and error of each line."""
    stream = Lines()

    def lines() -> list[tuple[str, ...]]:
        found = [json.loads(line) for line in stream.getvalue().splitlines()]
        stream.seek(0)
        stream.truncate()
        return [(line["level"], line["event"], line.get("error", "")) for line in found if line["event"] != "call"]

    configure_logs("info", console=False, sink=stream)
    yield lines
    silence_logs()


async def _until_answered(client: Any) -> None:
    """After failures the vendor is left alone for a moment."""
    async with asyncio.timeout(10):
        while True:
            with suppress(grpc.aio.AioRpcError):
                await client.GetCallRequestResult(GET)
                return
            await asyncio.sleep(0.05)


async def test_an_unreachable_vendor_is_logged_once_and_so_is_its_return(log: Any) -> None:
    """Not for each call: a gateway under load would fill its log."""
    (port,) = free_ports(1)
    vendor = ScriptedVendor()
    async with started(f"http://127.0.0.1:{port}") as gateway, connected(gateway) as client:
        for _ in range(5):
            assert (await failure(client.GetCallRequestResult(GET, timeout=10))).reason == "VENDOR_UNAVAILABLE"
        assert log() == [("warning", "no connection to the vendor", "ConnectionRefusedError")]
        await vendor.listen(port)
        async with AsyncExitStack() as stack:
            stack.push_async_exit(vendor)
            await _until_answered(client)
            await _until_answered(client)
            assert log() == [("info", "connected to the vendor again", "")]


async def test_a_host_without_an_address_is_logged_by_its_cause(log: Any) -> None:
    """A name that no resolver knows is not a server that is down."""
    async with started("https://no-such-host.invalid") as gateway, connected(gateway) as client:
        await failure(client.GetCallRequestResult(GET, timeout=10))
    assert log()[:1] == [("warning", "no connection to the vendor", "gaierror")]


async def test_a_certificate_that_is_not_trusted_is_logged_by_its_cause(log: Any) -> None:
    """Nor is one whose certificate is another's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    async with ScriptedVendor(tls=context) as vendor, started(vendor.url) as gateway, connected(gateway) as client:
        await failure(client.GetCallRequestResult(GET, timeout=10))
    assert log()[:1] == [("warning", "no connection to the vendor", "SSLCertVerificationError")]


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        pytest.param(send("", 404), "HTTP 404", id="wrong path"),
        pytest.param(send({"error": "invalid_client"}, 401), "HTTP 401", id="wrong credentials"),
        pytest.param(send("<html>"), "no token in the reply", id="no JSON"),
        pytest.param(send({"token_type": "Bearer"}), "no token in the reply", id="no token"),
        pytest.param(
            send({"access_token": "t", "token_type": "mac"}), "a token of another type than Bearer", id="another type"
        ),
    ],
)
async def test_a_token_that_is_not_issued_is_logged_by_its_cause(
    vendor: ScriptedVendor, answer: Answer, cause: str, log: Any
) -> None:
    """And that one came at last."""
    vendor.answer("token", answer)
    async with started(vendor.url) as gateway, connected(gateway) as client:
        await failure(client.GetCallRequestResult(GET, timeout=10))
        assert log() == [("warning", "no token from the vendor", cause)]
        vendor.answer("token", send({"access_token": "t", "expires_in": 60, "token_type": "Bearer"}))
        await _until_answered(client)
        assert log() == [("info", "a token from the vendor again", "")]


def test_another_cause_is_logged_at_once_and_a_long_outage_repeatedly(log: Any) -> None:
    """Each cause has its line; one that goes on has another every REPEAT_AFTER seconds."""
    moment = 1000.0
    one = OutageLog("bad", resolved="good", clock=lambda: moment)
    one.occurred("A")
    one.occurred("A")
    one.occurred("B")
    moment += REPEAT_AFTER - 1
    one.occurred("B")
    assert log() == [("warning", "bad", "A"), ("warning", "bad", "B")]
    moment += 2
    one.occurred("B")
    one.resolved()
    one.resolved()
    assert log() == [("warning", "bad", "B"), ("info", "good", "")]


def test_causes_that_alternate_are_logged_once_each(log: Any) -> None:
    """Two addresses of a host that fail differently would else make a line for each call."""
    moment = 1000.0
    one = OutageLog("bad", resolved="good", clock=lambda: moment)
    for _ in range(50):
        one.occurred("A")
        one.occurred("B", tls="expired")
        one.occurred("B", tls="another name")
    assert log() == [("warning", "bad", "A"), ("warning", "bad", "B"), ("warning", "bad", "B")]
    moment += REPEAT_AFTER
    for _ in range(50):
        one.occurred("B", tls="expired")
        one.occurred("A")
    one.resolved()
    assert log() == [("warning", "bad", "B"), ("warning", "bad", "A"), ("info", "good", "")]


@pytest.mark.parametrize("flaps", [pytest.param(True, id="good by turns"), pytest.param(False, id="never good")])
def test_an_outage_has_few_lines_whatever_its_causes(log: Any, flaps: bool) -> None:
    """What fails in another way each time, or at every second request, must not fill the log; a later one is logged."""
    moment = 1000.0
    one = OutageLog("bad", resolved="good", clock=lambda: moment)
    for number in range(300):
        one.occurred("A" if flaps else f"HTTP {number}")
        if flaps:
            one.resolved()
        moment += 0.1
    lines = log()
    assert [level for level, _, _ in lines].count("warning") == MAX_LINES
    assert [level for level, _, _ in lines].count("info") == (MAX_LINES if flaps else 0)
    moment += REPEAT_AFTER
    one.occurred("A")
    one.resolved()
    assert log() == [("warning", "bad", "A"), ("info", "good", "")]


def test_an_outage_without_a_line_for_its_end_logs_none(log: Any) -> None:
    """The next one is logged at once all the same."""
    one = OutageLog("bad", clock=lambda: 0.0)
    for _ in range(2):
        one.occurred("A")
        one.resolved()
    assert log() == [("warning", "bad", "A")] * 2
