"""Reads the status of a call request back, to find out what became of a POST."""

import asyncio

from callrequest.v1 import call_request_pb2 as results
from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.call_request_pb2 import CallRequestResult

from ..deadline import MIN_SECONDS, Deadline
from ..errors import GatewayError
from ..observability import spans
from ..vendor_api.client import VendorClient
from .defects import Defects

PAUSES = (0.2, 0.5, 1.0)
"""Seconds before each reading, the last one before all that follow; shorter when there is less time."""
FULL_TIME = 3.0
"""Seconds in which three readings fit with these pauses."""
SHARE = 0.5
"""The share of the time left that one reading may take, so that one that hangs leaves time for others."""

SETTLED = frozenset(
    {
        results.CALL_REQUEST_STATUS_CANCELLED,
        results.CALL_REQUEST_STATUS_IN_PROGRESS,
        results.CALL_REQUEST_STATUS_COMPLETED,
    }
)
"""The statuses that settle a cancel: all but pending, which a POST under way may still change, and unknown ones."""


class ReadBack:
    """Readings for one cancel, each asked anew from the vendor. readings: how many were sent."""

    def __init__(self, vendor: VendorClient, call_request_id: str, deadline: Deadline, defects: Defects) -> None:
        self._vendor = vendor
        self._id = call_request_id
        self._deadline = deadline
        self._defects = defects
        self.readings = 0

    async def settled(self, *, pending: int, readings: int = 1) -> CallRequestResult | None:
        """Reads until the status is one of SETTLED, or so many answers were pending and so many readings done.

        None when the time is up before. Raises CALL_REQUEST_NOT_FOUND.
        """
        scale = min(1.0, max(self._deadline.remaining(), 0) / FULL_TIME)
        done = were_pending = 0
        while await self._pause(PAUSES[min(done, len(PAUSES) - 1)] * scale):
            result = await self._read()
            done += 1
            if result is None:
                continue
            if result.status in SETTLED:
                return result
            if result.status == results.CALL_REQUEST_STATUS_PENDING_TO_CALL:
                were_pending += 1
                if were_pending >= pending and done >= readings:
                    return result
        return None

    async def answered(self) -> CallRequestResult | None:
        """Reads, the first time at once, until a reading answers; None when the time is up before.

        Raises CALL_REQUEST_NOT_FOUND.
        """
        done = 0
        while await self._pause((0.0, *PAUSES)[min(done, len(PAUSES))]):
            if (result := await self._read()) is not None:
                return result
            done += 1
        return None

    async def _pause(self, seconds: float) -> bool:
        """Waits so long, and half of the time left at most; returns whether there is time for a reading."""
        await asyncio.sleep(min(seconds, max(self._deadline.remaining(), 0) / 2))
        return not self._deadline.spent()

    async def _read(self) -> CallRequestResult | None:
        """One reading; None when it fails: that is no answer. Raises CALL_REQUEST_NOT_FOUND."""
        limit = self._deadline.part(SHARE, at_least=2 * MIN_SECONDS)
        try:
            await self._vendor.ready_to_cancel(limit)
            self.readings += 1
            result = await self._vendor.read_result(self._id, limit, for_cancel=True)
            status = results.CallRequestStatus.Name(result.status).removeprefix("CALL_REQUEST_STATUS_")
            spans.event("read back", {"callrequest.status": status})
            return result
        except GatewayError as error:
            spans.event("reading back failed", {"error.type": error.reason_name})
            if error.reason == reasons.ERROR_REASON_CALL_REQUEST_NOT_FOUND:
                raise
        except (Exception, asyncio.CancelledError) as error:
            self._defects.absorb(error)
        return None
