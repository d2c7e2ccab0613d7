"""Cancelling: an effect, never carried out twice, never in doubt without saying so.

OK is only answered when the vendor holds the call request as cancelled, and the vendor gets at most two POSTs for a
cancel, refused ones included. The steps:

1. POST. What was not sent, what a stale token refused (once) and what came too fast may be sent again.
2. In doubt (the connection broke, no answer in time, an answer that is none): read the status back after a while, three
   times. Still pending at the third: POST once more, and read back in the same way.
3. Refused: read why. What is cancelled already is a success.
4. Not settled in time, or before the gateway ends: CANCELLATION_OUTCOME_UNKNOWN.
"""

import asyncio
import random

from google.rpc import code_pb2 as codes

from callrequest.v1 import call_request_pb2 as results
from callrequest.v1 import cancellation_pb2 as cancellations
from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.call_request_pb2 import CallRequestResult
from callrequest.v1.cancellation_pb2 import Cancellation, CancellationOutcome, CancellationRejected

from ..deadline import Deadline
from ..errors import Delivery, GatewayError, deadline_exceeded
from ..vendor_api.client import VendorClient

MAX_POSTS = 2
MAX_CONNECTS = 3
POST_SHARE = 0.6
"""Of the time left: what remains is for reading back."""
READ_BACK_PAUSES = (0.2, 0.5, 1.0)
"""Seconds before each reading back; shorter when there is less time."""
READ_BACK_TIME = 3.0
"""Seconds in which three readings back fit with these pauses."""

REASON_BY_STATUS = {
    results.CALL_REQUEST_STATUS_COMPLETED: cancellations.CANCELLATION_REJECTION_REASON_CALL_COMPLETED,
    results.CALL_REQUEST_STATUS_IN_PROGRESS: cancellations.CANCELLATION_REJECTION_REASON_CALL_IN_PROGRESS,
}


class Cancel:
    """One cancel on its way, whoever waits for it.

    settled_by: for metrics, what settled it.
    """

    def __init__(self, vendor: VendorClient, call_request_id: str, deadline: Deadline) -> None:
        self._vendor = vendor
        self._id = call_request_id
        self.deadline = deadline
        self._in_doubt = False
        self._refused = False
        self.settled_by = "error"
        self._posts = 0

    def unsettled(self, *, out_of_time: bool) -> GatewayError:
        """What a caller is told when its time is over, or the gateway's, before the cancel is settled."""
        if self._in_doubt:
            return outcome_unknown(out_of_time=out_of_time)
        if self._refused:
            return _not_allowed(CancellationRejected())
        return deadline_exceeded() if out_of_time else not_cancelled()

    async def settle(self) -> Cancellation:
        """Goes through the steps. Raises GatewayError."""
        try:
            cancellation = await self._post_until_answered()
        except GatewayError as error:
            unknown_code = error.delivery is Delivery.UNKNOWN_CODE and error.reason != reasons.ERROR_REASON_VENDOR_ERROR
            if error.delivery is Delivery.UNKNOWN or unknown_code:
                return await self._read_back()
            if error.rejected is None:
                raise
            return await self._read_why(error.rejected)
        self.settled_by = "reply"
        return cancellation

    async def _post_until_answered(self) -> Cancellation:
        """Step 1: POSTs again what had no effect and may have one now."""
        connects, token_was_refused = 0, False
        while True:
            try:
                return await self._post()
            except GatewayError as error:
                connects += error.delivery is Delivery.NOT_SENT
                pause = self._pause_before_another(error, connects, token_was_refused)
                if pause is None:
                    raise
                token_was_refused = token_was_refused or error.token_refused
            await asyncio.sleep(pause)

    def _pause_before_another(self, error: GatewayError, connects: int, token_was_refused: bool) -> float | None:
        """Seconds to wait before the POST may be sent again; None when it may not."""
        left = self.deadline.remaining()
        if error.delivery is Delivery.NOT_SENT:
            unreachable = error.reason == reasons.ERROR_REASON_VENDOR_UNAVAILABLE
            pause = random.uniform(0, 0.05 * 2**connects)  # noqa: S311 (jitter)
            return pause if unreachable and connects < MAX_CONNECTS and pause < left / 2 else None
        if self._posts >= MAX_POSTS:
            return None
        if error.token_refused:
            return None if token_was_refused else 0.0
        if error.reason == reasons.ERROR_REASON_VENDOR_RATE_LIMITED and error.retry_after <= left / 2:
            return error.retry_after
        return None

    async def _post(self) -> Cancellation:
        """Sends the cancel. While it is on its way its effect is in doubt, and stays so without a clear answer."""
        await self._vendor.ready(self.deadline)
        self._posts += 1
        was_in_doubt, self._in_doubt = self._in_doubt, True
        try:
            cancellation = await self._vendor.cancel(self._id, self.deadline, POST_SHARE)
        except GatewayError as error:
            self._posts -= error.delivery is Delivery.NOT_SENT
            self._in_doubt = was_in_doubt or error.delivery is Delivery.UNKNOWN
            raise
        self._in_doubt = False
        return cancellation

    async def _read_back(self) -> Cancellation:
        """Step 2: finds out by the status what became of the POST."""
        while True:
            result = await self._third_answer()
            if result is not None:
                return self._by_status(result)
            if self._posts >= MAX_POSTS:
                raise self._outcome_unknown()
            try:
                cancellation = await self._post()
            except GatewayError as error:
                # The first POST may have worked: a refusal of the second says nothing of it, but that there is none.
                if error.reason == reasons.ERROR_REASON_CALL_REQUEST_NOT_FOUND:
                    raise
            else:
                self.settled_by = "reply"
                return cancellation

    async def _third_answer(self) -> CallRequestResult | None:
        """Reads until the status settles it; None when it is still pending at the third reading or after.

        A reading that fails is no answer: it goes on until there is one, or the time is up.
        """
        scale = min(1.0, max(self.deadline.remaining(), 0) / READ_BACK_TIME)
        readings = 0
        while not self.deadline.spent():
            await asyncio.sleep(READ_BACK_PAUSES[min(readings, 2)] * scale)
            readings += 1
            try:
                half = self.deadline.part(0.5)
                await self._vendor.ready(half)
                result = await self._vendor.read_result(self._id, half, for_cancel=True)
            except GatewayError as error:
                if error.reason == reasons.ERROR_REASON_CALL_REQUEST_NOT_FOUND:
                    raise
                continue
            if result.status in SETTLED:
                return result
            if readings >= len(READ_BACK_PAUSES) and result.status == results.CALL_REQUEST_STATUS_PENDING_TO_CALL:
                return None
        raise self._outcome_unknown()

    def _by_status(self, result: CallRequestResult) -> Cancellation:
        self.settled_by = "reading back"
        if result.status == results.CALL_REQUEST_STATUS_CANCELLED:
            return self._cancelled(cancellations.CANCELLATION_OUTCOME_CANCELLED)
        raise _not_allowed(CancellationRejected(reason=REASON_BY_STATUS[result.status], status=result.status))

    async def _read_why(self, rejected: CancellationRejected) -> Cancellation:
        """Step 3: the status says why the vendor refused; else what the vendor said of it."""
        self.settled_by = "refusal"
        self._refused = True
        try:
            await self._vendor.ready(self.deadline)
            result = await self._vendor.read_result(self._id, self.deadline, for_cancel=True)
        except GatewayError:
            raise _not_allowed(CancellationRejected()) from None
        if result.status == results.CALL_REQUEST_STATUS_CANCELLED:
            return self._cancelled(cancellations.CANCELLATION_OUTCOME_ALREADY_CANCELLED)
        reason = REASON_BY_STATUS.get(result.status, rejected.reason)
        raise _not_allowed(CancellationRejected(reason=reason, status=result.status))

    def _cancelled(self, outcome: CancellationOutcome.ValueType) -> Cancellation:
        self._in_doubt = False
        return Cancellation(call_request_id=self._id, outcome=outcome)

    def _outcome_unknown(self) -> GatewayError:
        self.settled_by = "nothing"
        return outcome_unknown(out_of_time=self.deadline.spent())


SETTLED_BY = ("reply", "reading back", "refusal", "error", "nothing")
"""What may settle a cancel, for metrics; nothing: it ended in doubt."""
SETTLED = {results.CALL_REQUEST_STATUS_CANCELLED, *REASON_BY_STATUS}
"""The statuses by which a reading back settles a cancel: all but pending, and unknown ones."""


def _not_allowed(rejected: CancellationRejected) -> GatewayError:
    return GatewayError(reasons.ERROR_REASON_CANCELLATION_NOT_ALLOWED, rejected=rejected)


def not_cancelled() -> GatewayError:
    """UNAVAILABLE: the gateway ends, and the vendor was sent nothing that had an effect. It may be repeated."""
    return GatewayError(reasons.ERROR_REASON_VENDOR_UNAVAILABLE)


def outcome_unknown(*, out_of_time: bool) -> GatewayError:
    """CANCELLATION_OUTCOME_UNKNOWN: a POST may have arrived, and its effect could not be found out."""
    code = codes.DEADLINE_EXCEEDED if out_of_time else codes.UNKNOWN
    return GatewayError(reasons.ERROR_REASON_CANCELLATION_OUTCOME_UNKNOWN, code=code)
