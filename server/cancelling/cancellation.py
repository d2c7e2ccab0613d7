"""One cancel, from its first POST until it is settled.

OK is only answered when the vendor holds the call request as cancelled. "It cannot be cancelled" is never answered
while the vendor does, if a reading could have shown that in time. The vendor gets at most two POSTs, refused ones
included. The steps:

1. POST. What was not sent, a 401 (once) and a 429 may be sent again.
2. In doubt (the connection broke, no reply in time, a reply that the API does not describe, a defect of ours): read the
   status back, three times. Still pending at the third reading or later: POST once more, and read back in the same way.
3. Refused (CANCELLATION_NOT_ALLOWED): read why, until a reading answers. What is cancelled is a success.
4. An error code that we do not know, or any other than CANCELLATION_NOT_ALLOWED with words for "already cancelled":
   neither a yes nor a clear no. Read the status back; pending twice: the vendor's error.
5. Not settled in time, or before the gateway ends: CANCELLATION_OUTCOME_UNKNOWN.
"""

import asyncio
from collections.abc import Callable

from callrequest.v1 import call_request_pb2 as results
from callrequest.v1 import cancellation_pb2 as cancellations
from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.call_request_pb2 import CallRequestResult
from callrequest.v1.cancellation_pb2 import Cancellation, CancellationOutcome, CancellationRejected

from ..deadline import Deadline
from ..errors import Delivery, GatewayError, deadline_exceeded
from ..vendor_api.client import VendorClient
from .defects import Defects
from .failures import not_allowed, not_cancelled, outcome_unknown, unknown_error
from .posting import MAX_POSTS, Posts
from .reading_back import ReadBack

SETTLED_BY = ("reply", "reading back", "refusal", "error", "nothing")
"""What may settle a cancel, for metrics; nothing: it ended in doubt."""

REASON_BY_STATUS = {
    results.CALL_REQUEST_STATUS_COMPLETED: cancellations.CANCELLATION_REJECTION_REASON_CALL_COMPLETED,
    results.CALL_REQUEST_STATUS_IN_PROGRESS: cancellations.CANCELLATION_REJECTION_REASON_CALL_IN_PROGRESS,
}


class Cancel:
    """One cancel on its way, whoever waits for it.

    deadline: may be moved while it runs. jitter: returns a random number between two. settled_by: one of SETTLED_BY.
    """

    def __init__(
        self, vendor: VendorClient, call_request_id: str, deadline: Deadline, jitter: Callable[[float, float], float]
    ) -> None:
        self._id = call_request_id
        self._defects = Defects(call_request_id)
        self.deadline = deadline
        self.posts = Posts(vendor, call_request_id, deadline, self._defects, jitter)
        self.read_back = ReadBack(vendor, call_request_id, deadline, self._defects)
        self.settled_by = "error"
        self._gateway_ends = False

    def end_by(self, deadline: Deadline) -> None:
        """The gateway ends by then: moves the cancel's deadline to that moment, if it is sooner."""
        self._gateway_ends = True
        self.deadline.shorten(deadline)
        self.posts.hurry()

    def unsettled(self, *, out_of_time: bool) -> GatewayError:
        """The answer to a caller whose time is up, or the gateway's, before the cancel is settled."""
        rejected = self.posts.rejected
        if rejected is not None and rejected.reason:
            return not_allowed(rejected)
        if self.posts.in_doubt:
            return outcome_unknown(out_of_time=out_of_time)
        return deadline_exceeded() if out_of_time else not_cancelled()

    async def settle(self) -> Cancellation:
        """Goes through the steps. Raises GatewayError; INTERNAL for a defect, unless it leaves the outcome in doubt."""
        try:
            return await self._settle()
        except GatewayError:
            raise
        except (Exception, asyncio.CancelledError) as error:
            self._defects.absorb(error)
        if self.posts.in_doubt:
            raise self._outcome_unknown()
        raise GatewayError(reasons.ERROR_REASON_INTERNAL)

    async def _settle(self) -> Cancellation:
        try:
            return self._by("reply", await self.posts.send_until_answered())
        except GatewayError as error:
            failure = error
        if failure.rejected is not None:
            return await self._settle_refusal(failure.rejected)
        if failure.delivery is Delivery.UNKNOWN_CODE or failure.already_cancelled:
            return await self._settle_error(failure)
        if failure.delivery is Delivery.UNKNOWN:
            return await self._settle_doubt()
        raise failure

    async def _settle_doubt(self) -> Cancellation:
        """Step 2: finds out by the status what became of the POST; still pending, it is sent a second time."""
        while self.posts.number < MAX_POSTS:
            result = await self.read_back.settled(pending=1, readings=3)
            if result is None or result.status != results.CALL_REQUEST_STATUS_PENDING_TO_CALL:
                return self._by_status(result)
            try:
                return self._by("reply", await self.posts.send())
            except GatewayError as error:
                # The first POST may have worked: a refusal of the second shows only that the second did not.
                if error.reason == reasons.ERROR_REASON_CALL_REQUEST_NOT_FOUND:
                    raise
            except (Exception, asyncio.CancelledError) as error:
                self._defects.absorb(error)
        return self._by_status(await self.read_back.settled(pending=3))

    async def _settle_refusal(self, rejected: CancellationRejected) -> Cancellation:
        """Step 3: the status shows why the vendor refused; else the vendor's words do."""
        result = await self.read_back.answered()
        if result is not None and result.status == results.CALL_REQUEST_STATUS_CANCELLED:
            return self._by("refusal", self._cancelled(cancellations.CANCELLATION_OUTCOME_ALREADY_CANCELLED))
        raise self._refused(rejected, result)

    async def _settle_error(self, reply: GatewayError) -> Cancellation:
        """Step 4: neither a yes nor a clear no; only the status shows which."""
        result = await self.read_back.settled(pending=2)
        status = results.CALL_REQUEST_STATUS_UNSPECIFIED if result is None else result.status
        if status == results.CALL_REQUEST_STATUS_PENDING_TO_CALL:
            raise reply if reply.delivery is Delivery.REJECTED else unknown_error(reply)
        if status == results.CALL_REQUEST_STATUS_CANCELLED and reply.already_cancelled:
            return self._by("refusal", self._cancelled(cancellations.CANCELLATION_OUTCOME_ALREADY_CANCELLED))
        return self._by_status(result)

    def _by_status(self, result: CallRequestResult | None) -> Cancellation:
        """What the status shows after a POST in doubt. result: None when the time is up."""
        if result is not None and result.status == results.CALL_REQUEST_STATUS_CANCELLED:
            return self._by("reading back", self._cancelled(cancellations.CANCELLATION_OUTCOME_CANCELLED))
        if result is not None and (reason := REASON_BY_STATUS.get(result.status)):
            self.settled_by = "reading back"
            raise not_allowed(CancellationRejected(reason=reason, status=result.status))
        raise self._refused(self.posts.rejected, result)

    def _refused(self, rejected: CancellationRejected | None, result: CallRequestResult | None) -> GatewayError:
        """CANCELLATION_NOT_ALLOWED when the vendor refused, and a status or its words show why; else the doubt.

        result: with a status other than CANCELLED; None when the time is up.
        """
        if rejected is None or (result is None and not rejected.reason):
            return self._outcome_unknown()
        self.settled_by = "refusal"
        status = results.CALL_REQUEST_STATUS_UNSPECIFIED if result is None else result.status
        return not_allowed(CancellationRejected(reason=REASON_BY_STATUS.get(status, rejected.reason), status=status))

    def _outcome_unknown(self) -> GatewayError:
        self.settled_by = "nothing"
        return outcome_unknown(out_of_time=self.deadline.spent() and not self._gateway_ends)

    def _by(self, what: str, cancellation: Cancellation) -> Cancellation:
        self.settled_by = what
        return cancellation

    def _cancelled(self, outcome: CancellationOutcome.ValueType) -> Cancellation:
        return Cancellation(call_request_id=self._id, outcome=outcome)
