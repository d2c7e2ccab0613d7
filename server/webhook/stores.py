"""Where pushed results and their events are stored: in this process, or where all processes share them."""

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from callrequest.v1.call_request_pb2 import CallRequestResult

from ..reading.result_cache import Reading
from ..reading.results import Results

if TYPE_CHECKING:
    from ..state.shared_results import SharedResults

MAX_EVENTS = 100_000
"""Events that one process remembers, the latest: some 20 MB."""


class LocalStore:
    """The store of a process that shares with nobody. What it remembers of events ends with it."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._events = OrderedDict[str, str]()

    async def event(self, event: str, digest: str, *, remember: bool) -> str:
        """Whether an event is "new", the "same" as one that is remembered, or "different" from it."""
        known = self._events.get(event)
        if known is not None:
            return "same" if known == digest else "different"
        if remember:
            self._events[event] = digest
            if len(self._events) > MAX_EVENTS:
                self._events.popitem(last=False)
        return "new"

    async def push(self, call_request_id: str, occurred_at: float, result: CallRequestResult) -> bool:
        """Stores a result that the vendor pushed; whether it is news. occurred_at: Unix time, in seconds.

        A final one is as young as its arrival, however long ago it occurred: what it says cannot change.
        """
        reading = Reading.of(result)
        reading.occurred_at = reading.read_at - max(time.time() - occurred_at, 0)
        if not reading.final:
            reading.read_at = reading.occurred_at
        return self._results.replace_older(call_request_id, reading)


class SharedStore:
    """The store of all processes. Each learns of a push by what the engine publishes. Raises EngineError."""

    def __init__(self, shared: "SharedResults") -> None:
        self._pushes = shared.pushes

    async def event(self, event: str, digest: str, *, remember: bool) -> str:
        """The same as of a local store, for all processes and two weeks."""
        return await self._pushes.event(event, digest, remember=remember)

    async def push(self, call_request_id: str, occurred_at: float, result: CallRequestResult) -> bool:
        """The same as of a local store."""
        return await self._pushes.push(call_request_id, occurred_at, Reading.of(result))
