"""Lines about what outsiders cause at will are bounded, and nothing of it goes unsaid."""

import asyncio
from typing import Any

from structlog.testing import capture_logs

from server.observability.access_log import MAX_STRANGERS_LINES, AccessLog
from server.observability.line_limit import INTERVAL, LineLimit
from testkit import virtual_time


def _not_logged(lines: list[Any]) -> list[dict[str, int]]:
    return [line["not_logged"] for line in lines if line["event"] == "more"]


def test_the_first_lines_of_each_kind_are_admitted_and_the_others_are_summed_up() -> None:
    """At the end of the interval, although nothing more comes; a kind has its lines however many another one had."""

    async def flood() -> None:
        limit = LineLimit("more", 2)
        assert [limit.admits("A") for _ in range(5)] == [True, True, False, False, False]
        assert [limit.admits("B") for _ in range(3)] == [True, True, False]
        await asyncio.sleep(INTERVAL - 1)
        assert not limit.admits("A")
        assert _not_logged(lines) == []
        await asyncio.sleep(2)
        assert _not_logged(lines) == [{"A": 4, "B": 1}]
        assert limit.admits("A")

    with capture_logs() as lines:
        virtual_time.run(flood())


def test_few_events_have_their_lines_and_no_other() -> None:
    """Neither at the end of the interval nor at the end of the gateway."""

    async def few() -> None:
        limit = LineLimit("more", 2)
        for _ in range(5):
            assert limit.admits("A")
            await asyncio.sleep(INTERVAL)
        limit.flush()

    with capture_logs() as lines:
        virtual_time.run(few())
    assert lines == []


def test_what_was_not_logged_is_said_at_the_end_of_the_gateway() -> None:
    """Once: the timer of the interval says nothing any more."""

    async def flood() -> None:
        limit = LineLimit("more", 1)
        for _ in range(3):
            limit.admits("A")
        limit.flush()
        await asyncio.sleep(2 * INTERVAL)

    with capture_logs() as lines:
        virtual_time.run(flood())
    assert _not_logged(lines) == [{"A": 2}]


def test_calls_of_strangers_fill_no_log() -> None:
    """A hundred lines a minute, and one that has the number of the others; calls of known callers keep their lines."""

    async def flood() -> None:
        log = AccessLog("info", None)
        call: Any = ("GetCallRequestResult", "UNAUTHENTICATED", "CALLER_UNAUTHENTICATED", 0.001, "", "unknown")
        for _ in range(3 * MAX_STRANGERS_LINES):
            log.ended(*call, probe=False, stranger=True)
            log.ended("GetCallRequestResult", "OK", None, 0.001, "", "desk", probe=False)
        log.flush()

    with capture_logs() as lines:
        virtual_time.run(flood())
    codes = [line["code"] for line in lines if line["event"] == "call"]
    assert codes.count("UNAUTHENTICATED") == MAX_STRANGERS_LINES
    assert codes.count("OK") == 3 * MAX_STRANGERS_LINES
    assert [line["not_logged"] for line in lines if "not_logged" in line] == [
        {"UNAUTHENTICATED": 2 * MAX_STRANGERS_LINES}
    ]


def test_calls_below_the_level_of_the_log_are_not_counted_as_not_logged() -> None:
    """They have no line for another reason."""

    async def flood() -> None:
        log = AccessLog("warning", None)
        for _ in range(2 * MAX_STRANGERS_LINES):
            log.ended("Check", "OK", None, 0.001, "", None, probe=True, stranger=True)
        log.flush()

    with capture_logs() as lines:
        virtual_time.run(flood())
    assert lines == []
