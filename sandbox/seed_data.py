"""The call requests that exist from the start, by their purpose; those for quirks are in seed_quirks.py."""

from collections.abc import Iterator, Mapping
from typing import Any

from .call_requests import Plan
from .dialect import Status
from .fault_queue import FaultPlan
from .seed import Seed, completed, pending
from .seed_quirks import QUIRKS
from .vendor_examples import CHECK_IN_PAST_MESSAGE, ERROR_OUTCOME_EXAMPLE, SUCCESS_EXAMPLE

_DAY = 86400.0


def _failed(category: str, reason: str, **more: Any) -> Plan:
    outcome = {
        "callType": "BOOKING_VERIFICATION",
        "callStatus": "ERROR_OUTCOME",
        "statusReasonCategory": category,
        "statusReason": reason,
        "dialTime": "2025-06-03T10:10:00Z",
        **more,
    }
    return completed(outcome)


def _faulty(name: str, operation: str = "any", times: int | None = None) -> Plan:
    return pending(faults=(FaultPlan(name, operation, times),))


SEED_DATA: Mapping[str, tuple[Seed, ...]] = {
    "Published": (
        Seed("77b2c4d5e6f7g890", "The pages' example of a verified authorization.", completed(SUCCESS_EXAMPLE)),
        Seed("bcpFuj1ipoBKLz5G", "The pages' example of an error outcome.", completed(ERROR_OUTCOME_EXAMPLE)),
        Seed("66a1b2c3d4e5f678", "Pending; can be cancelled.", pending()),
    ),
    "Status": (
        Seed("statusPending001", "Is PENDING_TO_CALL and stays so; can be cancelled.", pending()),
        Seed("statusInProgress", "Is IN_PROGRESS and stays so.", Plan(status=Status.IN_PROGRESS)),
        Seed("statusCompleted1", "Is COMPLETED: a booking was verified.", completed()),
        Seed("statusCancelled1", "Is CANCELLED.", Plan(status=Status.CANCELLED)),
        Seed(
            "callInTenSeconds",
            "The hotel is phoned 10 seconds after the start or a reset, for 10 seconds.",
            Plan(call_in=10, call_takes=10),
        ),
        Seed(
            "callInTenMinutes",
            "The hotel is phoned 10 minutes after the start or a reset, for a minute.",
            Plan(call_in=600, call_takes=60),
        ),
    ),
    "Outcome": (
        Seed("callTypeAuth0001", "Call type AUTHORIZATION_VERIFICATION.", completed(SUCCESS_EXAMPLE)),
        Seed("callTypeBooking1", "Call type BOOKING_VERIFICATION.", completed()),
        Seed("callSucceeded001", "Call status SUCCESS, with recipient and confirmation id.", completed()),
        Seed(
            "callErrorOutcome",
            "Call status ERROR_OUTCOME.",
            _failed("DATA_MISMATCH", "Last four digits do not match"),
        ),
        Seed(
            "unableToComplete",
            "Call status UNABLE_TO_COMPLETE.",
            _failed("NO_ANSWER", "Nobody picked up", callStatus="UNABLE_TO_COMPLETE"),
        ),
        Seed("reasonAuthForm01", "Reason AUTH_FORM_NOT_FOUND.", _failed("AUTH_FORM_NOT_FOUND", "No payment form")),
        Seed("reasonMismatch01", "Reason DATA_MISMATCH.", _failed("DATA_MISMATCH", "Check out date do not match")),
        Seed("reasonNotFound01", "Reason RESERVATION_NOT_FOUND.", _failed("RESERVATION_NOT_FOUND", "No reservation")),
        Seed(
            "reasonCancelled1",
            "Reason RESERVATION_CANCELLED.",
            _failed("RESERVATION_CANCELLED", "The reservation is cancelled"),
        ),
        Seed(
            "reasonWrongPhone",
            "Reason INCORRECT_TELEPHONE_NUMBER.",
            _failed("INCORRECT_TELEPHONE_NUMBER", "Not the hotel", callStatus="UNABLE_TO_COMPLETE"),
        ),
        Seed(
            "reasonBadPhone01",
            "Reason INVALID_TELEPHONE_NUMBER.",
            _failed("INVALID_TELEPHONE_NUMBER", "No such number", callStatus="UNABLE_TO_COMPLETE"),
        ),
        Seed(
            "reasonNoAnswer01",
            "Reason NO_ANSWER.",
            _failed("NO_ANSWER", "Nobody picked up", callStatus="UNABLE_TO_COMPLETE"),
        ),
        Seed(
            "actionResendBook",
            "Action RESEND_RESERVATION, by e-mail.",
            _failed(
                "RESERVATION_NOT_FOUND",
                "No reservation",
                actionRequired={"action": "RESEND_RESERVATION", "email": "hotelbarcelona@gmail.com"},
            ),
        ),
        Seed(
            "actionResendPay1",
            "Action RESEND_PAYMENT, by fax.",
            _failed(
                "AUTH_FORM_NOT_FOUND",
                "No payment form",
                actionRequired={"action": "RESEND_PAYMENT", "fax": "+34932952800"},
            ),
        ),
    ),
    "Cancelling": (
        Seed("cancelAccepted01", "Can be cancelled.", pending()),
        Seed("cancelBareYes001", "Can be cancelled; the reply has only success.", pending(cancellation_key=None)),
        Seed("cancelCompleted1", "Refused: the call is completed.", completed()),
        Seed("cancelInProgress", "Refused: the call is in progress.", Plan(status=Status.IN_PROGRESS)),
        Seed(
            "cancelCheckedIn1",
            "Refused: pending, but the check-in is in the past.",
            Plan(status=Status.PENDING_TO_CALL, check_in_in=-_DAY),
        ),
        Seed(
            "cancelAgain00001",
            "Refused: already cancelled; callers get ALREADY_CANCELLED.",
            Plan(status=Status.CANCELLED),
        ),
        Seed(
            "cancelBareWords1",
            "Refused while pending, in words without a reason.",
            Plan(status=Status.PENDING_TO_CALL, refusal="Cancellation not allowed."),
        ),
        Seed(
            "cancelRefused409",
            "Refused for its check-in, at HTTP status 409.",
            Plan(status=Status.PENDING_TO_CALL, refusal=CHECK_IN_PAST_MESSAGE, error_status=409),
        ),
    ),
    "Quirks": QUIRKS,
    "Faults (pending otherwise)": (
        Seed("faultHtmlPage001", "html_page: an HTML page with status 200.", _faulty("html_page")),
        Seed("faultEmptyBody01", "empty_body: status 200 and no body.", _faulty("empty_body")),
        Seed("faultTruncated01", "truncated_json: half of the JSON.", _faulty("truncated_json")),
        Seed("faultTooMany0429", "too_many_requests: 429 with Retry-After.", _faulty("too_many_requests")),
        Seed("faultUnavail0503", "unavailable: 503.", _faulty("unavailable")),
        Seed("unavailableTwice", "unavailable twice since the start, then well.", _faulty("unavailable", times=2)),
        Seed("faultError000500", "server_error: 500.", _faulty("server_error")),
        Seed("faultPage0000403", "forbidden_page: a firewall's HTML page with status 403.", _faulty("forbidden_page")),
        Seed("faultPage0000404", "not_found_page: an HTML page with status 404.", _faulty("not_found_page")),
        Seed("faultRedirect302", "redirect: 302 to a login page.", _faulty("redirect")),
        Seed("faultSlow0000001", "slow: the right reply after 3 seconds.", _faulty("slow")),
        Seed("faultHang0000001", "hang: no reply for 60 seconds.", _faulty("hang")),
        Seed("faultCutOff00001", "cut_off: the connection is closed, nothing is done.", _faulty("cut_off")),
        Seed("faultCutInBody01", "cut_off_in_body: the connection is closed in the body.", _faulty("cut_off_in_body")),
        Seed(
            "faultLostReply01",
            "lost_reply to cancels: cancelled, but no reply; reading is well.",
            _faulty("lost_reply", "cancel"),
        ),
        Seed(
            "lostReplyAndRead",
            "lost_reply to everything: a cancel's effect cannot be found out.",
            _faulty("lost_reply"),
        ),
        Seed("faultAnotherId01", "another_id: the reply names another call request.", _faulty("another_id")),
        Seed("faultTooLong0001", "too_long: a body of more than 1 MiB.", _faulty("too_long")),
        Seed("faultToken000401", "unauthorized: 401, whatever the token.", _faulty("unauthorized")),
        Seed("faultNotFound001", "not_found: listed, but the vendor answers NOT_FOUND.", _faulty("not_found")),
        Seed(
            "faultBadRequest1", "bad_request: well-formed, but the vendor answers BAD_REQUEST.", _faulty("bad_request")
        ),
        Seed("faultNewCode0001", "unknown_error: an error code that no page names.", _faulty("unknown_error")),
        Seed(
            "faultDoneError01",
            "error_though_done to cancels: cancelled, but an error; reading is well.",
            _faulty("error_though_done", "cancel"),
        ),
        Seed("faultNoError0001", "no_error: success false, without an error.", _faulty("no_error")),
    ),
}
"""The groups, by title. Every other id is NOT_FOUND until a test creates it."""


def seeds() -> Iterator[Seed]:
    """The seeds of all groups, in order."""
    for group in SEED_DATA.values():
        yield from group


def describe_seed_data() -> str:
    """The ids with their sentences, one a line under their group's title, for people."""
    groups = (
        "\n".join([f"{title}:", *(f"  {seed.id}  {seed.sentence}" for seed in group)])
        for title, group in SEED_DATA.items()
    )
    return "\n\n".join(groups)
