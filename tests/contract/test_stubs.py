"""The Python stubs as callers take them: without the server, blocking or not."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import grpc_testing
import pytest

from callrequest.v1 import call_request_service_pb2 as pb
from callrequest.v1.call_request_pb2 import CALL_REQUEST_STATUS_PENDING_TO_CALL, CallRequestResult
from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceStub

ROOT = Path(__file__).parents[2]
SERVICE = pb.DESCRIPTOR.services_by_name["CallRequestService"]


def test_the_stubs_need_nothing_of_the_server(tmp_path: Path) -> None:
    """Importing them loads grpc and protobuf, and no module of the server's or of its dependencies'."""
    program = (
        "import sys, callrequest.v1.call_request_service_pb2_grpc, callrequest.v1.cancellation_pb2\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    (tmp_path / "callrequest").symlink_to(ROOT / "callrequest")
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"callrequest", "grpc", "google"} <= set(loaded)
    assert not {"server", "httpx", "aiohttp", "pydantic", "structlog"} & set(loaded)


def test_a_blocking_caller_gets_a_typed_answer() -> None:
    """The blocking stub sends the request of the contract and returns the response of the contract."""
    channel = grpc_testing.channel([SERVICE], grpc_testing.strict_real_time())
    with ThreadPoolExecutor(1) as caller:
        request = pb.GetCallRequestResultRequest(call_request_id="77b2c4d5e6f7g890")
        answer = caller.submit(CallRequestServiceStub(channel).GetCallRequestResult, request, timeout=5)
        _, received, call = channel.take_unary_unary(SERVICE.methods_by_name["GetCallRequestResult"])
        assert received == request
        result = CallRequestResult(call_request_id="77b2c4d5e6f7g890", status=CALL_REQUEST_STATUS_PENDING_TO_CALL)
        response = pb.GetCallRequestResultResponse(call_request_result=result)
        call.terminate(response, (), grpc.StatusCode.OK, "")
        assert answer.result(5).call_request_result.status == CALL_REQUEST_STATUS_PENDING_TO_CALL


def test_a_blocking_caller_gets_a_standard_error() -> None:
    """A failed call raises RpcError with its code."""
    channel = grpc_testing.channel([SERVICE], grpc_testing.strict_real_time())
    with ThreadPoolExecutor(1) as caller:
        answer = caller.submit(
            CallRequestServiceStub(channel).CancelCallRequest, pb.CancelCallRequestRequest(), timeout=5
        )
        _, _, call = channel.take_unary_unary(SERVICE.methods_by_name["CancelCallRequest"])
        call.terminate(None, (), grpc.StatusCode.INVALID_ARGUMENT, "no")
        with pytest.raises(grpc.RpcError) as caught:
            answer.result(5)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_every_unary_method_has_its_idempotency_level() -> None:
    """Clients and proxies read it: reads change nothing, everything else is idempotent."""
    for method in SERVICE.methods:
        reads = method.name.startswith(("Get", "BatchGet", "List"))
        no_side_effects, idempotent, none = 1, 2, 0  # of a stream there is none
        expected = none if method.server_streaming else no_side_effects if reads else idempotent
        assert method.GetOptions().idempotency_level == expected, method.name
