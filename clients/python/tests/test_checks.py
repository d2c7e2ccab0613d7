"""What every client is checked for, in each language by the same names: tools/clients."""

import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import grpc
import pytest
from callrequest.v1 import call_request_pb2 as results
from callrequest.v1 import cancellation_pb2 as cancellations
from callrequest.v1.error_reason_pb2 import ErrorReason
from google.protobuf.unknown_fields import UnknownFieldSet

from client.calls import describe, describe_cancellation, describe_rejection
from client.channel import Gateway
from client.decision import Decision
from client.decision_table import DECISIONS
from client.decisions import MAX_RETRY_AFTER, Failure

from .conftest import PENDING, Connect, needed
from .sandbox import Sandbox

NO_CONFIG = "{}"


def failure(call: Callable[..., object], *arguments: object) -> Failure:
    """Makes a call that must fail, and decodes its error."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments)
    return Failure.of(caught.value)


def test_reads_a_typed_outcome(gateway: Gateway, connect: Connect) -> None:
    """A completed call request has an outcome, a pending one has none."""
    caller = connect(gateway)
    completed = caller.read("77b2c4d5e6f7g890")
    assert completed.status == results.CALL_REQUEST_STATUS_COMPLETED
    assert completed.outcome.call_type == results.CALL_TYPE_AUTHORIZATION_VERIFICATION
    assert completed.outcome.call_status == results.CALL_STATUS_SUCCESS
    assert describe(completed) == "The hotel was phoned.\nCALL_TYPE_AUTHORIZATION_VERIFICATION: verified."
    pending = caller.read(PENDING)
    assert pending.status == results.CALL_REQUEST_STATUS_PENDING_TO_CALL
    assert not pending.HasField("outcome")
    assert describe(pending) == "The hotel is not phoned yet."


def test_shows_unrecognized_values(gateway: Gateway, connect: Connect) -> None:
    """What the gateway cannot read leaves its field UNSPECIFIED and is listed in the vendor's words."""
    result = connect(gateway).read("q14NewStatus0001")
    assert result.status == results.CALL_REQUEST_STATUS_UNSPECIFIED
    assert [(value.field, value.value) for value in result.unrecognized_values] == [("status", "ON_HOLD")]
    assert "The gateway does not know this status: ON_HOLD" in describe(result)


def test_cancels_once_and_again(gateway: Gateway, sandbox: Sandbox, connect: Connect) -> None:
    """The first cancel cancels, the second finds it cancelled."""
    sandbox.make("cancelOnceAgain1", call_in=3600)
    caller = connect(gateway)
    first, second = caller.cancel("cancelOnceAgain1"), caller.cancel("cancelOnceAgain1")
    assert first.outcome == cancellations.CANCELLATION_OUTCOME_CANCELLED
    assert second.outcome == cancellations.CANCELLATION_OUTCOME_ALREADY_CANCELLED
    assert describe_cancellation(first) == "It is cancelled."
    assert describe_cancellation(second) == "It had been cancelled before."
    assert describe(caller.read("cancelOnceAgain1")) == "The call request is cancelled."


@pytest.mark.parametrize(
    ("call_request_id", "reason", "text"),
    [
        ("cancelCheckedIn1", cancellations.CANCELLATION_REJECTION_REASON_CHECK_IN_PASSED, "The check-in is past."),
        (
            "cancelInProgress",
            cancellations.CANCELLATION_REJECTION_REASON_CALL_IN_PROGRESS,
            "The hotel is being phoned.",
        ),
        ("cancelCompleted1", cancellations.CANCELLATION_REJECTION_REASON_CALL_COMPLETED, "The hotel was phoned."),
    ],
    ids=["check-in-passed", "call-in-progress", "call-completed"],
)
def test_tells_rejections_apart(
    gateway: Gateway,
    connect: Connect,
    call_request_id: str,
    reason: cancellations.CancellationRejectionReason.ValueType,
    text: str,
) -> None:
    """A cancel that is too late has a reason."""
    failed = failure(connect(gateway).cancel, call_request_id)
    assert (failed.code, failed.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CANCELLATION_NOT_ALLOWED")
    assert failed.rejected is not None
    assert failed.rejected.reason == reason
    assert describe_rejection(failed.rejected) == text
    assert failed.decide(cancelling=True) == Decision.READ_RESULT


def test_decodes_error_details(gateway: Gateway, sandbox: Sandbox, connect: Connect) -> None:
    """ErrorInfo, BadRequest with its field, RetryInfo with its time."""
    caller = connect(gateway)
    wrong = failure(caller.read, "../etc/passwd")
    assert (wrong.code, wrong.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert [field for field, _ in wrong.violations] == ["call_request_id"]
    assert wrong.retry_after is None
    assert wrong.rejected is None

    of_its_own = f"limited{time.time_ns() % 10**9:09d}"  # the gateway keeps to what it was sent for an id
    sandbox.make(of_its_own, fault="too_many_requests", seconds=7)  # so long that the gateway does not wait itself
    limited = failure(caller.read, of_its_own)
    assert (limited.code, limited.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "VENDOR_RATE_LIMITED")
    assert limited.retry_after == timedelta(seconds=7)
    assert limited.violations == ()


def test_decides_for_every_reason() -> None:
    """Each ErrorReason of the contract has its decision; what is unknown is decided by its code."""
    known = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()} - {"UNSPECIFIED"}  # noqa: SIM118
    assert set(DECISIONS) >= known
    for named, decision in DECISIONS.items():
        failed = Failure(grpc.StatusCode.OK, "", named)
        assert failed.decide(cancelling=False) == decision
        assert failed.decide(cancelling=True) == (Decision.READ_RESULT if named == "INTERNAL" else decision)
    assert set(DECISIONS.values()) == set(Decision)


@pytest.mark.parametrize("reason", ["", "UNSPECIFIED", "OF_TOMORROW"])
def test_decides_by_code_without_a_known_reason(reason: str) -> None:
    """Some codes may be retried, some mean a wrong request, all others are for operators."""
    decisions = {code: Failure(code, "", reason).decide(cancelling=False) for code in grpc.StatusCode}
    codes = grpc.StatusCode
    for code in (codes.UNAVAILABLE, codes.RESOURCE_EXHAUSTED, codes.DEADLINE_EXCEEDED):
        assert decisions.pop(code) == Decision.RETRY_LATER
    # Without any reason it is a server that stops, or the caller itself; with one the gateway has answered.
    cancelled = Decision.ALERT_OPERATORS if reason else Decision.RETRY_LATER
    assert decisions.pop(codes.CANCELLED) == cancelled
    for code in (codes.INVALID_ARGUMENT, codes.NOT_FOUND):
        assert decisions.pop(code) == Decision.FIX_REQUEST
    assert set(decisions.values()) == {Decision.ALERT_OPERATORS}


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED]
)
def test_a_cancel_without_an_answer_may_have_been_sent(code: grpc.StatusCode) -> None:
    """A failure of the transport leaves the cancel in doubt; one with a reason is the gateway's answer."""
    assert Failure(code, "").decide(cancelling=True) == Decision.READ_RESULT
    answered = Failure(code, "", "OF_TOMORROW")
    assert answered.decide(cancelling=True) == answered.decide(cancelling=False) != Decision.READ_RESULT


@pytest.mark.parametrize("fault", ["slow", "hang"])
def test_keeps_its_deadline(gateway: Gateway, sandbox: Sandbox, connect: Connect, fault: str) -> None:
    """A call ends when its time is over, whatever the vendor does."""
    sandbox.plan("result", fault)
    begun = time.monotonic()
    late = failure(connect(gateway).read, PENDING, 1.0)
    assert 0.8 < time.monotonic() - begun < 3
    assert late.code == grpc.StatusCode.DEADLINE_EXCEEDED
    assert late.decide(cancelling=False) == Decision.RETRY_LATER


def test_sends_its_identity(secured: Gateway, connect: Connect) -> None:
    """By token over TLS: none is not known, a reader may read, and who may cancel cancels."""
    reader = connect(replace(secured, token=needed("CALL_REQUEST_READER_TOKEN")))
    assert reader.read(PENDING).call_request_id == PENDING
    forbidden = failure(reader.cancel, "cancelAccepted01")
    assert (forbidden.code, forbidden.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_FORBIDDEN")
    stranger = failure(connect(secured).read, PENDING)
    assert (stranger.code, stranger.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CALLER_UNAUTHENTICATED")
    canceller = connect(replace(secured, token=needed("CALL_REQUEST_TOKEN")))
    assert canceller.cancel("cancelAccepted01").call_request_id == "cancelAccepted01"


def test_retries_reads_by_service_config(gateway: Gateway, sandbox: Sandbox, connect: Connect) -> None:
    """With the recommended service config a read outlives failures that it does not outlive without."""
    sandbox.plan("result", "unavailable", times=3)  # as often as the gateway itself tries for one call
    assert connect(gateway).read(PENDING).call_request_id == PENDING
    assert sandbox.counts()["result"] == 4
    sandbox.plan("result", "unavailable", times=3)
    assert failure(connect(replace(gateway, service_config=NO_CONFIG)).read, PENDING).reason == "VENDOR_UNAVAILABLE"


def test_sends_a_cancel_once(gateway: Gateway, sandbox: Sandbox, connect: Connect) -> None:
    """A cancel that ends UNAVAILABLE is not sent again: for one call the gateway asks for a token twice at most."""
    sandbox.revoke_tokens()
    sandbox.plan("token", "unavailable")
    caller = connect(gateway)
    while (failed := failure(caller.cancel, "cancelAccepted01")).reason == "VENDOR_REJECTED_CREDENTIALS":
        time.sleep(1)  # the gateway does not give up a token of less than 5 s
    assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "VENDOR_UNAVAILABLE")
    assert 1 <= sandbox.counts()["token"] <= 2


@pytest.mark.usefixtures("sandbox")
def test_watches_health(gateway: Gateway, connect: Connect) -> None:
    """The channel asks for the health of the service that the service config names, and calls only what serves it."""
    assert connect(gateway).read(PENDING).call_request_id == PENDING
    config = json.loads(gateway.service_config)
    config["healthCheckConfig"]["serviceName"] = "no.such.Service"
    unhealthy = failure(connect(replace(gateway, service_config=json.dumps(config))).read, PENDING)
    assert unhealthy.code == grpc.StatusCode.UNAVAILABLE
    assert "unhealthy" in unhealthy.text


def test_connects_again_soon() -> None:
    """After an attempt to connect that failed the next one comes in less than the second that gRPC waits by itself."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with Gateway(address).channel() as channel:
        ready = grpc.channel_ready_future(channel)
        time.sleep(0.2)
        server = grpc.server(ThreadPoolExecutor(1))
        server.add_insecure_port(address)
        server.start()
        ready.result(0.4)
        server.stop(None)


def test_meets_the_unknown(connect: Connect) -> None:
    """A later version's words and fields come through, and its reasons are decided by code."""
    caller = connect(Gateway(needed("CALL_REQUEST_GATEWAY_NEXT")))
    result = caller.read("nextVersion00001")
    assert (result.status, result.outcome.call_type) == (99, 99)
    assert describe(result).splitlines() == [
        "The status is new to this program: 99.",
        "99: whether it was verified is not known.",
    ]
    copied = results.CallRequestResult.FromString(result.SerializeToString())
    unknown = UnknownFieldSet(copied)[0]
    assert (unknown.field_number, unknown.data) == (900, b"tomorrow")
    failed = failure(caller.read, "nextVersion00002")
    assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "VENDOR_ON_THE_MOON")
    assert failed.decide(cancelling=False) == Decision.RETRY_LATER


PENDING_TO_CALL, IN_PROGRESS = results.CALL_REQUEST_STATUS_PENDING_TO_CALL, results.CALL_REQUEST_STATUS_IN_PROGRESS
COMPLETED = results.CALL_REQUEST_STATUS_COMPLETED


def test_follows_to_the_end(gateway: Gateway, sandbox: Sandbox, connect: Connect) -> None:
    """Each status in turn, and the outcome at the end; what waiting does not mend ends it at once."""
    caller = connect(gateway)
    sandbox.make("followToTheEnd01", call_in=1.5, call_takes=1.5)
    followed = caller.follow("followToTheEnd01")
    assert [result.status for result in followed] == [PENDING_TO_CALL, IN_PROGRESS, COMPLETED]
    assert followed[-1].HasField("outcome")
    assert failure(caller.follow, "unknownToVendor1").reason == "CALL_REQUEST_NOT_FOUND"


def test_follows_through_reconnects(sandbox: Sandbox, connect: Connect) -> None:
    """A gateway that ends the stream is watched again, after the time that it asks for; each result comes once."""
    caller = connect(Gateway(needed("CALL_REQUEST_GATEWAY_RESTLESS")))
    sandbox.make("followReconnects", call_in=4, call_takes=0.1)
    statuses = [result.status for result in caller.follow("followReconnects")]
    assert statuses in ([PENDING_TO_CALL, COMPLETED], [PENDING_TO_CALL, IN_PROGRESS, COMPLETED])


def test_follows_through_silence(sandbox: Sandbox, connect: Connect) -> None:
    """A connection that is gone without a word is noticed, and the result is followed on another."""
    caller = connect(Gateway(needed("CALL_REQUEST_GATEWAY_SILENT")))
    sandbox.make("followInSilence1", call_in=4, call_takes=0.1)
    begun = time.monotonic()
    assert [result.status for result in caller.follow("followInSilence1")] == [PENDING_TO_CALL, COMPLETED]
    assert time.monotonic() - begun < 90


@pytest.mark.parametrize(
    ("call_request_id", "statuses"),
    [
        pytest.param("badDetails000001", [PENDING_TO_CALL, COMPLETED], id="details-that-cannot-be-read"),
        pytest.param("olderResult00001", [IN_PROGRESS, COMPLETED], id="an-older-result"),
        pytest.param("endsAndEnds00001", [PENDING_TO_CALL, COMPLETED], id="streams-that-end-at-once"),
    ],
)
def test_follows_a_flawed_gateway(
    call_request_id: str, statuses: "list[results.CallRequestStatus.ValueType]", connect: Connect
) -> None:
    """What breaks the contract neither stops a follower nor leads it back, nor has it call without a pause."""
    caller = connect(Gateway(needed("CALL_REQUEST_GATEWAY_FLAWED")))
    assert [result.status for result in caller.follow(call_request_id)] == statuses
    assert failure(caller.read, "waitTooLong00001").retry_after == MAX_RETRY_AFTER


def test_reads_many_at_once(gateway: Gateway, connect: Connect) -> None:
    """A result or a failure for each id, in order, each failure with its decision."""
    asked = [PENDING, "not an id", "unknownToVendor1", "77b2c4d5e6f7g890"]
    pending, wrong, unknown, completed = connect(gateway).read_many(asked)
    assert isinstance(pending, results.CallRequestResult)
    assert isinstance(completed, results.CallRequestResult)
    assert (pending.status, completed.status) == (PENDING_TO_CALL, COMPLETED)
    assert isinstance(wrong, Failure)
    assert isinstance(unknown, Failure)
    assert (wrong.code, wrong.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert (unknown.code, unknown.reason) == (grpc.StatusCode.NOT_FOUND, "CALL_REQUEST_NOT_FOUND")
    assert wrong.decide(cancelling=False) == unknown.decide(cancelling=False) == Decision.FIX_REQUEST
    assert failure(connect(gateway).read_many, []).reason == "INVALID_REQUEST"
