"""Results that are kept, so that a known answer can be given again."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from callrequest.v1 import call_request_pb2 as pb
from callrequest.v1.call_request_service_pb2 import GetCallRequestResultResponse

from ..deadline import now

EXPIRE_EVERY = 10.0
"""Seconds by which guests' data may outlast its time in memory."""
ENTRY_BYTES = 250
"""What an entry costs beside its answer's own bytes (CPython 3.11): key, object, float and place in the dictionary."""


@dataclass(slots=True)
class Reading:
    """What the vendor said of a call request, as the response that callers get, and when.

    answer: a GetCallRequestResultResponse, serialized: a fifth of the message's memory, and nothing to do when it is
    given again. final: its truth cannot change any more. refreshed: a younger one has been asked for.
    """

    answer: bytes
    final: bool
    read_at: float
    refreshed: bool = False

    @classmethod
    def of(cls, result: pb.CallRequestResult) -> "Reading":
        """The reading of a result that has just come."""
        answer = GetCallRequestResultResponse(call_request_result=result).SerializeToString()
        return cls(answer, is_final(result), now())


class ResultCache:
    """The latest reading of each call request, for final_max_age seconds at most, and max_bytes in all.

    default_max_age: seconds for which one that is not final may be given again to a caller that does not say. When
    there is no room, the oldest goes first. `async with` it, so that what is too old is let go.
    """

    def __init__(self, default_max_age: float, final_max_age: float, max_bytes: int) -> None:
        self._default = default_max_age
        self._longest = final_max_age
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: dict[str, Reading] = {}  # the oldest first: all are kept for the same time

    async def __aenter__(self) -> Self:
        self._expiring = asyncio.create_task(self._expire())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._expiring.cancel()
        with suppress(asyncio.CancelledError):
            await self._expiring

    def get(self, call_request_id: str) -> Reading | None:
        """What is kept, however old."""
        return self._entries.get(call_request_id)

    def allowed(self, reading: Reading, max_age: float | None) -> float:
        """How old a reading may be, in seconds. max_age: the caller's; None: the default, a final one all its time."""
        if max_age is None:
            max_age = self._longest if reading.final else self._default
        return min(max_age, self._longest)

    def may_coalesce(self, max_age: float | None) -> bool:
        """Whether a read that another began may serve such a caller: not one that wants what is true from now on."""
        return (self._default if max_age is None else max_age) > 0

    def put(self, call_request_id: str, reading: Reading) -> None:
        """Keeps a reading in place of an older one. A final one stays: a slow read cannot undo it."""
        before = self._entries.get(call_request_id)
        if before is not None and before.final and not reading.final:
            return
        self.invalidate(call_request_id)
        size = _size(reading)
        if size > self._max_bytes or not self._longest:
            return
        self._entries[call_request_id] = reading
        self._bytes += size
        while self._bytes > self._max_bytes:
            self.invalidate(next(iter(self._entries)))

    def invalidate(self, call_request_id: str) -> None:
        """Forgets a reading: it is not the truth any more."""
        reading = self._entries.pop(call_request_id, None)
        if reading is not None:
            self._bytes -= _size(reading)

    def bytes(self) -> int:
        """What is kept now, in bytes."""
        return self._bytes

    async def _expire(self) -> None:
        """Lets go of what is too old, so that guests' data does not stay in memory for longer."""
        while True:
            await asyncio.sleep(EXPIRE_EVERY)
            oldest = now() - self._longest
            while self._entries:
                call_request_id, reading = next(iter(self._entries.items()))
                if reading.read_at > oldest:
                    break
                self.invalidate(call_request_id)


def is_final(result: pb.CallRequestResult) -> bool:
    """Whether its truth cannot change any more. COMPLETED without an outcome can: it may still come."""
    if result.status == pb.CALL_REQUEST_STATUS_COMPLETED:
        return result.HasField("outcome")
    return result.status == pb.CALL_REQUEST_STATUS_CANCELLED


def _size(reading: Reading) -> int:
    return ENTRY_BYTES + len(reading.answer)
