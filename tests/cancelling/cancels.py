"""A cancel of a played vendor's call request, and what came of it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from callrequest.v1 import call_request_pb2 as results
from callrequest.v1 import cancellation_pb2 as pb
from callrequest.v1.cancellation_pb2 import CancellationOutcome
from server.cancelling.in_progress import CancelsInProgress
from server.concurrency_limit import ConcurrencyLimit
from server.deadline import Deadline, now
from server.errors import GatewayError
from server.observability.settled_cancel import SettledCancel
from testkit.scripted_vendor import RESULT_ID
from testkit.vendor_client import vendor_client


@dataclass(frozen=True)
class Ended:
    """The answer to one caller. answer: an outcome's name or a reason's. why, status: those of CancellationRejected."""

    answer: str
    code: int
    why: str
    status: str
    seconds: float


class Cancelling:
    """CancelsInProgress in front of a vendor at the transport. settled: what was reported of cancels that ended.

    changed: called with the id when a cancel begins and ends, before it is noted in `changed`.
    """

    def __init__(self, vendor: httpx.AsyncBaseTransport, changed: Callable[[str], None] = lambda _: None) -> None:
        def note(call_request_id: str) -> None:
            changed(call_request_id)
            self.changed.append(call_request_id)

        self.settled: list[SettledCancel] = []
        self.changed: list[str] = []
        self.numbers: list[int] = []
        self.in_progress = CancelsInProgress(
            vendor_client(vendor, "https://v.example"),
            ConcurrencyLimit(100, self.numbers.append),
            note,
            self.settled.append,
            jitter=lambda _, most: most,
        )

    async def cancel(self, seconds: float, call_request_id: str = RESULT_ID) -> Ended:
        """Cancels as a caller does that has so many seconds."""
        begun, why, status = now(), "", ""
        try:
            cancellation = await self.in_progress.cancel(call_request_id, Deadline.after(seconds))
        except GatewayError as error:
            if error.rejected is not None:
                why = pb.CancellationRejectionReason.Name(error.rejected.reason)
                status = results.CallRequestStatus.Name(error.rejected.status)
            answer, code = error.reason_name, error.code
        else:
            answer, code = CancellationOutcome.Name(cancellation.outcome), 0
        return Ended(
            answer.removeprefix("CANCELLATION_OUTCOME_") if not code else answer,
            code,
            why.removeprefix("CANCELLATION_REJECTION_REASON_"),
            status.removeprefix("CALL_REQUEST_STATUS_"),
            now() - begun,
        )

    async def leave(self, after: float) -> None:
        """Cancels as a caller does that goes away after so many seconds."""
        call = asyncio.ensure_future(self.cancel(30))
        await asyncio.sleep(after)
        call.cancel()
        await asyncio.wait({call})
