"""Whatever is raised, wherever: a call ends with a status of ours, a line in the log, and its count."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor

from callrequest.v1 import call_request_service_pb2 as pb
from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.call_request_service_pb2_grpc import (
    CallRequestServiceStub,
    add_CallRequestServiceServicer_to_server,
)
from server.errors import GatewayError
from server.observability.access_log import AccessLog
from server.observability.metrics import Metrics
from server.rpc.interceptor import Interceptor
from testkit.failure import failure
from testkit.logs import log_to_stdout
from testkit.scripted_vendor import RESULT_ID, ScriptedVendor
from testkit.servicer import empty_response, servicer

GET = pb.GetCallRequestResultRequest(call_request_id=RESULT_ID)
WATCH = pb.WatchCallRequestResultRequest(call_request_id=RESULT_ID)
SECRET_TEXT = "Leo Messi 4242"

Handler = Callable[[Any, Any], Awaitable[Any]]


def _servicer(handler: Handler) -> Any:
    """All methods call the handler; one that streams sends an empty response first."""

    def streaming(method: MethodDescriptor) -> Any:
        async def answer(request: Any, context: Any) -> Any:
            yield empty_response(method)
            yield await handler(request, context)

        return answer

    return servicer(lambda method: handler, streaming)


@asynccontextmanager
async def server_of(handler: Handler, metrics: Metrics) -> AsyncIterator[str]:
    """The address of a server whose handlers do what a test says, behind the real interceptor."""
    server = grpc.aio.server()
    interceptor: Any = Interceptor(server, metrics.calls, AccessLog("info", None))
    add_CallRequestServiceServicer_to_server(_servicer(handler), interceptor)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[tuple[Any, Metrics]]:
    """Such a server, by its client."""
    metrics = Metrics()
    async with server_of(handler, metrics) as address, grpc.aio.insecure_channel(address) as channel:
        yield CallRequestServiceStub(channel), metrics


async def _raises(request: Any, context: Any) -> Any:
    raise ValueError(SECRET_TEXT)


async def _gives_nothing(request: Any, context: Any) -> Any:
    return None


async def _gives_another_type(request: Any, context: Any) -> Any:
    return SECRET_TEXT


async def _is_cancelled_by_another(request: Any, context: Any) -> Any:
    other = asyncio.get_running_loop().create_future()
    other.cancel()
    await other


DEFECTS: dict[str, Handler] = {
    "an exception": _raises,
    "no response": _gives_nothing,
    "a response of another type": _gives_another_type,
    "a cancellation that the caller did not ask for": _is_cancelled_by_another,
}


@pytest.mark.parametrize("handler", [pytest.param(handler, id=name) for name, handler in DEFECTS.items()])
async def test_a_defect_is_internal_and_its_text_stays_here(
    handler: Handler, capsys: pytest.CaptureFixture[str]
) -> None:
    """INTERNAL with a fixed text at once; the log has the class and the place, never the exception's text."""
    log_to_stdout("info")
    async with serving(handler) as (client, _):
        for call in (
            client.GetCallRequestResult(GET, timeout=20),
            _all(client.WatchCallRequestResult(WATCH, timeout=20)),
        ):
            got = await failure(call)
            assert (got.code, got.reason, got.text) == ("INTERNAL", "INTERNAL", "The gateway failed.")
    logged = capsys.readouterr().out
    assert SECRET_TEXT not in logged
    unexpected = [line for line in map(json.loads, logged.splitlines()) if line["event"] == "unexpected"]
    assert len(unexpected) == 2
    assert all(line["error"] and line["at"] for line in unexpected)


async def _all(stream: Any, seen: list[Any] | None = None) -> None:
    async for message in stream:
        if seen is not None:
            seen.append(message)


async def _until_counted(code: str, metrics: Metrics) -> None:
    """Waits until a read has been counted with that code: its caller has the status first."""
    read = 'grpc_method="GetCallRequestResult",grpc_service="callrequest.v1.CallRequestService",grpc_type="unary"'
    async with asyncio.timeout(30):
        while f'{{grpc_code="{code}",{read}}} 1.0'.encode() not in metrics.exposition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_an_abort_of_a_handler_is_left_as_it_is() -> None:
    """context.abort is no defect: its code and text go through."""

    async def handler(request: Any, context: Any) -> Any:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "later")

    async with serving(handler) as (client, metrics):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.GetCallRequestResult(GET)
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNIMPLEMENTED, "later")
        await _until_counted("UNIMPLEMENTED", metrics)


async def test_a_failure_of_a_stream_comes_after_what_was_sent() -> None:
    """A stream that fails half-way ends with the failure's status and details."""

    async def handler(request: Any, context: Any) -> Any:
        raise GatewayError(reasons.ERROR_REASON_VENDOR_RATE_LIMITED, retry_after=5)

    async with serving(handler) as (client, _):
        seen: list[Any] = []
        got = await failure(_all(client.WatchCallRequestResult(WATCH), seen))
    assert len(seen) == 1
    assert (got.code, got.reason, got.retry) == ("RESOURCE_EXHAUSTED", "VENDOR_RATE_LIMITED", 5.0)


def _calls(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The lines of calls; beside them there is at most what asyncio says of a task that another test left behind."""
    lines = list(map(json.loads, capsys.readouterr().out.splitlines()))
    calls = [line for line in lines if line["event"] == "call"]
    assert all(line.get("logger") == "asyncio" for line in lines if line not in calls), lines
    return calls


async def test_a_call_is_logged_in_one_line_of_listed_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON line a call: method, code, reason, time, and the id only when it is one."""
    log_to_stdout("info")

    async def handler(request: Any, context: Any) -> Any:
        if request.HasField("max_age"):
            raise GatewayError(reasons.ERROR_REASON_VENDOR_FAILED)
        return pb.GetCallRequestResultResponse()

    async with serving(handler) as (client, _):
        await client.GetCallRequestResult(GET)
        await client.GetCallRequestResult(pb.GetCallRequestResultRequest(call_request_id=SECRET_TEXT))
        failing = pb.GetCallRequestResultRequest(call_request_id=RESULT_ID)
        failing.max_age.seconds = 1
        await failure(client.GetCallRequestResult(failing))
    lines = _calls(capsys)
    for line in lines:
        assert list(line)[:3] == ["time", "level", "event"]
        assert line.pop("time")
        assert line.pop("duration_ms") >= 0
        assert len(line.pop("request_id")) == 32
    usual = {"level": "info", "event": "call", "method": "GetCallRequestResult", "code": "OK"}
    assert lines == [
        usual | {"call_request_id": RESULT_ID},
        usual,
        usual | {"level": "warning", "code": "INTERNAL", "reason": "VENDOR_FAILED", "call_request_id": RESULT_ID},
    ]


async def test_a_caller_that_leaves_is_counted_as_cancelled() -> None:
    """A cancelled call ends as CANCELLED in the metrics, and its handler ends."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def handler(request: Any, context: Any) -> Any:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async with serving(handler) as (client, metrics):
        call = client.GetCallRequestResult(GET)
        async with asyncio.timeout(30):
            await begun.wait()
            call.cancel()
            await ended.wait()
        await _until_counted("CANCELLED", metrics)


async def test_a_cancel_does_not_wait_behind_reads() -> None:
    """While the event loop is busy, 200 reads and then a cancel arrive: the cancel is not the last to be taken."""
    taken: list[str] = []

    async def handler(request: Any, context: Any) -> Any:
        cancels = isinstance(request, pb.CancelCallRequestRequest)
        taken.append("cancel" if cancels else "read")
        return pb.CancelCallRequestResponse() if cancels else pb.GetCallRequestResultResponse()

    async with server_of(handler, Metrics()) as address:
        with grpc.insecure_channel(address) as channel:  # its threads send while the loop is blocked
            grpc.channel_ready_future(channel).result(5)
            client = CallRequestServiceStub(channel)
            calls: list[Any] = [client.GetCallRequestResult.future(GET, timeout=20) for _ in range(200)]
            time.sleep(0.3)  # noqa: ASYNC251 (it blocks on purpose)
            calls.append(client.CancelCallRequest.future(pb.CancelCallRequestRequest(call_request_id=RESULT_ID)))
            time.sleep(0.3)  # noqa: ASYNC251
            await asyncio.gather(*(asyncio.to_thread(call.result, 10) for call in calls))
    assert len(taken) == 201
    assert taken.index("cancel") < 50


async def _refuses(request: Any, context: Any) -> Any:
    raise GatewayError(reasons.ERROR_REASON_VENDOR_FAILED)


async def _answers(request: Any, context: Any) -> Any:
    return pb.GetCallRequestResultResponse()


PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("handler", [pytest.param(_answers, id="answered"), pytest.param(_refuses, id="failed")])
async def test_a_calls_ids_are_in_its_trailers_and_its_line(
    handler: Handler, capsys: pytest.CaptureFixture[str]
) -> None:
    """The caller's own, when they are well-formed; so that both sides find the same call in their logs."""
    log_to_stdout("info")
    async with serving(handler) as (client, _):
        trailers = []
        for metadata in ((("x-request-id", "order-1.a"), ("traceparent", PARENT)), (("x-request-id", SECRET_TEXT),)):
            call = client.GetCallRequestResult(GET, metadata=metadata)
            await asyncio.gather(call, return_exceptions=True)
            trailers.append(dict(await call.trailing_metadata()))
    first, second = _calls(capsys)
    assert (trailers[0]["x-request-id"], trailers[0]["x-trace-id"]) == ("order-1.a", PARENT[3:35])
    assert (first["request_id"], first["trace_id"]) == ("order-1.a", PARENT[3:35])
    assert second["request_id"] == trailers[1]["x-request-id"]
    assert "trace_id" not in second
    assert "x-trace-id" not in trailers[1]


async def test_a_calls_ids_go_to_the_vendor(vendor: ScriptedVendor, client: Any) -> None:
    """With the request that it causes; without a traceparent there is none."""
    await client.GetCallRequestResult(GET, metadata=(("x-request-id", "order-1"), ("traceparent", PARENT)))
    await client.GetCallRequestResult(GET, metadata=(("x-request-id", "order-2"),))
    sent = [(each.headers.get("x-request-id"), each.headers.get("traceparent")) for each in vendor.asked]
    assert ("order-1", PARENT) in sent
    assert ("order-2", None) in sent
