"""The cache of results: the latest reading of each call request."""

import asyncio
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, Self

from google.protobuf.message import DecodeError

from callrequest.v1 import call_request_pb2 as pb
from callrequest.v1.call_request_service_pb2 import GetCallRequestResultResponse

from ..deadline import now

EXPIRE_EVERY = 10.0
"""Seconds between two removals of entries older than FINAL_MAX_AGE, which hold guests' data."""
ENTRY_BYTES = 330
"""What an entry costs beside its answer's own bytes (CPython 3.11): key, object, numbers, place in the dictionary."""


class MaxAge(NamedTuple):
    """How old a reading may be, in seconds. pending: one that may still change; final: one that cannot."""

    pending: float
    final: float

    def of(self, reading: "Reading") -> float:
        """How old this one may be."""
        return self.final if reading.final else self.pending


@dataclass(slots=True)
class Reading:
    """A result as the vendor sent it at one moment, as the response that callers get.

    answer: a GetCallRequestResultResponse, serialized: a fifth of the message's memory, and a cache hit only sends it.
    final: the result cannot change any more. read_at: when it came, on the event loop's clock, as is began_at: when its
    read began, None where that is the same. refreshed: a read ahead has begun.
    engine_ms: when the read began, by the engine's clock in ms; 0: it is not shared. source: for metrics.
    known: another process had read it before this one asked. occurred_at: of a push, on the event loop's clock.
    """

    answer: bytes
    final: bool
    read_at: float
    refreshed: bool = False
    engine_ms: int = 0
    source: str = "vendor"
    known: bool = False
    occurred_at: float | None = None
    began_at: float | None = None

    @classmethod
    def of(cls, result: pb.CallRequestResult, began_at: float | None = None) -> "Reading":
        """The reading of a result that the vendor has just sent, in a read that began then."""
        answer = GetCallRequestResultResponse(call_request_result=result).SerializeToString()
        return cls(answer, is_final(result), now(), began_at=began_at)

    @property
    def true_since(self) -> float:
        """Of two results the one with the later of these is the newer one, whichever came first.

        Of a read it is the beginning, as in what processes share: a slow reply may have been true only then.
        """
        if self.occurred_at is not None:
            return self.occurred_at
        return self.read_at if self.began_at is None else self.began_at

    def result(self) -> pb.CallRequestResult:
        """The result, parsed from the answer."""
        return GetCallRequestResultResponse.FromString(self.answer).call_request_result


class ResultCache:
    """The latest reading of each call request, for at most final_max_age seconds, max_bytes in all.

    default_max_age: seconds; how old a reading that is not final may be for a caller that sets no max_age. When the
    cache is full, the oldest entry is removed first. `async with` it: a task removes what is older than final_max_age.
    """

    def __init__(self, default_max_age: float, final_max_age: float, max_bytes: int) -> None:
        self.default_max_age = default_max_age
        self._final_max_age = final_max_age
        self._max_bytes = max_bytes
        self._bytes = 0
        # Ordered by read_at, since all are kept equally long. Not a dict: its first entry is found by a scan over the
        # slots of removed ones, and to remove 100 000 would block the event loop for a second.
        self._entries = OrderedDict[str, Reading]()

    async def __aenter__(self) -> Self:
        self._expiring = asyncio.create_task(self._expire())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._expiring.cancel()
        with suppress(asyncio.CancelledError):
            await self._expiring

    def get(self, call_request_id: str) -> Reading | None:
        """The latest reading, however old."""
        return self._entries.get(call_request_id)

    def max_age_of(self, reading: Reading, max_age: float | None) -> float:
        """How old this reading may be, in seconds, as max_age() has it."""
        if max_age is None:
            max_age = self._final_max_age if reading.final else self.default_max_age
        return min(max_age, self._final_max_age)

    def max_age(self, max_age: float | None) -> MaxAge:
        """How old readings may be. max_age: the caller's, in seconds; None: the defaults.

        More than FINAL_MAX_AGE means FINAL_MAX_AGE.
        """
        if max_age is None:
            return MaxAge(min(self.default_max_age, self._final_max_age), self._final_max_age)
        return MaxAge(min(max_age, self._final_max_age), min(max_age, self._final_max_age))

    def may_coalesce(self, max_age: float | None) -> bool:
        """Whether a read that began before the call may answer it: with max_age 0 only one that begins after it."""
        return (self.default_max_age if max_age is None else max_age) > 0

    def put(self, call_request_id: str, reading: Reading) -> bool:
        """Stores a reading in place of an older one. Returns False, and stores nothing, when that one is newer.

        A final one beats one that is not, whatever their times, and never the other way. A reading that alone is larger
        than max_bytes is not stored either, but is the latest.
        """
        before = self._entries.get(call_request_id)
        if before is not None and (before.final, before.true_since) > (reading.final, reading.true_since):
            return False  # of a slow read that began earlier, while another process read or something was pushed
        self.invalidate(call_request_id)
        size = _size(reading)
        if size <= self._max_bytes and self._final_max_age:
            self._entries[call_request_id] = reading
            self._bytes += size
            while self._bytes > self._max_bytes:
                self.invalidate(next(iter(self._entries)))
        return True

    def invalidate_pending(self) -> None:
        """Removes every reading that may still change."""
        for call_request_id in [key for key, reading in self._entries.items() if not reading.final]:
            self.invalidate(call_request_id)

    def invalidate(self, call_request_id: str) -> None:
        """Removes a reading."""
        reading = self._entries.pop(call_request_id, None)
        if reading is not None:
            self._bytes -= _size(reading)

    def __len__(self) -> int:
        return len(self._entries)

    def bytes(self) -> int:
        """The memory of all entries."""
        return self._bytes

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(EXPIRE_EVERY)
            oldest = now() - self._final_max_age
            while self._entries:
                call_request_id, reading = next(iter(self._entries.items()))
                if reading.read_at > oldest:
                    break
                self.invalidate(call_request_id)


def is_answer(call_request_id: str, answer: bytes) -> bool:
    """Whether bytes are a serialized GetCallRequestResultResponse for this call request."""
    try:
        response = GetCallRequestResultResponse.FromString(answer)
    except DecodeError:
        return False
    return response.call_request_result.call_request_id == call_request_id


def is_final(result: pb.CallRequestResult) -> bool:
    """Whether the result cannot change any more. COMPLETED without an outcome can: the outcome may still come."""
    if result.status == pb.CALL_REQUEST_STATUS_COMPLETED:
        return result.HasField("outcome")
    return result.status == pb.CALL_REQUEST_STATUS_CANCELLED


def _size(reading: Reading) -> int:
    return ENTRY_BYTES + len(reading.answer)
