"""Reading results: the vendor is asked as little as the truth allows, and through bad weather."""

import asyncio
from typing import Protocol, Self

from ..deadline import DEFAULT_SECONDS, MAX_SECONDS, Deadline, now
from ..errors import GatewayError
from ..vendor_api.client import VendorClient
from ..vendor_api.rate_limit import RateLimiter
from .coalescing import Coalescer
from .result_cache import Reading, ResultCache
from .retries import Retries
from .throttle import Throttle

REFRESH_AHEAD, MAX_REFRESH_AHEAD = 0.2, 0.5
"""The last part of an answer's age in which it is read again while it still serves: usually, and for a slow vendor."""
SLOWER = 1.5
"""How much slower than usual the vendor may be so that a refresh is still in time."""


class ReadObserver(Protocol):
    """Is told where answers come from and what was done about failures, for metrics."""

    def read(self, source: str) -> None: ...
    def read_retried(self) -> None: ...


class Results:
    """Reads results of call requests: a kept one that is young enough, else one read for all who wait for it.

    `async with` it, so that no read outlasts it.
    """

    def __init__(
        self, vendor: VendorClient, cache: ResultCache, rate_limiter: RateLimiter, observer: ReadObserver
    ) -> None:
        self._vendor = vendor
        self._cache = cache
        self._rate_limiter = rate_limiter
        self._observer = observer
        self._coalescer = Coalescer(self._read, cache.put)
        self._retries = Retries()
        self._throttle = Throttle()
        self._usual_seconds = 0.0  # that a read takes

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._coalescer.aclose()

    def cached(self, call_request_id: str, max_age: float | None) -> bytes | None:
        """A known result that is less than max_age seconds old, as a serialized GetCallRequestResultResponse.

        max_age: None: the defaults.
        """
        reading = self._cache.get(call_request_id)
        if reading is None:
            return None
        age, allowed = now() - reading.read_at, self._cache.allowed(reading, max_age)
        if age >= allowed:
            return None
        self._observer.read("cache")
        if not reading.final and not reading.refreshed and self._is_time_to_refresh(age, allowed):
            reading.refreshed = True  # once: should it fail, those who come later ask for themselves
            self._observer.read("refresh")
            self._coalescer.refresh(call_request_id, Deadline.after(DEFAULT_SECONDS))
        return reading.answer

    async def read(self, call_request_id: str, max_age: float | None, deadline: Deadline) -> bytes:
        """Asks the vendor, or waits with those who have asked it; the same form as cached().

        max_age: 0: asks from now on. Raises GatewayError.
        """
        fresh = not self._cache.may_coalesce(max_age)
        reading, coalesced = await self._coalescer.get(call_request_id, deadline, fresh=fresh)
        self._observer.read("coalesced" if coalesced else "vendor")
        return reading.answer

    def invalidate(self, call_request_id: str) -> None:
        """Forgets what was read and what is being read: a cancel may have changed it."""
        self._cache.invalidate(call_request_id)
        self._coalescer.drop(call_request_id)

    def _is_time_to_refresh(self, age: float, allowed: float) -> bool:
        """Whether an answer that is being polled should be read again, so that no caller has to wait for the next one.

        Polls alone make it happen: it stops when they do.
        """
        ahead = min(max(REFRESH_AHEAD * allowed, SLOWER * self._usual_seconds), MAX_REFRESH_AHEAD * allowed)
        return age > allowed - ahead and self._rate_limiter.is_idle()

    async def _read(self, call_request_id: str, deadline: Deadline) -> Reading:
        """Asks the vendor, again while that may help. Raises GatewayError, that of the last try.

        deadline: that of the most patient reader, who may still come; so it bounds the tries, not the one under way.
        That one ends when the last reader has left.
        """
        self._retries.call_begun()
        tries = 0
        while True:
            self._admit()
            await self._rate_limiter.acquire_read(deadline)
            tries += 1
            begun = now()
            try:
                result = await self._vendor.read_result(call_request_id, Deadline(begun + MAX_SECONDS))
            except GatewayError as error:
                self._throttle.answered(error.reason)
                pause = self._retries.pause(error, tries, deadline)
                if pause is None:
                    raise
            else:
                self._throttle.answered(None)
                reading = Reading.of(result)
                self._usual_seconds += (reading.read_at - begun - self._usual_seconds) / 8
                return reading
            self._observer.read_retried()
            await asyncio.sleep(pause)

    def _admit(self) -> None:
        try:
            self._throttle.admit()
        except GatewayError:
            self._observer.read("throttled")
            raise
