"""The steps of a cancel, each by its smallest input, on virtual time."""

import asyncio
from dataclasses import dataclass

import httpx
import pytest

from server.observability.settled_cancel import SettledCancel
from testkit.played_vendor import PlayedVendor, Reply, after, cut, hangs, not_sent, raises, reply
from testkit.scripted_vendor import cancelled, failed, with_status
from testkit.virtual_time import run
from tests.cancelling.cancels import Cancelling, Ended

CHECK_IN = "Call request cannot be cancelled as check in is in the past."
ALREADY = "The call request has already been cancelled."
HTML = "<!doctype html><title>Forbidden</title>"
DEEP = '{"success": true, "results": {"x": ' + '{"a":' * 700 + "1" + "}" * 702
UNKNOWN = "CANCELLATION_OUTCOME_UNKNOWN"
NOT_ALLOWED = "CANCELLATION_NOT_ALLOWED"


def refused(words: str = "no", status: int = 200) -> Reply:
    return reply(failed("CANCELLATION_NOT_ALLOWED", words), status)


def is_(status: str) -> Reply:
    return reply(with_status(status))


PENDING, BROKEN = is_("PENDING_TO_CALL"), reply("", 503)


@dataclass(frozen=True)
class Case:
    """What the vendor replies, and what must come of it. readings: None: as many as there is time for."""

    cancel: tuple[Reply, ...]
    result: tuple[Reply, ...]
    answer: str
    posts: int
    readings: int | None
    settled_by: str
    why: str = ""
    status: str = ""
    seconds: float = 10.0


def doubt(lost: Reply) -> Case:
    return Case((lost,), (is_("CANCELLED"),), "CANCELLED", 1, 1, "reading back")


STEPS = {
    # 1. The POST, and what may be sent again.
    "a success": Case((reply(cancelled()),), (PENDING,), "CANCELLED", 1, 0, "reply"),
    "success and nothing else": Case((reply({"success": True}),), (PENDING,), "CANCELLED", 1, 0, "reply"),
    "not sent twice": Case((not_sent(), not_sent(), reply(cancelled())), (PENDING,), "CANCELLED", 1, 0, "reply"),
    "never sent": Case((not_sent(),), (PENDING,), "VENDOR_UNAVAILABLE", 0, 0, "error"),
    "401 once": Case((reply("", 401), reply(cancelled())), (PENDING,), "CANCELLED", 2, 0, "reply"),
    "401 twice": Case((reply("", 401),), (PENDING,), "VENDOR_REJECTED_CREDENTIALS", 2, 0, "error"),
    "429 once": Case((reply("", 429, retry_after="2"), reply(cancelled())), (PENDING,), "CANCELLED", 2, 0, "reply"),
    "429 for longer than there is": Case(
        (reply("", 429, retry_after="9"),), (PENDING,), "VENDOR_RATE_LIMITED", 1, 0, "error"
    ),
    "401, then 429": Case((reply("", 401), reply("", 429)), (PENDING,), "VENDOR_RATE_LIMITED", 2, 0, "error"),
    "403 with nothing": Case((reply("", 403),), (PENDING,), "VENDOR_REJECTED_CREDENTIALS", 1, 0, "error"),
    "403 with JSON": Case((reply({"a": 1}, 403),), (PENDING,), "VENDOR_REJECTED_CREDENTIALS", 1, 0, "error"),
    "NOT_FOUND": Case((reply(failed("NOT_FOUND")),), (PENDING,), "CALL_REQUEST_NOT_FOUND", 1, 0, "error"),
    "BAD_REQUEST at 500": Case(
        (reply(failed("BAD_REQUEST"), 500),), (PENDING,), "VENDOR_REJECTED_REQUEST", 1, 0, "error"
    ),
    # 2. Doubt.
    "a reply that is lost": doubt(cut()),
    "a reply that is late": doubt(after(30, reply(cancelled()))),
    "no HTTP": doubt(raises(httpx.RemoteProtocolError("sent"))),
    "500": doubt(reply("", 500)),
    "503 with a page": doubt(reply(HTML, 503)),
    "302": doubt(reply("", 302, location="/login")),
    "404 with a page": doubt(reply(HTML, 404)),
    "no JSON": doubt(reply("{")),
    "nothing": doubt(reply("")),
    "success left out": doubt(reply({"results": {}})),
    "success at 500": doubt(reply(cancelled(), 500)),
    "success false without a code": doubt(reply({"success": False})),
    "another id": doubt(reply(cancelled("bcpFuj1ipoBKLz5G"))),
    "nested 700 deep": doubt(reply(DEEP)),
    "a defect": doubt(raises(KeyError("defect"))),
    "a recursion": doubt(raises(RecursionError())),
    "a cancellation that is not of this task": doubt(raises(asyncio.CancelledError())),
    "lost, and completed": Case(
        (cut(),), (is_("COMPLETED"),), NOT_ALLOWED, 1, 1, "reading back", "CALL_COMPLETED", "COMPLETED"
    ),
    "lost, and in progress": Case(
        (cut(),), (is_("IN_PROGRESS"),), NOT_ALLOWED, 1, 1, "reading back", "CALL_IN_PROGRESS", "IN_PROGRESS"
    ),
    "lost, and gone": Case((cut(),), (reply(failed("NOT_FOUND")),), "CALL_REQUEST_NOT_FOUND", 1, 1, "error"),
    "lost, and pending thrice": Case((cut(), reply(cancelled())), (PENDING,), "CANCELLED", 2, 3, "reply"),
    "lost, two readings fail": Case((cut(), reply(cancelled())), (BROKEN, cut(), PENDING), "CANCELLED", 2, 3, "reply"),
    "lost twice, and pending": Case((cut(),), (PENDING,), UNKNOWN, 2, 6, "nothing"),
    "lost, and cancelled late": Case((cut(),), (PENDING,) * 5 + (is_("CANCELLED"),), "CANCELLED", 2, 6, "reading back"),
    "lost, and unreadable for a while": Case(
        (cut(),), (BROKEN,) * 9 + (is_("CANCELLED"),), "CANCELLED", 1, 10, "reading back"
    ),
    "lost, and never readable": Case((cut(),), (BROKEN,), UNKNOWN, 1, None, "nothing"),
    "lost, and of an unknown status": Case((cut(),), (is_("ON_HOLD"),), UNKNOWN, 1, None, "nothing"),
    "lost, and a reading with a defect": Case(
        (cut(),), (raises(KeyError("defect")), reply(DEEP), is_("CANCELLED")), "CANCELLED", 1, 3, "reading back"
    ),
    "lost, then not sent": Case((cut(), not_sent(), reply(cancelled())), (PENDING,), "CANCELLED", 2, 6, "reply"),
    "lost, then 401": Case((cut(), reply("", 401)), (PENDING,), UNKNOWN, 2, 6, "nothing"),
    "lost, then NOT_FOUND": Case(
        (cut(), reply(failed("NOT_FOUND"))), (PENDING,), "CALL_REQUEST_NOT_FOUND", 2, 3, "error"
    ),
    "lost, then an unknown code": Case((cut(), reply(failed("SYSTEM_ERROR"))), (PENDING,), UNKNOWN, 2, 6, "nothing"),
    "lost, then refused, for it worked": Case(
        (cut(), refused()), (PENDING,) * 3 + (BROKEN, is_("CANCELLED")), "CANCELLED", 2, 5, "reading back"
    ),
    "lost, then refused for its check-in": Case(
        (cut(), refused(CHECK_IN)), (PENDING,), NOT_ALLOWED, 2, 6, "refusal", "CHECK_IN_PASSED", "PENDING_TO_CALL"
    ),
    "lost, then refused without a word": Case(
        (cut(), refused()), (PENDING,), NOT_ALLOWED, 2, 6, "refusal", "UNSPECIFIED", "PENDING_TO_CALL"
    ),
    "lost, then refused, then unreadable": Case(
        (cut(), refused()), (*(PENDING,) * 5, BROKEN), UNKNOWN, 2, None, "nothing"
    ),
    "401, then lost": Case((reply("", 401), cut()), (PENDING,), UNKNOWN, 2, 3, "nothing"),
    "401, then lost, and cancelled": Case(
        (reply("", 401), cut()), (is_("CANCELLED"),), "CANCELLED", 2, 1, "reading back"
    ),
    # 3. Refused.
    "refused, cancelled already": Case((refused(),), (is_("CANCELLED"),), "ALREADY_CANCELLED", 1, 1, "refusal"),
    "refused at 503, cancelled already": Case(
        (refused(status=503),), (is_("CANCELLED"),), "ALREADY_CANCELLED", 1, 1, "refusal"
    ),
    "refused, cancelled already, a reading fails": Case(
        (refused(),), (BROKEN, is_("CANCELLED")), "ALREADY_CANCELLED", 1, 2, "refusal"
    ),
    "refused, cancelled already, unreadable for a while": Case(
        (refused(CHECK_IN),), (BROKEN,) * 8 + (is_("CANCELLED"),), "ALREADY_CANCELLED", 1, 9, "refusal"
    ),
    "refused, a reading hangs": Case((refused(),), (hangs(), is_("CANCELLED")), "ALREADY_CANCELLED", 1, 2, "refusal"),
    "refused, completed": Case(
        (refused(CHECK_IN),), (is_("COMPLETED"),), NOT_ALLOWED, 1, 1, "refusal", "CALL_COMPLETED", "COMPLETED"
    ),
    "refused, in progress": Case(
        (refused(),), (is_("IN_PROGRESS"),), NOT_ALLOWED, 1, 1, "refusal", "CALL_IN_PROGRESS", "IN_PROGRESS"
    ),
    "refused, pending, for its check-in": Case(
        (refused(CHECK_IN),), (PENDING,), NOT_ALLOWED, 1, 1, "refusal", "CHECK_IN_PASSED", "PENDING_TO_CALL"
    ),
    "refused, pending, without a word": Case(
        (refused(""),), (PENDING,), NOT_ALLOWED, 1, 1, "refusal", "UNSPECIFIED", "PENDING_TO_CALL"
    ),
    "refused, of an unknown status": Case(
        (refused(CHECK_IN),), (is_("ON_HOLD"),), NOT_ALLOWED, 1, 1, "refusal", "CHECK_IN_PASSED", "UNSPECIFIED"
    ),
    "refused, gone": Case((refused(),), (reply(failed("NOT_FOUND")),), "CALL_REQUEST_NOT_FOUND", 1, 1, "error"),
    "refused, never readable": Case((refused(),), (BROKEN,), UNKNOWN, 1, None, "nothing"),
    "refused for its check-in, never readable": Case(
        (refused(CHECK_IN),), (BROKEN,), NOT_ALLOWED, 1, None, "refusal", "CHECK_IN_PASSED", "UNSPECIFIED"
    ),
    "401, then refused, cancelled already": Case(
        (reply("", 401), refused()), (is_("CANCELLED"),), "ALREADY_CANCELLED", 2, 1, "refusal"
    ),
    # 4. An error code that we do not know.
    "unknown code, cancelled": Case(
        (reply(failed("SYSTEM_ERROR")),), (is_("CANCELLED"),), "CANCELLED", 1, 1, "reading back"
    ),
    "unknown code at 500, cancelled": Case(
        (reply(failed("SYSTEM_ERROR"), 500),), (PENDING, is_("CANCELLED")), "CANCELLED", 1, 2, "reading back"
    ),
    "unknown code, pending twice": Case((reply(failed("SYSTEM_ERROR")),), (PENDING,), "VENDOR_ERROR", 1, 2, "error"),
    "unknown code at 503, pending twice": Case(
        (reply(failed("SYSTEM_ERROR"), 503),), (PENDING,), "VENDOR_ERROR", 1, 2, "error"
    ),
    "unknown code at 409, a reading fails": Case(
        (reply(failed("SYSTEM_ERROR"), 409),), (BROKEN, PENDING), "VENDOR_ERROR", 1, 3, "error"
    ),
    "unknown code, completed": Case(
        (reply(failed("SYSTEM_ERROR")),),
        (is_("COMPLETED"),),
        NOT_ALLOWED,
        1,
        1,
        "reading back",
        "CALL_COMPLETED",
        "COMPLETED",
    ),
    "unknown code, never readable": Case((reply(failed("SYSTEM_ERROR")),), (BROKEN,), UNKNOWN, 1, None, "nothing"),
    "unknown code, pending once": Case(
        (reply(failed("SYSTEM_ERROR")),), (PENDING, BROKEN), UNKNOWN, 1, None, "nothing"
    ),
    # 4. Words for "already cancelled" with another code.
    "BAD_REQUEST, cancelled already": Case(
        (reply(failed("BAD_REQUEST", ALREADY), 400),), (is_("CANCELLED"),), "ALREADY_CANCELLED", 1, 1, "refusal"
    ),
    "NOT_FOUND, cancelled already": Case(
        (reply(failed("NOT_FOUND", ALREADY), 404),), (BROKEN, is_("CANCELLED")), "ALREADY_CANCELLED", 1, 2, "refusal"
    ),
    "unknown code, cancelled already": Case(
        (reply(failed("CONFLICT", ALREADY), 409),), (is_("CANCELLED"),), "ALREADY_CANCELLED", 1, 1, "refusal"
    ),
    "a code of these words": Case(
        (reply(failed("ALREADY_CANCELED", "no")),), (is_("CANCELLED"),), "ALREADY_CANCELLED", 1, 1, "refusal"
    ),
    "no code, cancelled already": Case(
        (reply({"success": False, "error": {"message": ALREADY}}),),
        (is_("CANCELLED"),),
        "ALREADY_CANCELLED",
        1,
        1,
        "refusal",
    ),
    "BAD_REQUEST, already completed": Case(
        (reply(failed("BAD_REQUEST", "Cannot be cancelled, it is already completed.")),),
        (is_("COMPLETED"),),
        NOT_ALLOWED,
        1,
        1,
        "reading back",
        "CALL_COMPLETED",
        "COMPLETED",
    ),
    "BAD_REQUEST, cancelled already, pending twice": Case(
        (reply(failed("BAD_REQUEST", ALREADY)),), (PENDING,), "VENDOR_REJECTED_REQUEST", 1, 2, "error"
    ),
    "unknown code, cancelled already, pending twice": Case(
        (reply(failed("CONFLICT", ALREADY)),), (PENDING,), "VENDOR_ERROR", 1, 2, "error"
    ),
    "BAD_REQUEST, cancelled already, never readable": Case(
        (reply(failed("BAD_REQUEST", ALREADY)),), (BROKEN,), UNKNOWN, 1, None, "nothing"
    ),
    "lost, then BAD_REQUEST, cancelled already": Case(
        (cut(), reply(failed("BAD_REQUEST", ALREADY))),
        (*(PENDING,) * 3, is_("CANCELLED")),
        "CANCELLED",
        2,
        4,
        "reading back",
    ),
    # Little time.
    "100 ms, a success": Case((after(0.02, reply(cancelled())),), (PENDING,), "CANCELLED", 1, 0, "reply", seconds=0.1),
    "100 ms, lost": Case((cut(),), (PENDING,), UNKNOWN, 1, None, "nothing", seconds=0.1),
    "100 ms, hangs": Case((hangs(),), (is_("CANCELLED"),), UNKNOWN, 1, 0, "nothing", seconds=0.1),
    "1 s, hangs, cancelled": Case((hangs(),), (is_("CANCELLED"),), "CANCELLED", 1, 1, "reading back", seconds=1),
    "1 s, lost": Case((cut(), reply(cancelled())), (PENDING,), "CANCELLED", 2, 3, "reply", seconds=1),
    "1 s, refused, a reading hangs": Case(
        (refused(),), (hangs(), is_("CANCELLED")), "ALREADY_CANCELLED", 1, 2, "refusal", seconds=1
    ),
}


async def _settle(case: Case) -> tuple[Ended, PlayedVendor, SettledCancel]:
    vendor = PlayedVendor()
    vendor.answer("cancel", *case.cancel)
    vendor.answer("result", *case.result)
    cancelling = Cancelling(vendor)
    ended = await cancelling.cancel(case.seconds)
    await cancelling.in_progress.finish(60)
    (line,) = cancelling.settled
    assert cancelling.changed == [line.call_request_id] * 2, "when it begins, and when it has ended"
    return ended, vendor, line


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in STEPS.items()])
def test_a_cancel_ends_as_what_the_vendor_holds(case: Case) -> None:
    """The answer, the typed reason, the number of POSTs and readings, and the line of the log, for each history."""
    ended, vendor, line = run(_settle(case))
    assert (ended.answer, ended.why, ended.status) == (case.answer, case.why, case.status)
    assert (vendor.count("cancel"), line.posts, line.settled_by) == (case.posts, case.posts, case.settled_by)
    assert vendor.count("result") == line.readings
    if case.readings is not None:
        assert line.readings == case.readings
    assert (line.outcome or line.reason) == case.answer
    assert line.callers_left == 0
    assert ended.seconds <= case.seconds


@pytest.mark.parametrize("status", sorted({*range(200, 227), *range(300, 309), *range(400, 432), *range(500, 531)}))
@pytest.mark.parametrize("body", [pytest.param("", id="nothing"), pytest.param(HTML, id="a page")])
def test_a_reply_without_the_vendors_words_is_a_clear_no_by_few_statuses(status: int, body: str) -> None:
    """401, 403 with nothing and 429; after every other reply the status is read back, and shows what is true."""
    for held in ("CANCELLED", "PENDING_TO_CALL"):
        ended, _, line = run(_settle(Case((reply(body, status),), (is_(held),), "", 0, None, "", seconds=3)))
        if status in {401, 429} or (status == 403 and not body):
            assert (ended.answer.startswith("VENDOR_"), line.readings) == (True, 0)
        else:
            assert ended.answer == ("CANCELLED" if held == "CANCELLED" else UNKNOWN)


@pytest.mark.parametrize("status", [200, 202, 302, 400, 404, 409, 422, 500, 502, 503, 520, 599])
@pytest.mark.parametrize("code", ["SYSTEM_ERROR", "TIMEOUT", "ALREADY_CANCELLED", "system error", "x" * 200, "1001"])
def test_an_unknown_code_is_read_back_at_any_status(status: int, code: str) -> None:
    """Two readings decide whether the cancel worked; there is no second POST."""
    by_whom = "ALREADY_CANCELLED" if code == "ALREADY_CANCELLED" else "CANCELLED"
    for held, answer in (("CANCELLED", by_whom), ("PENDING_TO_CALL", "VENDOR_ERROR"), ("COMPLETED", NOT_ALLOWED)):
        ended, vendor, _ = run(_settle(Case((reply(failed(code), status),), (is_(held),), "", 1, None, "")))
        assert (ended.answer, vendor.count("cancel")) == (answer, 1)


@pytest.mark.parametrize("status", [200, 202, 302, 400, 404, 409, 422, 500, 502, 503, 520, 599])
def test_a_refusal_counts_at_any_status(status: int) -> None:
    """The vendor's own words decide, then the HTTP status."""
    ended, _, _ = run(_settle(Case((refused(CHECK_IN, status),), (PENDING,), "", 1, 1, "")))
    assert (ended.answer, ended.why) == (NOT_ALLOWED, "CHECK_IN_PASSED")
    ended, _, _ = run(_settle(Case((refused(CHECK_IN, status),), (is_("CANCELLED"),), "", 1, 1, "")))
    assert ended.answer == "ALREADY_CANCELLED"


@pytest.mark.parametrize("seconds", [0.1, 0.12, 0.2, 0.5, 1.0, 2.0, 5.0, 30.0])
@pytest.mark.parametrize("recovers", [0.1, 0.4, 0.6, 0.8])
def test_a_refusal_is_read_for_as_long_as_there_is_time(seconds: float, recovers: float) -> None:
    """However late the readings recover: "cannot be cancelled" is never the answer for what is cancelled."""

    async def main() -> None:
        vendor = PlayedVendor("CANCELLED")
        vendor.answer("cancel", refused(CHECK_IN))
        asyncio.get_running_loop().call_later(seconds * recovers, vendor.answer, "result", vendor.show_status)
        vendor.answer("result", BROKEN)
        ended = await Cancelling(vendor).cancel(seconds)
        in_time = seconds * (1 - recovers) >= 0.3
        assert ended.answer == "ALREADY_CANCELLED" if in_time else ended.answer in {"ALREADY_CANCELLED", NOT_ALLOWED}
        assert ended.seconds <= seconds

    run(main())


@pytest.mark.parametrize(
    ("words", "why"),
    [
        pytest.param(CHECK_IN, "CHECK_IN_PASSED", id="as on the page"),
        pytest.param("Check-In date passed", "CHECK_IN_PASSED", id="other words"),
        pytest.param("past the\ncheckin", "CHECK_IN_PASSED", id="two lines"),
        pytest.param("check in tomorrow", "UNSPECIFIED", id="not past"),
        pytest.param("compassed", "UNSPECIFIED", id="of something else"),
    ],
)
def test_the_vendors_words_name_a_reason(words: str, why: str) -> None:
    """CHECK_IN_PASSED when they name the check-in and the past; unset otherwise."""
    ended, _, _ = run(_settle(Case((refused(words),), (PENDING,), "", 1, 1, "")))
    assert (ended.answer, ended.why) == (NOT_ALLOWED, why)
