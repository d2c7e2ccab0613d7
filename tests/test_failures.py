"""What each failure is to a caller, each caused by a vendor on a real socket."""

import socket
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.call_request_service_pb2 import CancelCallRequestRequest, GetCallRequestResultRequest
from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceStub
from callrequest.v1.error_reason_pb2 import ErrorReason
from server.app import Gateway
from server.errors import CATALOGUE
from testkit.failure import Failure, failure, failure_at_deadline
from testkit.gateway import connected, started
from testkit.scripted_vendor import (
    RESULT_ID,
    TOKEN,
    Answer,
    ScriptedVendor,
    cancelled,
    failed,
    hang_up,
    later,
    never,
    pending,
    raw,
    reset,
    send,
    trickle,
    with_status,
)

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub

OTHER_ID = "bcpFuj1ipoBKLz5G"
HTML = "<!doctype html><title>Gateway</title><h1>It works</h1>"
GET = GetCallRequestResultRequest(call_request_id=RESULT_ID)
ROOT = Path(__file__).parents[1]
SERVICE_CONFIG = ROOT / "clients/service_config.json"
CANCEL = CancelCallRequestRequest(call_request_id=RESULT_ID)


@dataclass(frozen=True)
class Case:
    """What the vendor answers to an operation, and what the caller must get."""

    answers: dict[str, Answer | tuple[Answer, ...]]
    code: str
    reason: str
    retry: tuple[float, float] | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    timeout: float = 5


def result(*answers: Answer) -> dict[str, Answer | tuple[Answer, ...]]:
    return {"result": answers}


UNAVAILABLE = ("UNAVAILABLE", "VENDOR_UNAVAILABLE")
MALFORMED = ("INTERNAL", "VENDOR_MALFORMED_RESPONSE")
CREDENTIALS = ("INTERNAL", "VENDOR_REJECTED_CREDENTIALS")
ONE_SECOND = (1.0, 1.0)

READS = {
    "NOT_FOUND at 200": Case(result(send(failed("NOT_FOUND"))), "NOT_FOUND", "CALL_REQUEST_NOT_FOUND"),
    "NOT_FOUND at 404": Case(result(send(failed("NOT_FOUND"), 404)), "NOT_FOUND", "CALL_REQUEST_NOT_FOUND"),
    "NOT_FOUND at 503": Case(result(send(failed("NOT_FOUND"), 503)), "NOT_FOUND", "CALL_REQUEST_NOT_FOUND"),
    "NOT_FOUND otherwise spelt": Case(result(send(failed("not found"))), "NOT_FOUND", "CALL_REQUEST_NOT_FOUND"),
    "error without success": Case(
        result(send({"error": {"code": "NOT_FOUND"}})), "NOT_FOUND", "CALL_REQUEST_NOT_FOUND"
    ),
    "BAD_REQUEST": Case(result(send(failed("BAD_REQUEST"), 400)), "INVALID_ARGUMENT", "VENDOR_REJECTED_REQUEST"),
    "401 twice": Case(result(send(failed("UNAUTHORIZED"), 401)), *CREDENTIALS),
    "401 with NOT_FOUND": Case(result(send(failed("NOT_FOUND"), 401)), *CREDENTIALS),
    "403": Case(result(send("", 403)), *CREDENTIALS),
    "403 with JSON": Case(result(send({"message": "Forbidden"}, 403)), *CREDENTIALS),
    "403 with NOT_FOUND": Case(result(send(failed("NOT_FOUND"), 403)), "NOT_FOUND", "CALL_REQUEST_NOT_FOUND"),
    "403 with a firewall's page": Case(result(send(HTML, 403)), *MALFORMED),
    "522 of a CDN": Case(result(send(HTML, 522)), *UNAVAILABLE, ONE_SECOND),
    "nested 600 deep": Case(result(send('{"a":' * 600 + "1" + "}" * 600)), *MALFORMED),
    "token: 400": Case({"token": send({"error": "invalid_client"}, 400)}, *CREDENTIALS),
    "token: 401": Case({"token": send(failed("UNAUTHORIZED"), 401)}, *CREDENTIALS),
    "token: 403": Case({"token": send(HTML, 403)}, *CREDENTIALS),
    "token: 500": Case({"token": send("", 500)}, *UNAVAILABLE, ONE_SECOND),
    "token: 429": Case({"token": send("", 429)}, *UNAVAILABLE, ONE_SECOND),
    "token: HTML at 200": Case({"token": send(HTML)}, *UNAVAILABLE, ONE_SECOND),
    "token: 404": Case({"token": send(failed("NOT_FOUND"), 404)}, *UNAVAILABLE, ONE_SECOND),
    "token: OAuth error at 200": Case({"token": send({"error": "invalid_client"})}, *CREDENTIALS),
    "token: OAuth error beside a token": Case({"token": send(TOKEN | {"error": "invalid_scope"})}, *CREDENTIALS),
    "token: vendor's error at 200": Case({"token": send(failed("BAD_REQUEST"))}, *CREDENTIALS),
    "token: flag at 200": Case({"token": send({"success": "False"})}, *CREDENTIALS),
    "token: unknown code at 200": Case({"token": send({"success": False, "error": {"code": "X"}})}, *CREDENTIALS),
    "token: none in it": Case({"token": send({"success": True, "expires_in": 60})}, *UNAVAILABLE, ONE_SECOND),
    "token: empty": Case({"token": send(TOKEN | {"access_token": ""})}, *UNAVAILABLE, ONE_SECOND),
    "token: not a text": Case({"token": send(TOKEN | {"access_token": 7})}, *UNAVAILABLE, ONE_SECOND),
    "token: cannot be sent": Case({"token": send(TOKEN | {"access_token": "a\r\nb: c"})}, *UNAVAILABLE, ONE_SECOND),
    "token: not JSON": Case({"token": send('{"access_token": "t", "expires_in": NaN}')}, *UNAVAILABLE, ONE_SECOND),
    "token: hangs up twice": Case({"token": hang_up()}, *UNAVAILABLE, ONE_SECOND),
    "429 for 7 s": Case(
        result(send("", 429, retry_after="7")), "RESOURCE_EXHAUSTED", "VENDOR_RATE_LIMITED", (7.0, 7.0)
    ),
    "429 without a time": Case(result(send("", 429)), "RESOURCE_EXHAUSTED", "VENDOR_RATE_LIMITED", ONE_SECOND),
    "429 for 30 digits": Case(
        result(send("", 429, retry_after="9" * 30)), "RESOURCE_EXHAUSTED", "VENDOR_RATE_LIMITED", (300.0, 300.0)
    ),
    "429 for no time": Case(
        result(send("", 429, retry_after="0")), "RESOURCE_EXHAUSTED", "VENDOR_RATE_LIMITED", (0.1, 0.1)
    ),
    "429 until a date": Case(
        result(send("", 429, retry_after="Tue, 03 Jun 2099 09:31:00 GMT")),
        "RESOURCE_EXHAUSTED",
        "VENDOR_RATE_LIMITED",
        (300.0, 300.0),
    ),
    "429 until no date": Case(
        result(send("", 429, retry_after="soon, 99 Foo 20255 99:99:99")),
        "RESOURCE_EXHAUSTED",
        "VENDOR_RATE_LIMITED",
        ONE_SECOND,
    ),
    "502": Case(result(send(HTML, 502)), *UNAVAILABLE, ONE_SECOND),
    "503 for 5 s": Case(result(send(failed("DOWN"), 503, retry_after="5")), *UNAVAILABLE, (5.0, 5.0)),
    "504": Case(result(send("", 504)), *UNAVAILABLE, ONE_SECOND),
    "hangs up": Case(result(hang_up()), *UNAVAILABLE, ONE_SECOND),
    "resets": Case(result(reset()), *UNAVAILABLE, ONE_SECOND),
    "cut off in the body": Case(
        result(raw(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{", close=True)), *UNAVAILABLE, ONE_SECOND
    ),
    "500": Case(result(send(HTML, 500)), "INTERNAL", "VENDOR_FAILED"),
    "500 with an unknown code": Case(result(send(failed("OOPS"), 500)), "INTERNAL", "VENDOR_FAILED"),
    "599": Case(result(send("", 599)), "INTERNAL", "VENDOR_FAILED"),
    "HTML at 200": Case(result(send(HTML)), *MALFORMED),
    "empty at 200": Case(result(send("")), *MALFORMED),
    "no JSON at 200": Case(result(send('{"success": true,}')), *MALFORMED),
    "a list": Case(result(send([pending()])), *MALFORMED),
    "NaN in it": Case(result(send('{"callRequestStatus": "COMPLETED", "x": NaN}')), *MALFORMED),
    "nested too deep": Case(result(send('{"a":' * 100_000)), *MALFORMED),
    "another encoding": Case(result(send('{"callRequestStatus": "COMPLETED"}'.encode("utf-16"))), *MALFORMED),
    "a proxy's 404": Case(result(send(HTML, 404)), *MALFORMED),
    "404 with JSON of a proxy": Case(result(send({"message": "no route"}, 404)), *MALFORMED),
    "redirect": Case(result(send("", 302, location="/elsewhere")), *MALFORMED),
    "a result at 404": Case(result(send(pending(), 404)), *MALFORMED),
    "no status": Case(result(send({"success": True, "callRequestId": RESULT_ID})), *MALFORMED),
    "an empty status": Case(result(send(with_status(""))), *MALFORMED),
    "another id": Case(result(send(pending(OTHER_ID))), *MALFORMED),
    "another id under another key": Case(result(send(pending() | {"CallRequested": OTHER_ID})), *MALFORMED),
    "another id, key repeated": Case(
        result(
            send(f'{{"callRequestId": "{OTHER_ID}", "callRequestId": "{RESULT_ID}", "callRequestStatus": "COMPLETED"}}')
        ),
        *MALFORMED,
    ),
    "over 1 MiB": Case(result(send(pending() | {"x": "y" * (1 << 20)})), *MALFORMED),
    "compressed all the same": Case(result(send(b"\x1f\x8b\x08\x00", content_encoding="gzip")), *MALFORMED),
    "no HTTP": Case(result(raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", close=True)), *MALFORMED),
    "a header without end": Case(result(raw(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000)), *MALFORMED),
    "unknown code": Case(
        result(send(failed("QUOTA_9"))), "UNKNOWN", "VENDOR_ERROR", metadata={"vendor_code": "QUOTA_9"}
    ),
    "unknown code at 422": Case(
        result(send(failed("QUOTA"), 422)), "UNKNOWN", "VENDOR_ERROR", metadata={"vendor_code": "QUOTA"}
    ),
    "a code that is no code": Case(result(send(failed("Guest Leo Messi: no"))), "UNKNOWN", "VENDOR_ERROR"),
    "success false alone": Case(result(send({"success": False})), "UNKNOWN", "VENDOR_ERROR"),
    "the caller's deadline": Case(result(never()), "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", timeout=0.6),
    "a token that never comes": Case({"token": never()}, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", timeout=0.6),
    "too slow, time left": Case(
        result(never()), "UNAVAILABLE", "VENDOR_TIMEOUT", ONE_SECOND, settings={"vendor_timeout": 0.2}
    ),
    "a trickle, time left": Case(
        result(trickle(b"HTTP/1.1 200 OK\r\n" * 100, 0.05)),
        "UNAVAILABLE",
        "VENDOR_TIMEOUT",
        ONE_SECOND,
        settings={"vendor_timeout": 0.3},
    ),
}


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in READS.items()])
async def test_a_failed_read_is_its_row_of_the_table(vendor: ScriptedVendor, case: Case) -> None:
    """Whatever the vendor answers to a read, the caller gets the code, reason and details of the row."""
    got = await _failure(vendor, case, GET)
    assert (got.code, got.reason) == (case.code, case.reason)
    assert got.metadata == case.metadata
    if case.retry is None:
        assert got.retry is None
    else:
        assert got.retry is not None
        assert case.retry[0] <= got.retry <= case.retry[1]
    assert "words of the vendor" not in got.text


UNKNOWN = ("UNKNOWN", "CANCELLATION_OUTCOME_UNKNOWN")


def cancel(*answers: Answer) -> dict[str, Answer | tuple[Answer, ...]]:
    return {"cancel": answers}


CANCELS = {
    "NOT_FOUND": Case(cancel(send(failed("NOT_FOUND"))), "NOT_FOUND", "CALL_REQUEST_NOT_FOUND"),
    "BAD_REQUEST": Case(cancel(send(failed("BAD_REQUEST"), 400)), "INVALID_ARGUMENT", "VENDOR_REJECTED_REQUEST"),
    "401 twice": Case(cancel(send("", 401)), *CREDENTIALS),
    "403": Case(cancel(send("", 403)), *CREDENTIALS),
    "429": Case(cancel(send("", 429, retry_after="9")), "RESOURCE_EXHAUSTED", "VENDOR_RATE_LIMITED", (9.0, 9.0)),
    "unknown code": Case(cancel(send(failed("QUOTA"))), "UNKNOWN", "VENDOR_ERROR", metadata={"vendor_code": "QUOTA"}),
    "token: 401": Case({"token": send("", 401)}, *CREDENTIALS),
    "token: 503": Case({"token": send("", 503)}, *UNAVAILABLE, ONE_SECOND),
    "token: hangs up twice": Case({"token": hang_up()}, *UNAVAILABLE, ONE_SECOND),
    # From here on the vendor may have cancelled.
    "no token in time": Case({"token": never()}, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", timeout=0.6),
    "500": Case(cancel(send("", 500)), *UNKNOWN, timeout=1.2),
    "503": Case(cancel(send("", 503)), *UNKNOWN, timeout=1.2),
    "503 with an unknown code": Case(
        cancel(send(failed("OOPS"), 503)), "UNKNOWN", "VENDOR_ERROR", metadata={"vendor_code": "OOPS"}
    ),
    "unknown code, no reading": Case(
        {"cancel": send(failed("OOPS")), "result": send("", 503)},
        "DEADLINE_EXCEEDED",
        "CANCELLATION_OUTCOME_UNKNOWN",
        timeout=0.8,
    ),
    "refused, no reading": Case(
        {"cancel": send(failed("CANCELLATION_NOT_ALLOWED")), "result": send("", 503)},
        "DEADLINE_EXCEEDED",
        "CANCELLATION_OUTCOME_UNKNOWN",
        timeout=0.8,
    ),
    "a firewall's 403": Case(cancel(send(HTML, 403)), *UNKNOWN, timeout=1.2),
    "nested too deep": Case(cancel(send('{"a":' * 900 + "1" + "}" * 900)), *UNKNOWN, timeout=1.2),
    "hangs up": Case(cancel(hang_up()), *UNKNOWN, timeout=1.2),
    "resets": Case(cancel(reset()), *UNKNOWN, timeout=1.2),
    "HTML at 200": Case(cancel(send(HTML)), *UNKNOWN, timeout=1.2),
    "a proxy's 404": Case(cancel(send(HTML, 404)), *UNKNOWN, timeout=1.2),
    "redirect": Case(cancel(send("", 302, location="/")), *UNKNOWN, timeout=1.2),
    "no success": Case(cancel(send({"results": {"callRequestId": RESULT_ID}})), *UNKNOWN, timeout=1.2),
    "success false alone": Case(cancel(send({"success": False})), *UNKNOWN, timeout=1.2),
    "another id": Case(cancel(send(cancelled(OTHER_ID))), *UNKNOWN, timeout=1.2),
    "over 1 MiB": Case(cancel(send(cancelled() | {"x": "y" * (1 << 20)})), *UNKNOWN, timeout=1.2),
    "never answers": Case(cancel(never()), "DEADLINE_EXCEEDED", "CANCELLATION_OUTCOME_UNKNOWN", timeout=0.8),
}


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CANCELS.items()])
async def test_a_failed_cancel_is_its_row_of_the_table(vendor: ScriptedVendor, case: Case) -> None:
    """A clear no is its row; all else, once the request may have arrived, is CANCELLATION_OUTCOME_UNKNOWN."""
    got = await _failure(vendor, case, CANCEL)
    assert (got.code, got.reason, got.metadata) == (case.code, case.reason, case.metadata)
    assert (got.retry is None) == (case.retry is None)
    assert len(vendor.requests("cancel")) <= 2
    assert "words of the vendor" not in got.text


async def _failure(vendor: ScriptedVendor, case: Case, request: Any) -> Failure:
    for operation, answers in case.answers.items():
        vendor.answer(operation, *(answers if isinstance(answers, tuple) else (answers,)))
    async with started(vendor.url, **case.settings) as gateway, connected(gateway) as client:
        method: Any = client.GetCallRequestResult if request is GET else client.CancelCallRequest

        def call() -> Awaitable[Any]:
            vendor.asked.clear()
            return method(request, timeout=case.timeout)  # type: ignore[no-any-return]

        return await failure_at_deadline(call)


@pytest.mark.parametrize("request_", [pytest.param(GET, id="read"), pytest.param(CANCEL, id="cancel")])
async def test_a_vendor_that_refuses_connections_is_unavailable(request_: Any) -> None:
    """Nothing was sent: UNAVAILABLE for a cancel, too, since nothing can have been cancelled."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: refused
        async with started(f"http://127.0.0.1:{taken.getsockname()[1]}") as gateway, connected(gateway) as client:
            call = client.GetCallRequestResult if request_ is GET else client.CancelCallRequest
            got = await failure(call(request_))
    assert (got.code, got.reason, got.retry) == ("UNAVAILABLE", "VENDOR_UNAVAILABLE", 1.0)


BAD_IDS = {
    "empty": "",
    "a path": "../etc/passwd",
    "15 characters": "a" * 15,
    "17 characters": "a" * 17,
    "a newline behind": "a" * 16 + "\n",
    "other digits": "١" * 16,
    "other letters": "é" * 16,
    "a slash": "aaaaaaa/aaaaaaaa",
    "a percent sign": "aaaaaaa%2Faaaaaa",
    "a zero byte": "a" * 15 + "\0",
}


@pytest.mark.parametrize("call_request_id", [pytest.param(value, id=name) for name, value in BAD_IDS.items()])
async def test_a_bad_id_is_refused_and_the_vendor_sees_nothing(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor, call_request_id: str
) -> None:
    """Anything but 16 letters and digits is INVALID_REQUEST with a violation that names the field."""
    for call in (
        client.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=call_request_id)),
        client.CancelCallRequest(CancelCallRequestRequest(call_request_id=call_request_id)),
    ):
        got = await failure(call)
        assert (got.code, got.reason, got.fields) == ("INVALID_ARGUMENT", "INVALID_REQUEST", ["call_request_id"])
    assert vendor.asked == []


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [
        pytest.param(-1, 0, id="negative seconds"),
        pytest.param(0, -1, id="negative nanos"),
        pytest.param(1, -1, id="signs that differ"),
        pytest.param(0, 1_000_000_000, id="a second of nanos"),
        pytest.param(315_576_000_001, 0, id="over ten thousand years"),
    ],
)
async def test_a_bad_max_age_is_refused_and_the_vendor_sees_nothing(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor, seconds: int, nanos: int
) -> None:
    """A max_age that is negative or no valid duration is INVALID_REQUEST."""
    request = GetCallRequestResultRequest(call_request_id=RESULT_ID)
    request.max_age.seconds, request.max_age.nanos = seconds, nanos
    got = await failure(client.GetCallRequestResult(request))
    assert (got.code, got.reason, got.fields) == ("INVALID_ARGUMENT", "INVALID_REQUEST", ["max_age"])
    assert vendor.asked == []


@pytest.mark.parametrize("method", ["GetCallRequestResult", "CancelCallRequest", "WatchCallRequestResult"])
async def test_bytes_that_are_no_message_are_an_invalid_request(
    gateway: Gateway, vendor: ScriptedVendor, method: str
) -> None:
    """Undecodable requests are INVALID_REQUEST, without a parser's text, and never reach the vendor."""
    async with grpc.aio.insecure_channel(str(gateway.address)) as channel:
        path = f"/callrequest.v1.CallRequestService/{method}"
        call: Any = channel.unary_unary(path)
        got = await failure(call(b"\xff\xff\xff\xff"))
        no_utf8 = await failure(call(b"\x0a\x02\xc3\x28"))
    assert (got.code, got.reason) == (no_utf8.code, no_utf8.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert got.text == "The request is not valid. The bytes are no message of the type that this method takes."
    assert vendor.asked == []


async def test_with_less_than_50_ms_left_nothing_is_begun(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """A deadline that is as good as over fails the call at once; a cancel of it is in no doubt."""
    for call in (client.GetCallRequestResult(GET, timeout=0.03), client.CancelCallRequest(CANCEL, timeout=0.03)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert vendor.requests("result") == vendor.requests("cancel") == []


async def test_a_result_that_is_late_but_in_time_is_an_answer(vendor: ScriptedVendor) -> None:
    """A slow vendor is waited for as long as the caller and the setting allow."""
    vendor.answer("result", later(0.5, send(pending())))
    async with started(vendor.url) as gateway, connected(gateway) as client:
        assert (await client.GetCallRequestResult(GET)).call_request_result.call_request_id == RESULT_ID


REACHED_ELSEWHERE = {
    reasons.ERROR_REASON_OVERLOADED: "tests/reading/test_results.py",
    reasons.ERROR_REASON_CANCELLATION_NOT_ALLOWED: "tests/cancelling/test_cancellation.py",
    reasons.ERROR_REASON_INTERNAL: "tests/rpc/test_interceptor.py",
    reasons.ERROR_REASON_CALLER_UNAUTHENTICATED: "tests/rpc/test_callers.py",
    reasons.ERROR_REASON_CALLER_FORBIDDEN: "tests/rpc/test_callers.py",
    reasons.ERROR_REASON_CALLER_RATE_LIMITED: "tests/rpc/test_caller_limits.py",
    reasons.ERROR_REASON_INVALID_REQUEST: "tests/test_failures.py",
    reasons.ERROR_REASON_WATCH_ENDED: "tests/watching/test_watching.py",
}
"""Reasons that other tests reach, and where: each stands in that file by its name."""


def test_every_error_reason_is_in_the_catalogue_and_reached_by_a_test() -> None:
    """Each ErrorReason has a row, and a test that reaches it: a case of this file, or the one that the list names."""
    every = {value.number for value in ErrorReason.DESCRIPTOR.values if value.number}
    assert set(CATALOGUE) == every
    reached = {ErrorReason.Value(f"ERROR_REASON_{case.reason}") for case in [*READS.values(), *CANCELS.values()]}
    assert reached | set(REACHED_ELSEWHERE) == every


@pytest.mark.parametrize(("reason", "path"), [pytest.param(*item, id=item[1]) for item in REACHED_ELSEWHERE.items()])
def test_a_reason_is_reached_where_the_list_names_it(reason: ErrorReason.ValueType, path: str) -> None:
    """The file asserts the reason as callers read it."""
    assert f'"{ErrorReason.Name(reason).removeprefix("ERROR_REASON_")}"' in (ROOT / path).read_text()


def test_every_reason_is_raised_by_the_server() -> None:
    """The contract promises no reason that nothing in server/ raises."""
    text = "".join(path.read_text() for path in (ROOT / "server").rglob("*.py") if path.name != "errors.py")
    raised_by_errors = {"ERROR_REASON_INVALID_REQUEST", "ERROR_REASON_DEADLINE_EXCEEDED"}  # functions of errors.py
    names = {ErrorReason.Name(reason) for reason in CATALOGUE} - raised_by_errors
    assert [name for name in sorted(names) if name not in text] == []


PUSHBACK = {
    "in time": ("3", "3000"),
    "too late": ("7", "-1"),
    "no retry-after": (None, None),
}


@pytest.mark.parametrize(("retry_after", "pushback"), [pytest.param(*case, id=name) for name, case in PUSHBACK.items()])
async def test_clients_own_retries_are_told_how_long_to_wait(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor, retry_after: str | None, pushback: str | None
) -> None:
    """grpc-retry-pushback-ms: what the vendor asked for; -1 when the call would be over by then; else nothing."""
    vendor.answer("result", send("", 429, **({} if retry_after is None else {"retry_after": retry_after})))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.GetCallRequestResult(GET, timeout=5 if retry_after else 0.5)
    trailers = dict(caught.value.trailing_metadata() or ())
    assert trailers.get("grpc-retry-pushback-ms") == pushback


async def test_a_channel_with_the_recommended_retries_heeds_it(gateway: Gateway, vendor: ScriptedVendor) -> None:
    """The vendor that asks for more time than the call has is asked no more, and the caller has our status."""
    vendor.answer("result", send("", 429, retry_after="60"))
    options = [("grpc.service_config", SERVICE_CONFIG.read_text()), ("grpc.enable_http_proxy", 0)]
    async with grpc.aio.insecure_channel(str(gateway.address), options=options) as channel:
        got = await failure(CallRequestServiceStub(channel).GetCallRequestResult(GET, timeout=3))
    assert got.reason == "VENDOR_RATE_LIMITED"
    assert len(vendor.requests("result")) == 1
