"""The cancel state machine over random histories of faults, on virtual time.

The vendor is modelled at the transport: what it holds, what it commits, and what its replies look like, are three
different things. Whatever happens in between, the invariants of section 6 of the design hold.
"""

import asyncio
import json
import os
import random
from collections.abc import Awaitable, Callable

import httpx
import pytest

from callrequest.v1 import cancellation_pb2 as pb
from callrequest.v1 import error_reason_pb2 as reasons
from server.cancelling.in_progress import CancelsInProgress
from server.concurrency_limit import ConcurrencyLimit
from server.deadline import Deadline, now
from server.errors import GatewayError
from testkit.scripted_vendor import RESULT_ID, cancelled, failed, with_status
from testkit.vendor_client import vendor_client
from testkit.virtual_time import run

HISTORIES = int(os.environ.get("MODEL_HISTORIES", "2500"))
"""Each has four steps or more: cancels, and what the vendor does meanwhile."""

PENDING, IN_PROGRESS, COMPLETED, CANCELLED = "PENDING_TO_CALL", "IN_PROGRESS", "COMPLETED", "CANCELLED"


class ModelVendor(httpx.AsyncBaseTransport):
    """What the vendor holds, and a dice that decides what happens to each request on its way there and back."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._history = [PENDING]
        self.posts = self.in_doubt = 0
        self.steps = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._bad = dice.choice([0.0, 0.3, 0.6, 0.9])

    @property
    def holds(self) -> str:
        return self._history[-1]

    def becomes(self, status: str) -> None:
        """The vendor's own doing: a call begins, or is done."""
        if (self.holds, status) in {(PENDING, IN_PROGRESS), (IN_PROGRESS, COMPLETED)}:
            self._history.append(status)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            async with asyncio.timeout(request.extensions["timeout"]["read"]):
                return await self._handle(request)
        except TimeoutError:
            raise httpx.ReadTimeout("sent") from None

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        self.steps += 1
        if request.url.path.endswith("/token"):
            await self._fault((self._refuse, self._cut, self._five_hundred), share=self._bad / 3)
            return httpx.Response(200, json={"access_token": "t", "expires_in": 84400})
        if request.method == "GET":
            return await self._read()
        return await self._post()

    async def _read(self) -> httpx.Response:
        stale = self._dice.choice(self._history) if self._dice.random() < 0.2 else self.holds
        faults = (self._refuse, self._cut, self._five_hundred, self._garbage, self._slow, self._unauthorized)
        reply = await self._fault(faults, share=self._bad)
        return reply or httpx.Response(200, json=with_status(stale))

    async def _post(self) -> httpx.Response:
        if self._dice.random() < self._bad / 4:
            await self._refuse()
        self.posts += 1  # from here on the vendor has it
        self.in_doubt += 1
        before = (self._cut, self._five_hundred, self._garbage, self._slow, self._unauthorized, self._too_many)
        if reply := await self._fault(before, share=self._bad / 2):
            self.in_doubt -= reply.status_code in {401, 429}  # a clear no
            return reply
        if self._dice.random() < self._bad / 4:  # taken, and carried out when nobody waits for it any more
            task = asyncio.create_task(self._commit_later())
            self._tasks.add(task)
            await self._cut()
        answer = self._commit()
        after = (self._cut, self._five_hundred, self._garbage, self._slow)
        return await self._fault(after, share=self._bad / 2) or answer

    def _commit(self) -> httpx.Response:
        if self.holds != PENDING:
            return httpx.Response(200, json=failed("CANCELLATION_NOT_ALLOWED"))
        self._history.append(CANCELLED)
        return httpx.Response(200, json=cancelled())

    async def _commit_later(self) -> None:
        await asyncio.sleep(self._dice.uniform(0, 3))
        self._commit()

    async def _fault(
        self, faults: tuple[Callable[[], Awaitable[httpx.Response | None]], ...], share: float
    ) -> httpx.Response | None:
        await asyncio.sleep(self._dice.uniform(0, 0.05))
        return await self._dice.choice(faults)() if self._dice.random() < share else None

    async def _refuse(self) -> httpx.Response:
        raise self._dice.choice([httpx.ConnectError, httpx.ConnectTimeout])("not sent")

    async def _cut(self) -> httpx.Response:
        raise self._dice.choice([httpx.ReadError, httpx.RemoteProtocolError])("sent")

    async def _five_hundred(self) -> httpx.Response:
        return httpx.Response(self._dice.choice([500, 502, 503, 504]))

    async def _garbage(self) -> httpx.Response:
        other = cancelled("bcpFuj1ipoBKLz5G")
        bodies = ["<html>", "{}", json.dumps(other), '{"success": false}', '{"success": true, "results": 5']
        return httpx.Response(self._dice.choice([200, 302, 404]), text=self._dice.choice(bodies))

    async def _slow(self) -> None:
        await asyncio.sleep(self._dice.uniform(0, 40))

    async def _unauthorized(self) -> httpx.Response:
        return httpx.Response(401)

    async def _too_many(self) -> httpx.Response:
        return httpx.Response(429, headers={"retry-after": str(self._dice.choice([0, 1, 9]))})


async def _history(seed: int) -> int:
    """One history: callers, some of whom leave, a vendor that changes by itself, an end at times. Gives its steps."""
    dice = random.Random(seed)
    vendor = ModelVendor(dice)
    client = vendor_client(vendor, "https://v.example")
    ended: list[str] = []
    posts_at_end: list[int] = []
    number_in_flight: list[int] = []
    in_flight = ConcurrencyLimit(1, number_in_flight.append)
    cancellations = CancelsInProgress(client, in_flight, ended.append, lambda _: None)

    async def changes() -> None:
        for status in (IN_PROGRESS, COMPLETED):
            await asyncio.sleep(dice.uniform(0, 6))
            if dice.random() < 0.2:
                vendor.becomes(status)

    async def call() -> None:
        await asyncio.sleep(dice.choice([0, 0, 0.01, 1]))
        timeout, begun, posts = dice.choice([0.3, 1, 3, 10, 30]), now(), vendor.in_doubt
        try:
            answer = await cancellations.cancel(RESULT_ID, Deadline.after(timeout))
        except GatewayError as error:
            _check_failure(vendor, error, vendor.in_doubt - posts)
        else:
            assert vendor.holds == CANCELLED, "OK, but the vendor does not hold it as cancelled"
            assert answer.outcome != pb.CANCELLATION_OUTCOME_UNSPECIFIED
        assert now() - begun <= timeout, "answered after the deadline"

    async def leaving_call() -> None:
        task = asyncio.ensure_future(call())
        await asyncio.sleep(dice.uniform(0, 2))
        task.cancel()
        await asyncio.wait({task})

    async def gateway_ends() -> None:
        if dice.random() < 0.3:
            await asyncio.sleep(dice.uniform(0, 5))
            await cancellations.finish(dice.choice([0, 0.5, 5]))
            await asyncio.sleep(0.001)  # for those that it ends
            posts_at_end.append(vendor.posts)

    number = dice.choice([1, 1, 2, 3])
    callers = [dice.choice([call, call, leaving_call])() for _ in range(number)]
    await asyncio.gather(changes(), gateway_ends(), *callers)
    await cancellations.finish(60)
    assert all(posts == vendor.posts for posts in posts_at_end), "a POST after the end"
    assert not ended or number_in_flight[-1] == 0, "a place is not given back"
    # Callers who came one after another may have begun a cancel each; at once they share one.
    assert vendor.posts <= 2 * len(ended), f"{vendor.posts} POSTs for {len(ended)} cancels"
    return vendor.steps + number


def _check_failure(vendor: ModelVendor, error: GatewayError, posts: int) -> None:
    if error.reason == reasons.ERROR_REASON_VENDOR_UNAVAILABLE:
        assert posts <= 0, "UNAVAILABLE, which clients repeat, although a POST may have arrived"
    if error.reason == reasons.ERROR_REASON_DEADLINE_EXCEEDED:
        assert posts <= 0, "a spent deadline that does not say that a POST may have arrived"
    if error.reason == reasons.ERROR_REASON_CANCELLATION_NOT_ALLOWED:
        assert error.rejected is not None
        assert vendor.holds != CANCELLED or not error.rejected.reason, "not allowed, with a reason, but cancelled"
    expected = {
        reasons.ERROR_REASON_VENDOR_UNAVAILABLE,
        reasons.ERROR_REASON_DEADLINE_EXCEEDED,
        reasons.ERROR_REASON_CANCELLATION_NOT_ALLOWED,
        reasons.ERROR_REASON_CANCELLATION_OUTCOME_UNKNOWN,
        reasons.ERROR_REASON_VENDOR_REJECTED_CREDENTIALS,
        reasons.ERROR_REASON_VENDOR_RATE_LIMITED,
    }
    assert error.reason in expected, error.reason_name


@pytest.mark.timeout(300)
def test_whatever_happens_a_cancel_is_never_wrongly_confirmed() -> None:
    """OK only when the vendor holds CANCELLED; at most two POSTs a cancel; no UNAVAILABLE in doubt; in time."""
    steps = 0
    for seed in range(HISTORIES):
        try:
            steps += run(_history(seed))
        except AssertionError as error:
            raise AssertionError(f"history {seed}: {error}") from error
    print(f"{HISTORIES} histories, {steps} steps")
    assert steps >= 4 * HISTORIES
