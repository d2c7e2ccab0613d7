"""Reading results, through bad weather."""

import asyncio
from typing import Protocol

from callrequest.v1.call_request_pb2 import CallRequestResult

from .deadline import Deadline
from .errors import GatewayError
from .retries import Retries
from .throttle import Throttle
from .vendor.client import VendorClient


class ReadObserver(Protocol):
    """Is told what was done about failures, for metrics."""

    def read(self, source: str) -> None: ...
    def read_retried(self) -> None: ...


class Results:
    """Reads results of call requests. Every read asks the vendor, so that any max_age is kept."""

    def __init__(self, vendor: VendorClient, observer: ReadObserver) -> None:
        self._vendor = vendor
        self._observer = observer
        self._retries = Retries()
        self._throttle = Throttle()

    async def get(self, call_request_id: str, deadline: Deadline) -> CallRequestResult:
        """The latest result, tried again while that may help. Raises GatewayError, that of the last try."""
        self._retries.call_begun()
        tries = 0
        while True:
            self._admit()
            tries += 1
            try:
                return await self._ask(call_request_id, deadline)
            except GatewayError as error:
                pause = self._retries.pause(error, tries, deadline)
                if pause is None:
                    raise
            self._observer.read_retried()
            await asyncio.sleep(pause)

    def _admit(self) -> None:
        try:
            self._throttle.admit()
        except GatewayError:
            self._observer.read("throttled")
            raise

    async def _ask(self, call_request_id: str, deadline: Deadline) -> CallRequestResult:
        try:
            result = await self._vendor.read_result(call_request_id, deadline)
        except GatewayError as error:
            self._throttle.answered(error.reason)
            raise
        self._throttle.answered(None)
        self._observer.read("vendor")
        return result
