"""A token request that hangs is overtaken by another one; on virtual time, and over real sockets."""

import asyncio
from collections.abc import Sequence

import pytest

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from server.deadline import now
from server.vendor_api.hedging import hedged
from testkit import virtual_time
from testkit.gateway import connected, started
from testkit.scripted_vendor import RESULT_ID, TOKEN, ScriptedVendor, send

FOR_EVER = 1e6


class _Requests:
    """Each ends after its own number of seconds, or fails then if that is negative. ended: how each ended."""

    def __init__(self, seconds: Sequence[float]) -> None:
        self._seconds = iter(seconds)
        self.ended: list[str] = []

    async def one(self) -> str:
        seconds = next(self._seconds)
        try:
            await asyncio.sleep(abs(seconds))
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        if seconds < 0:
            self.ended.append("failed")
            raise ZeroDivisionError
        self.ended.append("replied")
        return f"after {seconds} s"


@pytest.mark.parametrize(
    ("seconds", "reply", "took", "ended"),
    [
        pytest.param([1, 9], "after 1 s", 1, ["replied"], id="the first in time: no other"),
        pytest.param([FOR_EVER, 1], "after 1 s", 4, ["replied", "cancelled"], id="the first hangs"),
        pytest.param([5, 9], "after 5 s", 5, ["replied", "cancelled"], id="the first is only slow"),
        pytest.param([-1, 9], None, 1, ["failed"], id="the first fails: its caller knows what to do"),
        pytest.param([FOR_EVER, -1], None, 4, ["failed", "cancelled"], id="the other one fails"),
        pytest.param([FOR_EVER, 7], "after 7 s", 10, ["replied", "cancelled"], id="both are slow: no third"),
    ],
)
def test_the_first_of_two_to_end_decides(
    seconds: Sequence[float], reply: str | None, took: float, ended: list[str]
) -> None:
    """The other one is cancelled: nothing goes on behind the caller's back."""

    async def request() -> None:
        requests, begun = _Requests(seconds), now()
        if reply is None:
            with pytest.raises(ZeroDivisionError):
                await hedged(requests.one, 3)
        else:
            assert await hedged(requests.one, 3) == reply
        assert round(now() - begun, 3) == took
        assert requests.ended == ended

    virtual_time.run(request())


def test_a_caller_that_leaves_ends_both() -> None:
    """At the end of the gateway, say."""

    async def left() -> None:
        requests = _Requests([FOR_EVER, FOR_EVER])
        waiting = asyncio.create_task(hedged(requests.one, 3))
        await asyncio.sleep(4)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert requests.ended == ["cancelled", "cancelled"]

    virtual_time.run(left())


async def test_a_token_request_that_hangs_holds_up_no_call_for_long(vendor: ScriptedVendor) -> None:
    """The vendor took it and never answers, on a connection that a balancer has lost, say; a new one works."""

    async def never(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    vendor.answer("token", never, send(TOKEN))
    async with started(vendor.url) as gateway, connected(gateway) as client:
        await client.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=RESULT_ID), timeout=9)
        assert len(vendor.requests("token")) == 2
