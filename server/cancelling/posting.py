"""Sends the POST of a cancel, again when it had no effect, and knows whether one may have had its effect."""

import asyncio
import math
from collections.abc import Callable

from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.cancellation_pb2 import Cancellation, CancellationRejected

from ..deadline import MIN_SECONDS, Deadline, now
from ..errors import Delivery, GatewayError
from ..observability import spans
from ..vendor_api.client import VendorClient
from .defects import Defects

MAX_POSTS = 2
MAX_CONNECTS = 3
SHARE = 0.6
"""The share of the time left that a POST may take: what remains is for reading back."""


class Posts:
    """The POSTs of one cancel.

    number: how many the vendor may have received, refused ones included. in_doubt: whether one of them may have had its
    effect; also after a refusal: the call request may be cancelled already. rejected: the vendor's last refusal, if it
    was one. jitter: returns a random number between two.
    """

    def __init__(
        self,
        vendor: VendorClient,
        call_request_id: str,
        deadline: Deadline,
        defects: Defects,
        jitter: Callable[[float, float], float],
    ) -> None:
        self._vendor = vendor
        self._id = call_request_id
        self._deadline = deadline
        self._defects = defects
        self._jitter = jitter
        self._timeout: asyncio.Timeout | None = None  # of the POST under way
        self.number = 0
        self.in_doubt = False
        self.rejected: CancellationRejected | None = None

    async def send_until_answered(self) -> Cancellation:
        """Sends it, and again what was not sent, what a stale token refused (once), and what came too fast.

        Raises GatewayError, as send() does.
        """
        connects, token_was_refused = 0, False
        while True:
            try:
                return await self.send()
            except GatewayError as error:
                connects += error.delivery is Delivery.NOT_SENT
                pause = self._pause_before_another(error, connects, token_was_refused)
                if pause is None:
                    raise
                token_was_refused = token_was_refused or error.token_refused
            await asyncio.sleep(pause)

    async def send(self) -> Cancellation:
        """Sends it once. While it is on its way its effect is in doubt, and stays so without a clear answer.

        Raises GatewayError: its delivery is what is known of the effect. A defect of ours is UNKNOWN delivery, too.
        """
        await self._vendor.ready_to_cancel(self._deadline)
        was_in_doubt, self.in_doubt = self.in_doubt, True
        self.number += 1
        spans.event("post", {"callrequest.cancel.post": self.number})
        limit = self._limit()
        try:
            async with asyncio.timeout(None) as self._timeout:  # ends it only when hurry() says so
                return await self._vendor.cancel(self._id, limit)
        except GatewayError as error:
            self.number -= error.delivery is Delivery.NOT_SENT
            self.rejected = error.rejected
            clear_no = error.delivery in {Delivery.NOT_SENT, Delivery.REJECTED} and error.rejected is None
            self.in_doubt = was_in_doubt or not clear_no or error.already_cancelled
            spans.event("post failed", {"error.type": error.reason_name, "callrequest.cancel.in_doubt": self.in_doubt})
            raise
        except (Exception, asyncio.CancelledError) as error:
            if not (self._timeout and self._timeout.expired()):
                self._defects.absorb(error)
            raise GatewayError(reasons.ERROR_REASON_INTERNAL, delivery=Delivery.UNKNOWN) from None
        finally:
            self._timeout = None

    def hurry(self) -> None:
        """The deadline has become sooner: a POST under way ends in time for its effect to be read back."""
        if self._timeout is not None:
            self._timeout.reschedule(min(self._timeout.when() or math.inf, now() + self._limit().remaining()))

    def _limit(self) -> Deadline:
        return self._deadline.part(SHARE, at_least=2 * MIN_SECONDS)

    def _pause_before_another(self, error: GatewayError, connects: int, token_was_refused: bool) -> float | None:
        """Seconds to wait before it may be sent again; None when it may not."""
        left = self._deadline.remaining()
        if error.delivery is Delivery.NOT_SENT:
            unreachable = error.reason == reasons.ERROR_REASON_VENDOR_UNAVAILABLE
            pause = self._jitter(0, 0.05 * 2**connects)
            return pause if unreachable and connects < MAX_CONNECTS and pause < left / 2 else None
        if error.delivery is not Delivery.REJECTED or self.number >= MAX_POSTS:
            return None
        if error.token_refused:
            return None if token_was_refused else 0.0
        if error.reason == reasons.ERROR_REASON_VENDOR_RATE_LIMITED and error.retry_after <= left / 2:
            return error.retry_after
        return None
