"""Cancels over random histories of faults, on virtual time: whatever happens, the invariants hold."""

import asyncio
import os
import random

import pytest

from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.error_reason_pb2 import ErrorReason
from server.cancelling.in_progress import CancelsInProgress
from server.concurrency_limit import ConcurrencyLimit
from server.deadline import Deadline, now
from server.errors import GatewayError
from server.observability.settled_cancel import SettledCancel
from testkit.scripted_vendor import RESULT_ID
from testkit.vendor_client import vendor_client
from testkit.virtual_time import run
from tests.cancelling.model_vendor import CANCELLED, COMPLETED, IN_PROGRESS, ModelVendor

HISTORIES = int(os.environ.get("MODEL_HISTORIES", "1500"))
"""Each has four steps or more: cancels, and what the vendor does meanwhile."""

LAST_READING = 1.5
"""Seconds in which a reading takes place for sure, when readings answer at once: the longest pause, and a margin."""
LAST_MOMENTS = 0.25
"""Seconds before a deadline in which no other reading may fit."""

UNDONE = {
    reasons.ERROR_REASON_VENDOR_UNAVAILABLE,
    reasons.ERROR_REASON_DEADLINE_EXCEEDED,
    reasons.ERROR_REASON_VENDOR_REJECTED_CREDENTIALS,
    reasons.ERROR_REASON_VENDOR_RATE_LIMITED,
    reasons.ERROR_REASON_INTERNAL,
}
"""The reasons that a caller takes for "nothing was cancelled", without a look at the status."""
BY_STATUS = {
    reasons.ERROR_REASON_CANCELLATION_NOT_ALLOWED,
    reasons.ERROR_REASON_VENDOR_ERROR,
    reasons.ERROR_REASON_VENDOR_REJECTED_REQUEST,
    reasons.ERROR_REASON_CALL_REQUEST_NOT_FOUND,
}
"""The reasons that say so after readings."""


class History:
    """One history: callers, some of whom leave, a vendor that changes by itself, an end at times."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.vendor = ModelVendor(self.dice)
        self.settled: list[SettledCancel] = []
        self.changed: list[str] = []
        self.numbers = [0]
        self.answers: list[str] = []
        self.over_at = float("inf")
        client = vendor_client(self.vendor, "https://v.example", self.vendor)
        in_flight = ConcurrencyLimit(1, self.numbers.append)
        self.cancels = CancelsInProgress(client, in_flight, self.changed.append, self.settled.append, self.dice.uniform)

    async def take_place(self) -> None:
        """Runs it. Raises AssertionError where an invariant does not hold."""
        dice, vendor = self.dice, self.vendor
        callers = [
            dice.choice([self._call, self._call, self._leaving_call])() for _ in range(dice.choice([1, 1, 2, 3]))
        ]
        await asyncio.gather(self._changes(), self._gateway_ends(), *callers)
        await self.cancels.finish(60)
        assert self.numbers[-1] == 0, "a place is not given back"
        assert 2 * len(self.settled) == len(self.changed), "each cancel changes what is known twice, and leaves a line"
        assert all(line.posts <= 2 for line in self.settled), "more than two POSTs for a cancel"
        assert sum(line.posts for line in self.settled) == vendor.posts, "the lines miscount the POSTs"
        assert all(bool(line.outcome) != bool(line.reason) for line in self.settled)

    async def _changes(self) -> None:
        for status in (IN_PROGRESS, COMPLETED):
            await asyncio.sleep(self.dice.uniform(0, 6))
            if self.dice.random() < 0.2:
                self.vendor.becomes(status)

    async def _leaving_call(self) -> None:
        task = asyncio.ensure_future(self._call())
        await asyncio.sleep(self.dice.uniform(0, 2))
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()

    async def _gateway_ends(self) -> None:
        if self.dice.random() < 0.3:
            await asyncio.sleep(self.dice.uniform(0, 5))
            seconds = self.dice.choice([0, 0.5, 5])
            self.over_at = now() + seconds
            await self.cancels.finish(seconds)
            posts = self.vendor.posts
            await asyncio.sleep(5)
            assert posts == self.vendor.posts, "a POST after the end"

    async def _call(self) -> None:
        await asyncio.sleep(self.dice.choice([0, 0, 0.01, 1]))
        timeout, begun, in_doubt = self.dice.choice([0.1, 0.3, 1, 3, 10, 30]), now(), self.vendor.in_doubt
        try:
            await self.cancels.cancel(RESULT_ID, Deadline.after(timeout))
        except GatewayError as error:
            self.answers.append(ErrorReason.Name(error.reason))
            self._check_failure(error, self.vendor.in_doubt - in_doubt, begun + timeout)
        else:
            self.answers.append("OK")
            assert self.vendor.holds == CANCELLED, "OK, but the vendor does not hold it as cancelled"
        assert now() - begun <= timeout, "answered after the deadline"

    def _check_failure(self, error: GatewayError, in_doubt: int, deadline: float) -> None:
        vendor = self.vendor
        if error.reason in UNDONE:
            assert in_doubt <= 0, f"{error.reason_name}, although a POST may have had its effect"
            return
        if error.reason not in BY_STATUS:
            assert error.reason == reasons.ERROR_REASON_CANCELLATION_OUTCOME_UNKNOWN, error.reason_name
            return
        if vendor.holds != CANCELLED or vendor.stale:
            return
        assert not vendor.shown, f"{error.reason_name}, although a reading has shown it as cancelled"
        if vendor.cancelled_at > vendor.refused_at > 0:
            return  # the first POST was carried out after the second was refused, and after the last reading
        assert error.rejected is not None, f"{error.reason_name}, but it is cancelled"
        assert error.rejected.reason, "refused without a reason, and no reading has answered"
        until = min(deadline, self.over_at)
        assert now() >= until - LAST_MOMENTS, f"{error.reason_name} before the time was up, but it is cancelled"
        if vendor.calm:
            assert vendor.unreadable_until > until - LAST_READING, f"{error.reason_name}, but a reading had answered"


@pytest.mark.timeout(300)
def test_whatever_happens_a_cancel_says_what_is_true() -> None:
    """OK only for what is cancelled; "not cancelled" only for what is not, if a reading could show it; two POSTs.

    And: no UNAVAILABLE in doubt, every answer in time, a line for every cancel.
    """
    requests, answers = 0, set[str]()

    async def history(seed: int) -> None:
        nonlocal requests
        one = History(seed)
        await one.take_place()
        requests += one.vendor.requests
        answers.update(one.answers)

    for seed in range(HISTORIES):
        try:
            run(history(seed))
        except AssertionError as error:
            raise AssertionError(f"history {seed}: {error}") from error
    print(f"{HISTORIES} histories, {requests} requests, {sorted(answers)}")
    assert requests >= 3 * HISTORIES
    assert len(answers) >= 8 or HISTORIES < 1000, "these histories are too tame"
