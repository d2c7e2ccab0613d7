"""Reading results: the vendor is asked as little as the truth allows, and through bad weather."""

import asyncio
from typing import Protocol

from callrequest.v1.call_request_pb2 import CallRequestResult

from .deadline import LONGEST, Deadline
from .errors import GatewayError
from .kept_results import KeptResults
from .retries import Retries
from .shared_reads import SharedReads
from .throttle import Throttle
from .vendor.client import VendorClient


class ReadObserver(Protocol):
    """Is told where answers come from and what was done about failures, for metrics."""

    def read(self, source: str) -> None: ...
    def read_retried(self) -> None: ...


class Results:
    """Reads results of call requests: a kept one that is young enough, else one read for all who wait for it."""

    def __init__(self, vendor: VendorClient, kept: KeptResults, observer: ReadObserver) -> None:
        self._vendor = vendor
        self._kept = kept
        self._observer = observer
        self._shared = SharedReads(self._read, kept.keep)
        self._retries = Retries()
        self._throttle = Throttle()

    async def get(self, call_request_id: str, deadline: Deadline, max_age: float | None) -> CallRequestResult:
        """The latest result, at most max_age seconds old; None: the defaults; 0: read from now on. Raises GatewayError.

        The message is shared: it must not be changed.
        """
        kept = self._kept.find(call_request_id, max_age)
        if kept is not None:
            self._observer.read("kept")
            return kept
        fresh = (self._kept.default_max_age if max_age is None else max_age) == 0
        result, shared = await self._shared.get(call_request_id, deadline, fresh=fresh)
        self._observer.read("shared" if shared else "vendor")
        return result

    def changed(self, call_request_id: str) -> None:
        """Forgets what was read and what is being read: a cancel may have changed it."""
        self._kept.drop(call_request_id)
        self._shared.drop(call_request_id)

    async def _read(self, call_request_id: str, deadline: Deadline) -> CallRequestResult:
        """Asks the vendor, again while that may help. Raises GatewayError, that of the last try.

        deadline: that of the most patient reader, who may still come; so it bounds the tries, not the one under way.
        That one ends when the last reader has left.
        """
        self._retries.call_begun()
        tries = 0
        while True:
            self._admit()
            tries += 1
            try:
                result = await self._vendor.read_result(call_request_id, Deadline.after(LONGEST))
            except GatewayError as error:
                self._throttle.answered(error.reason)
                pause = self._retries.pause(error, tries, deadline)
                if pause is None:
                    raise
            else:
                self._throttle.answered(None)
                return result
            self._observer.read_retried()
            await asyncio.sleep(pause)

    def _admit(self) -> None:
        try:
            self._throttle.admit()
        except GatewayError:
            self._observer.read("throttled")
            raise
