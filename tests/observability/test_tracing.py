"""Traces, as a collector receives them: which calls, which spans, how they end, and what is never in them."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import SecretStr

from callrequest.v1.call_request_service_pb2 import (
    BatchGetCallRequestResultsRequest,
    CancelCallRequestRequest,
    GetCallRequestResultRequest,
    WatchCallRequestResultRequest,
)
from server.app import Gateway
from testkit.collector import Collector, attributes, collecting
from testkit.engine import engine
from testkit.gateway import SECRET, connected, metrics_of, started
from testkit.logs import log_to_stdout, silence_logs
from testkit.scripted_vendor import (
    RESULT_ID,
    TOKEN,
    ScriptedVendor,
    failed,
    hang_up,
    later,
    never,
    pending,
    send,
)
from testkit.server_process import free_ports

GET = GetCallRequestResultRequest(call_request_id=RESULT_ID)
CANCEL = CancelCallRequestRequest(call_request_id=RESULT_ID)
SERVICE = "callrequest.v1.CallRequestService"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, NOT_SAMPLED = (("traceparent", f"00-{TRACE}-{PARENT}-{flag}") for flag in ("01", "00"))
ERROR, UNSET = 2, 0


@asynccontextmanager
async def traced(
    vendor: ScriptedVendor, ratio: float = 1.0, **changed: Any
) -> AsyncIterator[tuple[Collector, Gateway, Any]]:
    """A gateway whose calls are traced, its collector and a client of it."""
    async with (
        collecting() as collector,
        started(vendor.url, otlp_endpoint=collector.url, trace_sample_ratio=ratio, **changed) as gateway,
        connected(gateway) as client,
    ):
        yield collector, gateway, client


async def ended(call: Any) -> None:
    """Waits for the end of a call, whatever it is."""
    with suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
        await call


async def test_a_read_is_a_trace_of_the_call_the_read_and_the_requests_to_the_vendor(vendor: ScriptedVendor) -> None:
    """By the names of the conventions, from the caller's span down to the vendor, which gets the last one's ids."""
    async with traced(vendor) as (collector, _, client):
        await client.GetCallRequestResult(GET, metadata=(SAMPLED,))
        server = await collector.span("/GetCallRequestResult")
        read, request, token = [(await collector.span(name)) for name in ("read", "GET result", "POST token")]
    assert {span.trace_id.hex() for span in (server, read, request, token)} == {TRACE}
    assert server.parent_span_id.hex() == PARENT
    assert (read.parent_span_id, request.parent_span_id) == (server.span_id, read.span_id)
    assert (server.kind, read.kind, request.kind) == (server.SPAN_KIND_SERVER, 1, server.SPAN_KIND_CLIENT)
    assert server.name == f"{SERVICE}/GetCallRequestResult"
    given = attributes(server)
    assert re.fullmatch(r"[0-9a-f]{32}", given.pop("callrequest.request_id"))
    assert given == {
        "rpc.system.name": "grpc",
        "rpc.method": f"{SERVICE}/GetCallRequestResult",
        "rpc.response.status_code": "OK",
        "callrequest.caller": "anonymous",
        "callrequest.id": RESULT_ID,
    }
    assert attributes(request) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": int(vendor.url.rpartition(":")[2]),
        "url.full": f"{vendor.url}/api/v1/call-request/{RESULT_ID}/result",
        "callrequest.vendor.operation": "result",
        "callrequest.vendor.outcome": "2xx",
    }
    (sent,) = vendor.requests("result")
    assert sent.headers["traceparent"] == f"00-{TRACE}-{request.span_id.hex()}-01"


@pytest.mark.parametrize(
    ("answer", "seconds", "code", "error", "status"),
    [
        pytest.param(send(pending()), 5, "OK", None, UNSET, id="well"),
        pytest.param(
            send(failed("NOT_FOUND")), 5, "NOT_FOUND", "CALL_REQUEST_NOT_FOUND", UNSET, id="the caller's error"
        ),
        pytest.param(send("", 500), 5, "INTERNAL", "VENDOR_FAILED", ERROR, id="the vendor's error"),
        pytest.param(never(), 0.3, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", ERROR, id="the caller's deadline"),
    ],
)
async def test_a_call_ends_in_its_trace_as_for_its_caller(
    vendor: ScriptedVendor, answer: Any, seconds: float, code: str, error: str | None, status: int
) -> None:
    """Its code; an error is the server's where the conventions say so."""
    vendor.answer("result", answer)
    async with traced(vendor) as (collector, _, client):
        await ended(client.GetCallRequestResult(GET, timeout=seconds))
        span = await collector.span("/GetCallRequestResult")
    given = attributes(span)
    assert (given["rpc.response.status_code"], given.get("error.type"), span.status.code) == (code, error, status)
    assert span.status.message == ""
    assert {event.name for event in span.events} <= {"answered"}  # and no exception with its text


async def test_a_call_that_its_caller_cancels_is_cancelled(vendor: ScriptedVendor) -> None:
    """And so is the request to the vendor that nobody waits for any more."""
    vendor.answer("result", never())
    async with traced(vendor) as (collector, _, client):
        call = client.GetCallRequestResult(GET)
        await vendor.until(lambda: vendor.requests("result"))
        call.cancel()
        await ended(call)
        span, request = await collector.span("/GetCallRequestResult"), await collector.span("GET result")
    assert (attributes(span)["rpc.response.status_code"], span.status.code) == ("CANCELLED", UNSET)
    assert attributes(request)["callrequest.vendor.outcome"] in {"abandoned", "unanswered"}


async def test_an_unknown_method_is_other(vendor: ScriptedVendor) -> None:
    """What the caller called it is not in the trace."""
    async with traced(vendor) as (collector, gateway, _):
        async with grpc.aio.insecure_channel(str(gateway.address)) as channel:
            call: Any = channel.unary_unary(f"/{SERVICE}/Canary")
            await ended(call(b""))
        span = await collector.span("_OTHER")
        assert attributes(span)["rpc.response.status_code"] == "UNIMPLEMENTED"
        assert b"Canary" not in collector.bytes


async def test_readers_that_were_coalesced_are_linked_to_the_read_that_served_them(vendor: ScriptedVendor) -> None:
    """Whoever began it has it as a part of its own trace."""
    vendor.answer("result", later(0.3, send(pending())))
    async with traced(vendor, default_max_age=60) as (collector, _, client):
        await asyncio.gather(*(client.GetCallRequestResult(GET) for _ in range(4)))
        await collector.until(lambda: len(collector.named("/GetCallRequestResult")) == 4)
        (read,) = collector.named("read")
        calls = collector.named("/GetCallRequestResult")
    joined = [span for span in calls if span.span_id != read.parent_span_id]
    assert len(joined) == 3
    for span in joined:
        assert [link.span_id for link in span.links] == [read.span_id]
        assert [attributes(event)["callrequest.read.source"] for event in span.events] == ["coalesced"]


async def test_the_steps_of_a_cancel_are_events(vendor: ScriptedVendor) -> None:
    """The POST, its doubt, what was read back, and what settled it; also for a caller that has left."""
    vendor.answer("cancel", hang_up())
    vendor.answer("result", send(pending() | {"callRequetStatus": "CANCELLED"}))
    async with traced(vendor) as (collector, _, client):
        await client.CancelCallRequest(CANCEL, timeout=10)
        span = await collector.span("cancel")
        call = await collector.span("/CancelCallRequest")
        post = await collector.span("POST cancel")
    assert [event.name for event in span.events] == ["post", "post failed", "read back", "settled"]
    assert attributes(span.events[1]) == {"error.type": "VENDOR_UNAVAILABLE", "callrequest.cancel.in_doubt": True}
    assert attributes(span.events[2]) == {"callrequest.status": "CANCELLED"}
    assert attributes(span.events[3]) == {"callrequest.cancel.settled_by": "reading back"}
    assert (span.parent_span_id, post.parent_span_id) == (call.span_id, span.span_id)
    assert (attributes(post)["error.type"], post.status.code) == ("broken", ERROR)


async def test_what_is_asked_of_the_engine_is_a_part_of_the_read(vendor: ScriptedVendor) -> None:
    """Each script by its name, without keys: those have ids."""
    (port,) = free_ports(1)
    with engine(port) as valkey:
        async with traced(vendor, state_url=SecretStr(valkey.url), final_max_age=60) as (collector, gateway, client):
            async with asyncio.timeout(30):
                while "state_up 1.0" not in await metrics_of(gateway):  # noqa: ASYNC110 (plain state)
                    await asyncio.sleep(0.05)
            await client.GetCallRequestResult(GET)
            read, take = await collector.span("read"), await collector.span("EVALSHA take")
            await collector.span("EVALSHA store")
    assert (take.parent_span_id, take.status.code) == (read.span_id, UNSET)
    assert attributes(take) == {"db.system.name": "redis", "db.operation.name": "EVALSHA"}


async def test_a_batch_has_its_reads_as_parts(vendor: ScriptedVendor) -> None:
    """Each with its request."""
    ids = [RESULT_ID, "0123456789abcdef"]
    async with traced(vendor) as (collector, _, client):
        await client.BatchGetCallRequestResults(BatchGetCallRequestResultsRequest(call_request_ids=ids))
        call = await collector.span("/BatchGetCallRequestResults")
        await collector.until(lambda: len(collector.named("read")) == 2)
        assert {span.parent_span_id for span in collector.named("read")} == {call.span_id}


async def test_a_watch_is_one_span_without_its_polls(vendor: ScriptedVendor) -> None:
    """They serve all watchers of the id, and go on when one has left."""
    async with traced(vendor, watch_pending_interval=0.1) as (collector, _, client):
        watch = client.WatchCallRequestResult(WatchCallRequestResultRequest(call_request_id=RESULT_ID))
        await watch.read()
        await vendor.until(lambda: vendor.requests("result"))
        watch.cancel()
        span = await collector.span("/WatchCallRequestResult")
        assert attributes(span)["rpc.response.status_code"] == "CANCELLED"
        assert collector.named("read") == []


@pytest.mark.parametrize(
    ("ratio", "header", "sampled"),
    [
        pytest.param(0.0, None, False, id="none of those that leave it to us"),
        pytest.param(1.0, None, True, id="all of those that leave it to us"),
        pytest.param(0.0, SAMPLED, True, id="the caller samples"),
        pytest.param(1.0, NOT_SAMPLED, False, id="the caller does not"),
        pytest.param(0.0, ("traceparent", f"01-{TRACE}-{PARENT}-03-more"), True, id="a later version, more flags"),
        pytest.param(0.0, ("traceparent", f"00-{TRACE}-{PARENT}-02"), False, id="another flag"),
        pytest.param(0.0, ("traceparent", f"00-{'0' * 32}-{PARENT}-01"), False, id="ids that are none"),
    ],
)
async def test_the_callers_flag_decides_else_the_ratio(
    vendor: ScriptedVendor,
    ratio: float,
    header: tuple[str, str] | None,
    sampled: bool,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The trace id is in the line of the log and in the trailer; what is not sampled is passed on as it came."""
    log_to_stdout("info")
    async with traced(vendor, ratio) as (collector, _, client):
        call = client.GetCallRequestResult(GET, metadata=() if header is None else (header,))
        await call
        trailers = dict(await call.trailing_metadata())
        await client.CancelCallRequest(CANCEL, metadata=(SAMPLED,))
        await collector.span("/CancelCallRequest")  # so that the other one would be there by now
        spans = collector.named("/GetCallRequestResult")
    silence_logs()
    assert len(spans) == sampled
    lines = map(json.loads, capfd.readouterr().out.splitlines())
    (line,) = [each for each in lines if each.get("method") == "GetCallRequestResult"]
    assert trailers.get("x-trace-id") == line.get("trace_id")
    if sampled:
        assert line["trace_id"] == spans[0].trace_id.hex()
    (asked,) = vendor.requests("result")
    if not sampled:
        well_formed = header is not None and "0" * 32 not in header[1]
        assert asked.headers.get("traceparent") == (header[1] if well_formed and header else None)


async def test_health_is_not_traced(vendor: ScriptedVendor) -> None:
    """Probes come all day."""
    async with traced(vendor) as (collector, gateway, client):
        async with grpc.aio.insecure_channel(str(gateway.address)) as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            await health.Check(health_pb2.HealthCheckRequest(), metadata=(SAMPLED,))
        await client.GetCallRequestResult(GET)
        await collector.span("/GetCallRequestResult")
        assert collector.named("Check") == []


NAME, MAIL, TOKEN_TEXT, CALLERS_TEXT = "Zyx Canary", "canary@hotel.example", "token-canary-7Q", "caller-canary"
OUTCOME = {"callType": NAME, "recipientName": NAME, "outcomeDetails": NAME, "actionRequired": {"email": MAIL}}


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(send(pending() | {"callRequetStatus": "COMPLETED", "result": OUTCOME}), id="a result"),
        pytest.param(send(pending() | {"callRequetStatus": MAIL}), id="a status of theirs"),
        pytest.param(send(failed(f"{NAME} {MAIL}", f"{NAME} {MAIL}")), id="an error that nobody knows"),
        pytest.param(send(f"<html>{NAME} {MAIL}"), id="a page"),
        pytest.param(send("", 302, location=f"https://{MAIL}/{TOKEN_TEXT}"), id="a redirect"),
        pytest.param(send(f"{NAME}", 401, www_authenticate=TOKEN_TEXT), id="a refusal of the token"),
    ],
)
async def test_nothing_personal_or_secret_is_in_a_trace(vendor: ScriptedVendor, reply: Any) -> None:
    """In none of the bytes that the collector gets: guests, tokens, credentials, what a caller sent."""
    vendor.answer("token", send(TOKEN | {"access_token": TOKEN_TEXT}))
    vendor.answer("result", reply)
    vendor.answer("cancel", reply)
    async with traced(vendor, vendor_client_id="client-canary") as (collector, _, client):
        metadata = (("x-caller", CALLERS_TEXT), ("authorization", f"Bearer {CALLERS_TEXT}"))
        for call_request_id in (RESULT_ID, CALLERS_TEXT):
            await ended(
                client.GetCallRequestResult(
                    GetCallRequestResultRequest(call_request_id=call_request_id), metadata=metadata
                )
            )
        await ended(client.CancelCallRequest(CANCEL, timeout=1, metadata=metadata))
        await collector.span("/CancelCallRequest")
        sent = collector.bytes
    assert b"POST token" in sent
    for canary in (NAME, MAIL, TOKEN_TEXT, CALLERS_TEXT, SECRET, "client-canary", "client_secret"):
        assert canary.encode() not in sent
