"""A call request: its plan, and its status by the sandbox's clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .clock import timestamp
from .dialect import Dialect, Status
from .fault_queue import FaultPlan, FaultQueue
from .vendor_examples import CHECK_IN_PAST_MESSAGE

SUCCESS: Mapping[str, Any] = {
    "callType": "BOOKING_VERIFICATION",
    "callStatus": "SUCCESS",
    "outcomeSummary": "Confirmed All Details.",
    "outcomeDetails": "The hotel confirmed the reservation and all of its details.",
    "recipientName": "Sam",
    "hotelConfirmationId": "123456A",
}
"""The outcome of a call whose plan has none."""


@dataclass(frozen=True, slots=True)
class WebhookPlan:
    """How the result is pushed once the call is completed.

    secret: signs it, as whsec_ and base64. token: is sent as a bearer token. delay: seconds until the first push.
    times: how often the same push is sent. another_body: then once more under its event id with another outcome.
    out_of_order: then one from when the call was in progress. nested: whether the outcome stands in `data.result`.
    signed_ago: how old the signature is, in seconds.
    """

    url: str
    secret: str | None = None
    token: str | None = None
    delay: float = 0.0
    times: int = 1
    another_body: bool = False
    out_of_order: bool = False
    nested: bool = True
    signed_ago: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """The course of a call request. Times are seconds from its creation; negative ones have passed.

    status: fixed, whatever the time, until a cancel. call_in: when the hotel is phoned. call_takes: from then until it
    is COMPLETED. check_in_in: None means that it never passes. outcome: the fields of `result`, as they are sent.
    refusal: the message with which every cancel is refused. error_status: the HTTP status of the vendor's errors.
    """

    status: Status | None = None
    call_in: float = 3600.0
    call_takes: float = 60.0
    check_in_in: float | None = None
    outcome: Mapping[str, Any] = field(default_factory=lambda: SUCCESS)
    refusal: str | None = None
    error_status: int = 200
    dialect: Dialect = field(default_factory=Dialect)
    faults: tuple[FaultPlan, ...] = ()
    webhook: WebhookPlan | None = None


class CancelRefused(Exception):
    """A cancel is not allowed; the exception's text is the vendor's message."""


class Life(NamedTuple):
    """When it is created, when the hotel is phoned, and when it is completed, in seconds since 1970."""

    made_at: float
    call_at: float
    completed_at: float


class CallRequest:
    """A call request. made_at: its creation, in seconds since 1970. sentence: its purpose, for people."""

    def __init__(self, call_request_id: str, plan: Plan, made_at: float, sentence: str) -> None:
        self.id = call_request_id
        self.plan = plan
        self.sentence = sentence
        self.faults = FaultQueue(plan.faults)
        self._made_at = made_at
        self._call_at = made_at + plan.call_in
        self._check_in = float("inf") if plan.check_in_in is None else made_at + plan.check_in_in
        self._cancelled = False

    def status(self, now: float) -> Status:
        if self._cancelled:
            return Status.CANCELLED
        if self.plan.status is not None:
            return self.plan.status
        if now < self._call_at:
            return Status.PENDING_TO_CALL
        return Status.IN_PROGRESS if now < self._call_at + self.plan.call_takes else Status.COMPLETED

    @property
    def life(self) -> Life | None:
        """Its course on the clock; None when its status does not change by itself."""
        if self._cancelled or self.plan.status is not None:
            return None
        return Life(self._made_at, self._call_at, self._call_at + self.plan.call_takes)

    def cancel(self, now: float) -> None:
        """Cancels it. Raises CancelRefused unless it is pending and its check-in is not in the past."""
        status = self.status(now)
        if status is not Status.PENDING_TO_CALL:
            raise CancelRefused(_REFUSALS[status])
        if now >= self._check_in:
            raise CancelRefused(CHECK_IN_PAST_MESSAGE)
        if self.plan.refusal is not None:
            raise CancelRefused(self.plan.refusal)
        self._cancelled = True

    def outcome(self) -> Mapping[str, Any]:
        """The planned outcome; with the time of the call when the plan has none."""
        if self.plan.status is None and "dialTime" not in self.plan.outcome:
            return {**self.plan.outcome, "dialTime": timestamp(self._call_at)}
        return self.plan.outcome


_REFUSALS = {
    Status.COMPLETED: "Call request cannot be cancelled as it is already completed.",
    Status.IN_PROGRESS: "Call request cannot be cancelled as the call is in progress.",
    Status.CANCELLED: "Call request cannot be cancelled as it is already cancelled.",
}
