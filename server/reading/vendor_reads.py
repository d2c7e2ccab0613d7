"""Reads at the vendor: tried again while that may help, and not sent when the vendor cannot answer them."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from callrequest.v1 import error_reason_pb2 as reasons

from ..deadline import MAX_SECONDS, Deadline, now
from ..errors import Delivery, GatewayError, VendorState, deadline_exceeded
from ..observability import spans
from ..vendor_api.client import VendorClient
from ..vendor_api.exchange import UNANSWERED
from .known_failures import KnownFailures
from .result_cache import Reading
from .retries import Retries
from .retry_after import Hold, RetryAfter
from .throttle import Throttle

SOURCES = ("cache", "coalesced", "vendor", "state", "refresh", "cached_failure", "held", "throttled")
"""Where the answer of a read may come from, for metrics; the last three are failures without asking the vendor."""


class ReadMetrics(Protocol):
    """Counts where answers come from and what was done about failures. source: one of SOURCES."""

    def read(self, source: str) -> None: ...
    def read_retried(self) -> None: ...


class VendorReads:
    """Reads results at the vendor. default_max_age: seconds for which a failure about one id is known, at most 1."""

    def __init__(self, vendor: VendorClient, default_max_age: float, metrics: ReadMetrics) -> None:
        self._vendor = vendor
        self._metrics = metrics
        self._failures = KnownFailures(default_max_age)
        self._retry_after = RetryAfter()
        self._retries = Retries()
        self._throttle = Throttle()
        self.usual_seconds = 0.0  # that a read takes, smoothed

    def check(self, call_request_id: str, max_age: float | None, *, held: bool) -> None:
        """Raises the failure that a read is known to end with, if it is. max_age: None: the default; 0: asks anew.

        held: whether a Retry-After that is not over is such a failure; not so if another process may know a result.
        """
        try:
            source = "cached_failure"
            self._failures.check(call_request_id, max_age)
            source = "held"
            if held:
                self._retry_after.check(call_request_id)
        except GatewayError:
            self._metrics.read(source)
            raise

    def is_throttled(self) -> bool:
        """Whether most reads are not sent, since the vendor hardly answers."""
        return self._throttle.is_active()

    def retry_after_left(self) -> float:
        """What is left of a Retry-After that holds for all reads, in seconds; 0 without one."""
        return self._retry_after.left()

    def keep(self, call_request_id: str, error: GatewayError) -> None:
        """Caches the failure of a read, if it is about the id."""
        self._failures.put(call_request_id, error)

    def forget(self, call_request_id: str) -> None:
        """Forgets a cached failure."""
        self._failures.pop(call_request_id)

    def may_refuse(self, call_request_id: str) -> bool:
        """Whether a read may be refused without asking the vendor, by the throttle or for a Retry-After."""
        return self._throttle.is_active() or self._retry_after.is_held(call_request_id)

    def admit(self, call_request_id: str) -> None:
        """Decides whether a read may be sent, if it begins at once, as `admitted`. Raises the failure if it may not."""
        self._pass_throttle()
        try:
            self._retry_after.check(call_request_id)
        except GatewayError:
            self._not_sent("held")
            raise

    async def read(self, call_request_id: str, deadline: Deadline, *, admitted: bool = False) -> Reading:
        """Asks the vendor, again while that may help. Raises GatewayError, that of the last try.

        admitted: whether `admit` has let it pass. deadline: that of the most patient reader, who may still come; so it
        bounds the tries, not the one under way. That one ends when the last reader has left.
        """
        self._retries.call_began()
        is_known_to_fail = self._failures.has(call_request_id) or self._throttle.is_failing_alone(call_request_id)
        tries = 0
        while True:
            probed: Sequence[Hold] = ()
            if self.may_refuse(call_request_id):
                if tries or not admitted:
                    self._pass_throttle()
                probed = await self._turn(call_request_id, deadline.remaining() / 2 if tries else 0)
            try:
                await self._vendor.ready_to_read(deadline)
                answer = await self._try(call_request_id, probed)
            finally:
                self._retry_after.release(probed)
            if isinstance(answer, Reading):
                return answer
            tries += 1
            hopeless = is_known_to_fail or self._throttle.is_active()
            pause = None if hopeless else self._retries.pause(answer, tries, deadline)
            if pause is None:
                raise answer
            self._metrics.read_retried()
            spans.event("retry", {"error.type": answer.reason_name, "callrequest.pause": pause})
            await asyncio.sleep(pause)

    def _pass_throttle(self) -> None:
        try:
            self._throttle.admit()
        except GatewayError:
            self._not_sent("throttled")
            raise

    async def _turn(self, call_request_id: str, patience: float) -> Sequence[Hold]:
        try:
            return await self._retry_after.turn(call_request_id, patience)
        except GatewayError:
            self._not_sent("held")
            raise

    def _not_sent(self, source: str) -> None:
        self._metrics.read(source)
        spans.event("not sent", {"callrequest.read.source": source})

    async def _try(self, call_request_id: str, probed: Sequence[Hold]) -> Reading | GatewayError:
        began_at = now()
        try:
            result = await self._vendor.read_result(call_request_id, Deadline(began_at + MAX_SECONDS))
        except GatewayError as error:
            self._answered(call_request_id, error, began_at, probed)
            return error
        except asyncio.CancelledError:
            self._answered(call_request_id, deadline_exceeded(), began_at, probed)
            raise
        self._answered(call_request_id, None, began_at, probed)
        reading = Reading.of(result, began_at)
        self.usual_seconds += (reading.read_at - began_at - self.usual_seconds) / 8
        return reading

    def _answered(
        self, call_request_id: str, error: GatewayError | None, began_at: float, probed: Sequence[Hold]
    ) -> None:
        if error is not None:
            if error.delivery is Delivery.NOT_SENT and error.wait_is_known:
                return  # that of the rate limit, or of a token fetch: nothing was read
            if error.spec.vendor is VendorState.NOT_SEEN and now() - began_at >= UNANSWERED:
                error = GatewayError(reasons.ERROR_REASON_VENDOR_TIMEOUT)
        self._throttle.answered(call_request_id, error)
        self._retry_after.answered(call_request_id, error, began_at, probed)
        self._failures.answered(call_request_id, error)
