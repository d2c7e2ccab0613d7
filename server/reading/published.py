"""What other processes publish, for those who follow it in this one."""

import asyncio
from collections.abc import Awaitable, Callable

from ..observability import spans
from ..observability.logs import describe, get_log
from .result_cache import Reading


class _Fetch:
    """is_due: something was published since it was last begun. is_final: it is known to be final."""

    __slots__ = ("is_due", "is_final")

    def __init__(self) -> None:
        self.is_due = self.is_final = False


class PublishedReadings:
    """Fetches the readings that other processes have published, one fetch at a time for a call request.

    A publication causes no read at the vendor, whose result would be published for the others in turn, but for a final
    result that could not be fetched, for which `missing` is called: it is published once, and those who follow it must
    ask. fetch: returns what processes share; None: there is none. store: receives what was fetched.
    """

    def __init__(
        self,
        fetch: Callable[[str], Awaitable[Reading | None]],
        store: Callable[[str, Reading], None],
        missing: Callable[[str], None],
    ) -> None:
        self._fetch = fetch
        self._store = store
        self._missing = missing
        self._fetches: dict[str, _Fetch] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def published(self, call_request_id: str, *, final: bool) -> None:
        """Fetches it; once more if a fetch is in progress, which may bring what was there before."""
        fetch = self._fetches.get(call_request_id)
        is_new = fetch is None
        if fetch is None:
            fetch = self._fetches[call_request_id] = _Fetch()
        fetch.is_due, fetch.is_final = True, fetch.is_final or final
        if is_new:
            task = asyncio.create_task(self._run(call_request_id, fetch), name="published", context=spans.outside())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def drop(self, call_request_id: str) -> None:
        """Drops what is being fetched: it may not be true any more."""
        self._fetches.pop(call_request_id, None)

    def drop_all(self) -> None:
        """The same for all."""
        self._fetches.clear()

    async def aclose(self) -> None:
        """Ends all fetches."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, call_request_id: str, fetch: _Fetch) -> None:
        try:
            while fetch.is_due:
                fetch.is_due = False
                reading = await self._fetch(call_request_id)
                if self._fetches.get(call_request_id) is not fetch:
                    return
                if reading is not None:
                    self._store(call_request_id, reading)
                elif fetch.is_final:
                    self._missing(call_request_id)
        except Exception as error:
            get_log().error("unexpected", **describe(error))  # a defect: the next poll brings it
        finally:
            if self._fetches.get(call_request_id) is fetch:
                del self._fetches[call_request_id]
