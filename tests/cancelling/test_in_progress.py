"""Cancels in progress: shared by callers, carried on without them, ended with the gateway; on virtual time."""

import asyncio

import pytest
from google.rpc import code_pb2 as codes

from testkit.played_vendor import PlayedVendor, Reply, after, cut, hangs, raises, reply
from testkit.scripted_vendor import RESULT_ID, cancelled, failed, with_status
from testkit.virtual_time import run
from tests.cancelling.cancels import Cancelling

UNKNOWN = "CANCELLATION_OUTCOME_UNKNOWN"
CHECK_IN = "Call request cannot be cancelled as check in is in the past."


def played(cancel: Reply, *result: Reply) -> tuple[PlayedVendor, Cancelling]:
    vendor = PlayedVendor()
    vendor.answer("cancel", cancel)
    if result:
        vendor.answer("result", *result)
    return vendor, Cancelling(vendor)


def test_callers_of_one_id_share_its_cancel() -> None:
    """One cancel at a time for an id: callers who come meanwhile cause no POST, and each gets the answer."""

    async def main() -> None:
        vendor, cancelling = played(after(0.3, reply(cancelled())))
        ended = await asyncio.gather(*(cancelling.cancel(10) for _ in range(5)))
        assert {each.answer for each in ended} == {"CANCELLED"}
        assert vendor.count("cancel") == 1
        assert [line.callers_left for line in cancelling.settled] == [0]
        assert max(cancelling.numbers) == 1
        assert cancelling.numbers[-1] == 0

    run(main())


def test_the_next_caller_after_the_end_begins_another() -> None:
    """What has ended is not shared: the second cancel is a POST of its own, refused, and read."""

    async def main() -> None:
        vendor = PlayedVendor()
        cancelling = Cancelling(vendor)
        assert (await cancelling.cancel(10)).answer == "CANCELLED"
        assert (await cancelling.cancel(10)).answer == "ALREADY_CANCELLED"
        assert vendor.count("cancel") == 2

    run(main())


@pytest.mark.parametrize("hasty", [pytest.param(0.1, id="100 ms"), pytest.param(1.0, id="1 s")])
def test_a_caller_with_more_time_is_not_bound_by_one_with_less(hasty: float) -> None:
    """Each waits within its own deadline: the hasty one's outcome is not known, the patient one's is read."""

    async def main() -> None:
        vendor, cancelling = played(cut(), after(1.1, reply(with_status("CANCELLED"))))
        first = asyncio.ensure_future(cancelling.cancel(hasty))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(cancelling.cancel(20))
        ended = await first
        assert (ended.answer, ended.code) == (UNKNOWN, codes.DEADLINE_EXCEEDED)
        assert ended.seconds <= hasty
        assert (await second).answer == "CANCELLED"
        assert vendor.count("cancel") == 1
        (line,) = cancelling.settled
        assert (line.settled_by, line.outcome, line.callers_left) == ("reading back", "CANCELLED", 1)

    run(main())


@pytest.mark.parametrize(
    ("lost", "held", "outcome", "reason", "settled_by", "posts"),
    [
        pytest.param(after(1, cut()), "CANCELLED", "CANCELLED", None, "reading back", 1, id="read back"),
        pytest.param(after(1, reply(cancelled())), "CANCELLED", "CANCELLED", None, "reply", 1, id="answered"),
        pytest.param(hangs(), "PENDING_TO_CALL", None, UNKNOWN, "nothing", 2, id="in doubt"),
        pytest.param(after(1, raises(KeyError())), "CANCELLED", "CANCELLED", None, "reading back", 1, id="a defect"),
    ],
)
def test_a_caller_that_leaves_does_not_leave_it_half_done(
    lost: Reply, held: str, outcome: str | None, reason: str | None, settled_by: str, posts: int
) -> None:
    """The cancel goes on without its caller, and leaves its line: what came of it, and that the caller had gone."""

    async def main() -> None:
        vendor, cancelling = played(lost, reply(with_status(held)))
        await cancelling.leave(0.5)
        await cancelling.in_progress.finish(60)
        (line,) = cancelling.settled
        assert (line.call_request_id, line.outcome, line.reason) == (RESULT_ID, outcome, reason)
        assert (line.settled_by, line.posts, line.callers_left) == (settled_by, posts, 1)
        assert (vendor.count("cancel"), vendor.count("result")) == (posts, line.readings)
        assert cancelling.numbers[-1] == 0
        assert cancelling.changed == [RESULT_ID] * 2, "when it begins, and when it has ended"

    run(main())


def _refused(words: str) -> Reply:
    return reply(failed("CANCELLATION_NOT_ALLOWED", words))


AT_THE_END = {
    "not sent": (hangs(), {"token": hangs()}, "VENDOR_UNAVAILABLE", codes.UNAVAILABLE, "error", 0),
    "sent, no reading answers": (hangs(), {"result": hangs()}, UNKNOWN, codes.UNKNOWN, "nothing", 1),
    "being read back": (cut(), {"result": hangs()}, UNKNOWN, codes.UNKNOWN, "nothing", 1),
    "refused without a word": (_refused("no"), {"result": hangs()}, UNKNOWN, codes.UNKNOWN, "nothing", 1),
    "refused for its check-in": (
        _refused(CHECK_IN),
        {"result": hangs()},
        "CANCELLATION_NOT_ALLOWED",
        codes.FAILED_PRECONDITION,
        "refusal",
        1,
    ),
    "unknown code": (reply(failed("OOPS")), {"result": hangs()}, UNKNOWN, codes.UNKNOWN, "nothing", 1),
}


@pytest.mark.parametrize("seconds", [pytest.param(0.0, id="at once"), pytest.param(2.0, id="in 2 s")])
@pytest.mark.parametrize("name", AT_THE_END)
def test_a_cancel_that_the_end_cuts_short_says_what_is_known_of_it(name: str, seconds: float) -> None:
    """UNAVAILABLE, which clients repeat, only when nothing was sent. It leaves its line and its count."""
    cancel, others, answer, code, settled_by, posts = AT_THE_END[name]

    async def main() -> None:
        vendor, cancelling = played(cancel)
        for operation, each in others.items():
            vendor.answer(operation, each)
        call = asyncio.ensure_future(cancelling.cancel(30))
        await asyncio.sleep(0.3)
        begun = asyncio.get_running_loop().time()
        await cancelling.in_progress.finish(seconds)
        assert asyncio.get_running_loop().time() - begun <= seconds
        assert call.done(), "its caller waits on"
        ended = call.result()
        (line,) = cancelling.settled
        assert (ended.answer, ended.code) == (answer, code)
        assert (line.reason, line.settled_by, line.posts) == (ended.answer, settled_by, posts)
        assert vendor.count("cancel") == posts

    run(main())


def test_a_post_that_hangs_at_the_end_is_read_back_in_time() -> None:
    """The time until the end is shared as a caller's is: the POST is given up for what the status shows."""

    async def main() -> None:
        vendor, cancelling = played(hangs(), reply(with_status("CANCELLED")))
        call = asyncio.ensure_future(cancelling.cancel(30))
        await asyncio.sleep(1)
        await cancelling.in_progress.finish(5)
        assert (await call).answer == "CANCELLED"
        assert vendor.count("cancel") == 1

    run(main())


def test_a_cancel_that_begins_before_the_end_has_the_time_until_then() -> None:
    """While the server still takes calls a cancel begins, and divides the time until the end."""

    async def main() -> None:
        vendor, cancelling = played(hangs(), reply(with_status("CANCELLED")))
        cancelling.in_progress.end_by(5)
        ended = await cancelling.cancel(30)
        assert (ended.answer, vendor.count("cancel")) == ("CANCELLED", 1)
        assert ended.seconds < 5

    run(main())


def test_no_cancel_begins_at_the_end() -> None:
    """What is sent from now on could not be settled: UNAVAILABLE, and the vendor sees nothing of it."""

    async def main() -> None:
        vendor, cancelling = played(reply(cancelled()))
        await cancelling.in_progress.finish(0)
        assert (await cancelling.cancel(10)).answer == "VENDOR_UNAVAILABLE"
        assert vendor.requests == []

    run(main())


def test_one_who_joins_at_the_end_does_not_make_it_later() -> None:
    """A caller may still share a cancel in progress, which divides the time until the end, not that of its caller."""

    async def main() -> None:
        _, cancelling = played(cut(), hangs(), reply(with_status("CANCELLED")))
        first = asyncio.ensure_future(cancelling.cancel(10))
        await asyncio.sleep(0.1)
        ending = asyncio.ensure_future(cancelling.in_progress.finish(2))
        await asyncio.sleep(0.05)
        second = asyncio.ensure_future(cancelling.cancel(30))
        await ending
        assert {(await first).answer, (await second).answer} == {"CANCELLED"}

    run(main())


def test_the_end_is_not_the_callers_deadline() -> None:
    """A cancel that has no time left before the end is UNKNOWN, not DEADLINE_EXCEEDED: its caller has time."""

    async def main() -> None:
        _, cancelling = played(cut(), reply("", 503))
        call = asyncio.ensure_future(cancelling.cancel(30))
        await asyncio.sleep(0.1)
        await cancelling.in_progress.finish(2)
        assert ((await call).answer, (await call).code) == (UNKNOWN, codes.UNKNOWN)

    run(main())


@pytest.mark.parametrize(
    ("defect", "answer"),
    [
        pytest.param(KeyError("x"), "INTERNAL", id="a defect"),
        pytest.param(asyncio.CancelledError(), "VENDOR_UNAVAILABLE", id="a token fetch that was ended"),
    ],
)
def test_a_defect_before_anything_is_sent_leaves_no_doubt(defect: BaseException, answer: str) -> None:
    """Nothing can have been cancelled; the cancel leaves its line and its count."""

    async def main() -> None:
        vendor, cancelling = played(reply(cancelled()))
        vendor.answer("token", raises(defect))
        assert (await cancelling.cancel(10)).answer == answer
        (line,) = cancelling.settled
        assert (line.reason, line.settled_by, line.posts) == (answer, "error", 0)
        assert vendor.count("cancel") == 0

    run(main())


def test_a_defect_of_what_drops_known_answers_costs_no_place_and_no_line() -> None:
    """At the beginning: INTERNAL, nothing was sent. At the end: the answer, the line and the count are as always."""

    async def main() -> None:
        calls = 0

        def fails(_: str) -> None:
            nonlocal calls
            calls += 1
            if calls in {1, 3}:
                raise KeyError("a defect")

        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        vendor = PlayedVendor()
        cancelling = Cancelling(vendor, fails)
        with pytest.raises(KeyError):
            await cancelling.cancel(10)
        assert (cancelling.numbers[-1], vendor.requests) == (0, [])
        assert (await cancelling.cancel(10)).answer == "CANCELLED"
        assert cancelling.numbers[-1] == 0
        assert [line.outcome for line in cancelling.settled] == ["CANCELLED"]

    run(main())
