"""Watch, through a real server in front of a scripted vendor."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from callrequest.v1 import call_request_pb2 as pb
from callrequest.v1.call_request_service_pb2 import (
    CancelCallRequestRequest,
    GetCallRequestResultRequest,
    WatchCallRequestResultRequest,
)
from server.app import Gateway
from server.watching.ended import CAUSES
from testkit.failure import Failure, decode, failure_at_deadline
from testkit.gateway import connected, metrics_of, started
from testkit.scripted_vendor import (
    RESULT_ID,
    Answer,
    ScriptedVendor,
    failed,
    hang_up,
    later,
    never,
    pending,
    send,
    with_status,
)

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub

WATCH = WatchCallRequestResultRequest(call_request_id=RESULT_ID)
OTHER_ID = "bcpFuj1ipoBKLz5G"
FAST = {"watch_pending_interval": 0.1, "watch_in_progress_interval": 0.1}
PENDING, IN_PROGRESS = pb.CALL_REQUEST_STATUS_PENDING_TO_CALL, pb.CALL_REQUEST_STATUS_IN_PROGRESS
COMPLETED, CANCELLED = pb.CALL_REQUEST_STATUS_COMPLETED, pb.CALL_REQUEST_STATUS_CANCELLED


def completed(call_request_id: str = RESULT_ID) -> dict[str, Any]:
    return with_status("COMPLETED", call_request_id) | {"result": {"callStatus": "SUCCESS"}}


async def until(condition: Callable[[], bool]) -> None:
    """Waits, at most 30 s, until something is so."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 (no event announces it)
            await asyncio.sleep(0.005)


class Watching:
    """A watch as its caller sees it: the statuses received, and how it ended."""

    def __init__(
        self,
        client: "CallRequestServiceAsyncStub",
        request: Any = WATCH,
        timeout: float = 40,
        metadata: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.call = client.WatchCallRequestResult(request, timeout=timeout, metadata=metadata)
        self.received: list[pb.CallRequestResult] = []
        self.ended: Failure | str | None = None
        self._task = asyncio.create_task(self._read())

    @property
    def statuses(self) -> list[int]:
        return [result.status for result in self.received]

    async def _read(self) -> None:
        try:
            async for response in self.call:
                self.received.append(response.call_request_result)
            self.ended = "OK"
        except grpc.aio.AioRpcError as error:
            self.ended = decode(error)
        except asyncio.CancelledError:
            self.ended = "left"

    async def until(self, number: int) -> None:
        """Waits for so many messages."""
        await until(lambda: len(self.received) >= number or self.ended is not None)
        assert len(self.received) >= number, self.ended

    async def end(self) -> Failure | str | None:
        """Waits for the end of the stream."""
        async with asyncio.timeout(30):
            await self._task
        return self.ended

    async def leave(self) -> None:
        self.call.cancel()
        await self._task


async def test_a_watch_sends_the_result_then_each_change_and_ends_after_a_final_one(vendor: ScriptedVendor) -> None:
    """PENDING_TO_CALL, IN_PROGRESS, COMPLETED with its outcome, OK; what is unchanged is sent once."""
    vendor.answer(
        "result",
        send(pending()),
        send(pending()),
        send(with_status("IN_PROGRESS")),
        send(with_status("IN_PROGRESS")),
        send(completed()),
    )
    async with started(vendor.url, **FAST) as gateway, connected(gateway) as client:
        watching = Watching(client)
        assert await watching.end() == "OK"
        assert watching.statuses == [PENDING, IN_PROGRESS, COMPLETED]
        assert watching.received[-1].outcome.call_status == pb.CALL_STATUS_SUCCESS
        assert len(vendor.requests("result")) == 5
        await asyncio.sleep(0.3)
        assert len(vendor.requests("result")) == 5, "polled after the final result"


@pytest.mark.parametrize(
    ("final", "status"),
    [
        pytest.param(completed(), COMPLETED, id="completed"),
        pytest.param(with_status("CANCELLED"), CANCELLED, id="cancelled"),
    ],
)
async def test_a_final_result_is_sent_once_and_ends_the_watch(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor, final: dict[str, Any], status: int
) -> None:
    """Whoever watches what is final already gets one message and OK."""
    vendor.answer("result", send(final))
    watching = Watching(client)
    assert await watching.end() == "OK"
    assert watching.statuses == [status]
    assert len(vendor.requests("result")) == 1


@pytest.mark.parametrize(
    "not_final",
    [
        pytest.param(with_status("COMPLETED"), id="COMPLETED-without-outcome"),
        pytest.param(with_status("ON_HOLD"), id="unknown-status"),
    ],
)
async def test_a_result_that_can_still_change_does_not_end_the_watch(
    vendor: ScriptedVendor, not_final: dict[str, Any]
) -> None:
    """COMPLETED whose outcome is missing and a status that this version does not know are not final."""
    vendor.answer("result", send(not_final), send(not_final), send(completed()))
    async with started(vendor.url, **FAST) as gateway, connected(gateway) as client:
        watching = Watching(client)
        assert await watching.end() == "OK"
        assert len(watching.received) == 2
        assert watching.statuses[-1] == COMPLETED


ENDING = {
    "NOT_FOUND": (failed("NOT_FOUND"), "NOT_FOUND", "CALL_REQUEST_NOT_FOUND"),
    "BAD_REQUEST": (failed("BAD_REQUEST"), "INVALID_ARGUMENT", "VENDOR_REJECTED_REQUEST"),
}


@pytest.mark.parametrize("snapshots", [pytest.param(0, id="at-first"), pytest.param(1, id="after-a-snapshot")])
@pytest.mark.parametrize(("answer", "code", "reason"), [pytest.param(*case, id=name) for name, case in ENDING.items()])
async def test_a_failure_that_does_not_pass_ends_the_watch_with_its_reason(
    vendor: ScriptedVendor, answer: dict[str, Any], code: str, reason: str, snapshots: int
) -> None:
    """Waiting would not help, so the watch does not wait; a new watch asks the vendor again."""
    vendor.answer("result", *[send(pending())] * snapshots, send(answer), send(completed()))
    async with started(vendor.url, **FAST) as gateway, connected(gateway) as client:
        watching = Watching(client)
        ended = await watching.end()
        assert isinstance(ended, Failure)
        assert (ended.code, ended.reason) == (code, reason)
        assert len(watching.received) == snapshots
        assert await Watching(client).end() == "OK"


PASSING: dict[str, Answer] = {
    "503": send("", 503),
    "500": send("", 500),
    "hangs-up": hang_up(),
    "HTML": send("<html>"),
    "unknown-error": send(failed("QUOTA")),
    "credentials": send("", 403),
    "rate-limited": send("", 429, retry_after="0"),
    "never-answers": never(),
}


@pytest.mark.parametrize("snapshots", [pytest.param(0, id="at-first"), pytest.param(1, id="after-a-snapshot")])
@pytest.mark.parametrize("answer", [pytest.param(answer, id=name) for name, answer in PASSING.items()])
async def test_a_failure_that_may_pass_ends_no_watch(vendor: ScriptedVendor, answer: Answer, snapshots: int) -> None:
    """The stream stays open, waits for the vendor, and goes on with the next result that can be read."""
    vendor.answer("result", *[send(pending())] * snapshots, *[answer] * 4, send(completed()))
    async with started(vendor.url, vendor_timeout=0.1, **FAST) as gateway, connected(gateway) as client:
        watching = Watching(client)
        assert await watching.end() == "OK"
        assert watching.statuses == [PENDING] * snapshots + [COMPLETED]


async def test_an_open_watch_without_a_result_is_seen_as_open(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """The headers come at once, also while the vendor does not answer."""
    vendor.answer("result", never())
    watching = Watching(client)
    async with asyncio.timeout(30):
        await watching.call.initial_metadata()
    assert (watching.received, watching.ended) == ([], None)
    await watching.leave()


async def test_many_watchers_of_a_call_request_share_one_poll(vendor: ScriptedVendor) -> None:
    """However many watch, the vendor is asked as often as for one; all see the change."""
    async with started(vendor.url, **FAST) as gateway, connected(gateway) as client:
        watchers = [Watching(client) for _ in range(30)]
        for watching in watchers:
            await watching.until(1)
        vendor.answer("result", send(completed()))
        assert [await watching.end() for watching in watchers] == ["OK"] * 30
        assert {tuple(watching.statuses) for watching in watchers} == {(PENDING, COMPLETED)}
        before_the_change, after_it = len(vendor.requests("result")), 1
        assert before_the_change < 30 + after_it


async def test_the_poll_ends_with_the_last_watcher(vendor: ScriptedVendor) -> None:
    """Nobody watches, nobody asks; a read in progress is given up."""
    async with started(vendor.url, **FAST) as gateway, connected(gateway) as client:
        first, second = Watching(client), Watching(client)
        await first.until(1)
        await second.until(1)
        vendor.answer("result", never())
        asked = len(vendor.requests("result"))
        await vendor.until(lambda: len(vendor.requests("result")) > asked)
        await first.leave()
        await asyncio.sleep(0.1)
        assert vendor.left == 0, "another still watches"
        await second.leave()
        await vendor.until(lambda: vendor.left == 1)
        asked = len(vendor.requests("result"))
        await asyncio.sleep(0.3)
        assert len(vendor.requests("result")) == asked


async def test_a_cancel_reaches_watchers_at_once(vendor: ScriptedVendor) -> None:
    """They do not wait for the next poll, a minute later."""
    async with started(vendor.url) as gateway, connected(gateway) as client:
        watching = Watching(client)
        await watching.until(1)
        vendor.answer("result", send(with_status("CANCELLED")))
        await client.CancelCallRequest(CancelCallRequestRequest(call_request_id=RESULT_ID))
        assert await watching.end() == "OK"
        assert watching.statuses == [PENDING, CANCELLED]


async def test_a_poll_under_way_during_a_cancel_is_not_the_last_word(vendor: ScriptedVendor) -> None:
    """What was read before the cancel may be answered after it: the poll is made again at once."""
    async with started(vendor.url) as gateway, connected(gateway) as client:
        vendor.answer("result", later(0.3, send(pending())), send(with_status("CANCELLED")))
        watching = Watching(client)
        await vendor.until(lambda: vendor.requests("result"))
        await client.CancelCallRequest(CancelCallRequestRequest(call_request_id=RESULT_ID))
        assert await watching.end() == "OK"
        assert watching.statuses[-1] == CANCELLED


WRONG = {
    "id": (WatchCallRequestResultRequest(call_request_id="../etc/passwd"), "call_request_id"),
    "no-id": (WatchCallRequestResultRequest(), "call_request_id"),
    "heartbeat-zero": (
        WatchCallRequestResultRequest(call_request_id=RESULT_ID, heartbeat_interval=Duration()),
        "heartbeat_interval",
    ),
    "heartbeat-below-a-second": (
        WatchCallRequestResultRequest(call_request_id=RESULT_ID, heartbeat_interval=Duration(nanos=999_999_999)),
        "heartbeat_interval",
    ),
    "heartbeat-negative": (
        WatchCallRequestResultRequest(call_request_id=RESULT_ID, heartbeat_interval=Duration(seconds=-5)),
        "heartbeat_interval",
    ),
    "heartbeat-beyond-all-durations": (
        WatchCallRequestResultRequest(call_request_id=RESULT_ID, heartbeat_interval=Duration(seconds=2**62)),
        "heartbeat_interval",
    ),
    "heartbeat-with-mixed-signs": (
        WatchCallRequestResultRequest(call_request_id=RESULT_ID, heartbeat_interval=Duration(seconds=5, nanos=-1)),
        "heartbeat_interval",
    ),
}


@pytest.mark.parametrize(("request_", "field"), [pytest.param(*case, id=name) for name, case in WRONG.items()])
async def test_a_wrong_watch_is_refused_and_the_vendor_not_asked(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor, request_: Any, field: str
) -> None:
    """INVALID_REQUEST names the field."""
    ended = await Watching(client, request_).end()
    assert isinstance(ended, Failure)
    assert (ended.code, ended.reason, ended.fields) == ("INVALID_ARGUMENT", "INVALID_REQUEST", [field])
    assert not vendor.requests("result")


@pytest.mark.parametrize("seconds", [pytest.param(1, id="shortest"), pytest.param(315_576_000_000, id="longest")])
async def test_a_heartbeat_interval_within_its_bounds_is_taken(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor, seconds: int
) -> None:
    """From a second to the longest Duration that there is."""
    heartbeat = Duration(seconds=seconds)
    watching = Watching(client, WatchCallRequestResultRequest(call_request_id=RESULT_ID, heartbeat_interval=heartbeat))
    await watching.until(2 if seconds == 1 else 1)
    assert set(watching.statuses) == {PENDING}
    assert watching.received[0] == watching.received[-1]
    await watching.leave()


async def test_a_watch_ends_with_details_before_its_deadline(client: "CallRequestServiceAsyncStub") -> None:
    """The caller's library would end it without ErrorInfo, 50 ms later."""
    received = []

    async def watch() -> None:
        async for response in client.WatchCallRequestResult(WATCH, timeout=0.5):
            received.append(response.call_request_result.status)  # noqa: PERF401 (until it fails)

    ended = await failure_at_deadline(watch)
    assert (ended.code, ended.reason) == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
    assert set(received) == {PENDING}


async def test_above_their_bound_watches_are_refused_and_a_place_is_free_when_one_leaves(
    vendor: ScriptedVendor,
) -> None:
    """OVERLOADED has a RetryInfo; a watch that waits takes no place of a read."""
    async with started(vendor.url, max_watches=2, max_reads=1) as gateway, connected(gateway) as client:
        watchers = [Watching(client) for _ in range(2)]
        for watching in watchers:
            await watching.until(1)
        ended = await Watching(client).end()
        assert isinstance(ended, Failure)
        assert (ended.code, ended.reason, ended.retry) == ("UNAVAILABLE", "OVERLOADED", 1.0)
        assert "watchers 2.0" in await metrics_of(gateway)
        await client.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=RESULT_ID))
        await watchers[0].leave()
        await _until_scraped(gateway, "watchers 1.0")
        again = Watching(client)
        await again.until(1)


async def test_the_watches_of_a_connection_leave_room_for_its_other_calls(vendor: ScriptedVendor) -> None:
    """Of 128 watches on one connection 32 are refused; a read beside them is answered at once."""
    async with started(vendor.url) as gateway, connected(gateway) as client:
        watchers = [Watching(client, timeout=50) for _ in range(128)]
        await until(lambda: all(each.received or each.ended is not None for each in watchers))
        refused = [each.ended for each in watchers if each.ended is not None]
        assert {each.reason for each in refused if isinstance(each, Failure)} == {"OVERLOADED"}
        assert len(refused) == 32
        await client.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=RESULT_ID), timeout=20)
        await client.CancelCallRequest(CancelCallRequestRequest(call_request_id=RESULT_ID), timeout=20)
        async with connected(gateway) as other:
            elsewhere = Watching(other)
            await elsewhere.until(1)


async def test_a_drain_ends_watches_with_a_time_to_come_back(vendor: ScriptedVendor) -> None:
    """WATCH_ENDED with RetryInfo, different for each, so that they do not come back all at once."""
    async with started(vendor.url, grace=50) as gateway, connected(gateway) as client:
        watchers = [Watching(client) for _ in range(10)]
        for watching in watchers:
            await watching.until(1)
        begun = asyncio.get_running_loop().time()
        await gateway.drain()
        assert asyncio.get_running_loop().time() - begun < 30, "the drain waited for a watch"
        ended = [await watching.end() for watching in watchers]
        retries = {each.retry for each in ended if isinstance(each, Failure)}
        assert {(each.code, each.reason) for each in ended if isinstance(each, Failure)} == {
            ("UNAVAILABLE", "WATCH_ENDED")
        }
        assert len(retries) == 10


async def _until_scraped(gateway: Gateway, line: str) -> None:
    """Waits until the metrics hold a line."""
    async with asyncio.timeout(30):
        while line not in (await metrics_of(gateway)).splitlines():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_ended_watches_are_counted_by_their_cause_from_zero_on(vendor: ScriptedVendor) -> None:
    """Each cause has its series before it first occurs."""
    async with started(vendor.url) as gateway, connected(gateway) as client:
        before = set((await metrics_of(gateway)).splitlines())
        assert {"watchers 0.0", *(f'watches_ended_total{{cause="{cause}"}} 0.0' for cause in CAUSES)} <= before
        watching = Watching(client)
        await watching.until(1)
        await watching.leave()
        vendor.answer("result", send(completed(OTHER_ID)))
        await Watching(client, WatchCallRequestResultRequest(call_request_id=OTHER_ID)).end()
        await _until_scraped(gateway, 'watches_ended_total{cause="caller_left"} 1.0')
        await _until_scraped(gateway, 'watches_ended_total{cause="final"} 1.0')


async def test_a_caller_that_is_struck_off_the_file_loses_its_watch(vendor: ScriptedVendor, tmp_path: Path) -> None:
    """Without any message to it; whoever may not read cannot begin to watch."""
    callers = tmp_path / "callers.toml"
    entry = '[[caller]]\nname = "desk"\ntoken_sha256 = "{}"\nmay = ["{}"]\n'
    digest = hashlib.sha256(b"token-of-desk").hexdigest()
    callers.write_text(entry.format(digest, "read"))
    metadata = (("authorization", "Bearer token-of-desk"),)
    async with started(vendor.url, callers=callers) as gateway, connected(gateway) as client:
        watching = Watching(client, metadata=metadata, timeout=30)
        await watching.until(1)
        callers.write_text(entry.format(digest, "cancel"))
        await until(lambda: watching.ended is not None)
        refused = Watching(client, metadata=metadata)
        for ended in watching.ended, await refused.end():
            assert isinstance(ended, Failure)
            assert (ended.code, ended.reason) == ("PERMISSION_DENIED", "CALLER_FORBIDDEN")
        await _until_scraped(gateway, 'watches_ended_total{cause="caller_forbidden"} 1.0')
