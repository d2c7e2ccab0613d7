"""Results that are kept, so that a known answer can be given again."""

import asyncio
from contextlib import suppress
from typing import Self

from cachetools import TTLCache

from callrequest.v1 import call_request_pb2 as pb

from .deadline import now

EXPIRE_EVERY = 10.0
"""Seconds by which guests' data may outlast its time in memory."""
ENTRY_BYTES = 1850
"""What an entry costs beside its message's own bytes: 1850 with an outcome, 1350 without (CPython 3.11)."""


class KeptResults:
    """The latest result of each call request, for final_max_age seconds at most, and most_bytes in all.

    default_max_age: seconds for which a result that is not final may be given again to a caller that does not say.
    `async with` it, so that what is too old is let go.
    """

    def __init__(self, default_max_age: float, final_max_age: float, most_bytes: int) -> None:
        self.default_max_age = default_max_age
        self._final = final_max_age
        self._kept: TTLCache[str, tuple[pb.CallRequestResult, float]] = TTLCache(
            most_bytes, final_max_age, timer=now, getsizeof=lambda kept: ENTRY_BYTES + kept[0].ByteSize()
        )

    async def __aenter__(self) -> Self:
        self._expiring = asyncio.create_task(self._expire())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._expiring.cancel()
        with suppress(asyncio.CancelledError):
            await self._expiring

    def find(self, call_request_id: str, max_age: float | None) -> pb.CallRequestResult | None:
        """The result, if it is young enough. max_age: seconds; None: the defaults, and a final one for all its time."""
        kept = self._kept.get(call_request_id)
        if kept is None:
            return None
        result, kept_at = kept
        if max_age is None:
            max_age = self._final if is_final(result) else self.default_max_age
        return result if now() - kept_at < max_age else None

    def keep(self, result: pb.CallRequestResult) -> None:
        """Keeps a result in place of an older one. A final one stays: a slow read cannot undo it."""
        before = self._kept.get(result.call_request_id)
        if before is not None and is_final(before[0]) and not is_final(result):
            return
        kept = (result, now())
        if self._kept.getsizeof(kept) <= self._kept.maxsize:
            self._kept[result.call_request_id] = kept

    def drop(self, call_request_id: str) -> None:
        """Forgets a result: it is not the truth any more."""
        self._kept.pop(call_request_id, None)

    def bytes(self) -> int:
        """What is kept now, in bytes."""
        return int(self._kept.currsize)

    async def _expire(self) -> None:
        """Lets go of what is too old, so that guests' data does not stay in memory for longer."""
        while True:
            await asyncio.sleep(EXPIRE_EVERY)
            self._kept.expire()


def is_final(result: pb.CallRequestResult) -> bool:
    """Whether its truth cannot change any more. COMPLETED without an outcome can: it may still come."""
    if result.status == pb.CALL_REQUEST_STATUS_COMPLETED:
        return result.HasField("outcome")
    return result.status == pb.CALL_REQUEST_STATUS_CANCELLED
