"""Personal data and secrets: sent through every path, they show nowhere but in the caller's answer."""

import logging
from functools import partial
from typing import Any

import pytest

from callrequest.v1.call_request_service_pb2 import CancelCallRequestRequest, GetCallRequestResultRequest
from testkit.failure import failure_at_deadline
from testkit.gateway import SECRET, connected, metrics_of, started, status_page_of
from testkit.logs import log_to_stdout, silence_logs
from testkit.scripted_vendor import (
    RESULT_ID,
    TOKEN,
    Answer,
    ScriptedVendor,
    failed,
    hang_up,
    never,
    pending,
    raw,
    reset,
    send,
)

NAME, MAIL, FAX, CARD, CALLERS_TEXT = "Zyx Canary", "canary@hotel.example", "+34999888777", "4929-1111", "caller-canary"
TOKEN_TEXT = "token-canary-7Q"
CANARIES = (NAME, MAIL, FAX, CARD, CALLERS_TEXT, TOKEN_TEXT, SECRET)
OUTCOME = {
    "callType": NAME,
    "callStatus": "SUCCESS",
    "outcomeDetails": f"{NAME} paid with {CARD}",
    "recipientName": NAME,
    "dialTime": CARD,
    "actionRequired": {"action": MAIL, "email": MAIL, "fax": FAX},
}
FULL = pending() | {"callRequetStatus": "COMPLETED", "result": OUTCOME}

REPLIES: dict[str, Answer] = {
    "a result": send(FULL),
    "a status of theirs": send(pending() | {"callRequetStatus": MAIL}),
    "another id": send(FULL | {"callRequestId": "canary0000000000"}),
    "an error that is known": send(failed("NOT_FOUND", f"{NAME} {CARD}")),
    "an error that is not": send(failed(f"{NAME} {MAIL}", f"{NAME} {CARD}")),
    "a refusal": send(failed("CANCELLATION_NOT_ALLOWED", f"{NAME} {CARD}")),
    "no JSON": send(f"<html>{NAME} {MAIL}"),
    "500": send(f"{NAME} {MAIL}", 500),
    "429": send(f"{NAME} {MAIL}", 429, retry_after=NAME),
    "401": send(f"{NAME} {MAIL}", 401, www_authenticate=TOKEN_TEXT),
    "redirect": send("", 302, location=f"https://{MAIL}/{TOKEN_TEXT}"),
    "hangs up": hang_up(),
    "resets": reset(),
    "cut off": raw(f"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{NAME}".encode(), close=True),
    "no HTTP": raw(f"{NAME} {MAIL}\r\n\r\n".encode(), close=True),
    "never": never(),
}


@pytest.mark.parametrize("reply", [pytest.param(reply, id=name) for name, reply in REPLIES.items()])
@pytest.mark.parametrize("operation", ["result", "cancel", "token"])
async def test_nothing_personal_or_secret_is_logged_counted_or_answered(
    vendor: ScriptedVendor, operation: str, reply: Answer, capfd: pytest.CaptureFixture[str]
) -> None:
    """No canary in the log at debug, in stderr, metrics, the status page or a status, whatever the vendor answers."""
    log_to_stdout("debug")
    logging.getLogger().setLevel(logging.DEBUG)  # the libraries', too
    vendor.answer("token", send(TOKEN | {"access_token": TOKEN_TEXT}))
    vendor.answer(operation, reply)
    received: list[Any] = []
    async with started(vendor.url) as gateway, connected(gateway) as client:
        for request in (
            GetCallRequestResultRequest(call_request_id=RESULT_ID),
            GetCallRequestResultRequest(call_request_id=CALLERS_TEXT),
            CancelCallRequestRequest(call_request_id=RESULT_ID),
        ):
            call: Any = (
                client.CancelCallRequest
                if isinstance(request, CancelCallRequestRequest)
                else client.GetCallRequestResult
            )
            try:
                await call(request, timeout=0.4, metadata=(("x-caller", CALLERS_TEXT),))
            except Exception:
                received.append(await failure_at_deadline(partial(call, request, timeout=0.4)))
        received += [await metrics_of(gateway), await status_page_of(gateway)]
    written = capfd.readouterr()
    silence_logs()
    assert '"event":"call"' in written.out
    for where in (written.out, written.err, *map(str, received)):
        assert not [canary for canary in CANARIES if canary in where]
