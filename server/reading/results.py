"""Reading results: from the cache, else by one read at the vendor for all who wait for it."""

from typing import TYPE_CHECKING, Protocol, Self

from ..concurrency_limit import ConcurrencyLimit
from ..deadline import DEFAULT_SECONDS, Deadline, now
from ..observability import spans
from ..state.values import Message, OwnResult, SharedResult
from ..vendor_api.client import VendorClient
from .coalescing import Coalescer
from .published import PublishedReadings
from .result_cache import MaxAge, Reading, ResultCache
from .vendor_reads import ReadMetrics, VendorReads

if TYPE_CHECKING:
    from ..state.shared_results import SharedResults

REFRESH_AHEAD, MAX_REFRESH_AHEAD = 0.2, 0.5
"""The last part of an answer's age in which it is read again while it still serves: usually, and for a slow vendor."""
MAX_PUBLISHED_AGE = 60.0
"""Seconds: what another process has just read and published is younger, unless it is final."""
SLOWER = 1.5
"""How much slower than usual the vendor may be so that a refresh is still in time."""


class ReadingObserver(Protocol):
    """Learns of everything that changes what is known of call requests in this process. Called on the event loop.

    on_reading: a reading is the latest one, whoever asked for it; the same result as before, as a rule.
    on_invalidated: what was known may not hold any more; None: of any call request. follows: whether it wants to learn
    what other processes read of a call request.
    """

    def on_reading(self, call_request_id: str, reading: Reading) -> None: ...
    def on_invalidated(self, call_request_id: str | None) -> None: ...
    def follows(self, call_request_id: str) -> bool: ...


class Results:
    """Reads results of call requests: a cached one that is young enough, else one read for all who wait for it.

    limit: bounds the calls that a cached answer cannot serve. `async with` it: at the end no read is under way.
    vendor_reads: the reads at the vendor.
    """

    def __init__(
        self,
        vendor: VendorClient,
        cache: ResultCache,
        limit: ConcurrencyLimit,
        metrics: ReadMetrics,
    ) -> None:
        self._vendor = vendor
        self._cache = cache
        self._limit = limit
        self._metrics = metrics
        self._observers: list[ReadingObserver] = []
        self._shared: SharedResults | None = None
        self.vendor_reads = VendorReads(vendor, cache.default_max_age, metrics)
        self._coalescer = Coalescer(self._read, self._store, self.vendor_reads.keep)
        self._published = PublishedReadings(self._fetch, self._store_fetched, self._changed)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._published.aclose()
        await self._coalescer.aclose()

    def share(self, shared: "SharedResults") -> None:
        """Reads through what several processes share, from now on. These results must listen to it."""
        self._shared = shared

    def observe(self, observer: ReadingObserver) -> None:
        """Calls the observer from now on, until the end."""
        self._observers.append(observer)

    async def read(self, call_request_id: str, max_age: float | None, deadline: Deadline) -> Reading:
        """A reading that was less than max_age seconds old when the call came.

        max_age: None: the defaults; 0: by a read that begins now. Raises GatewayError: OVERLOADED when the vendor must
        be asked and the limit is reached, or a failure of the read.
        """
        return self.cached(call_request_id, max_age) or await self.ask(call_request_id, max_age, deadline)

    def cached(self, call_request_id: str, max_age: float | None) -> Reading | None:
        """A cached reading that is less than max_age seconds old; None when the vendor must be asked.

        A reading that is polled in the last part of its age is read again in the background.
        """
        reading = self._cache.get(call_request_id)
        if reading is None:
            return None
        age, allowed = now() - reading.read_at, self._cache.max_age_of(reading, max_age)
        if age >= allowed:
            return None
        self._metrics.read("cache")
        if not reading.final and not reading.refreshed and self._is_time_to_refresh(age, allowed):
            reading.refreshed = True  # once: should it fail, those who come later ask for themselves
            self._metrics.read("refresh")
            # What another process has read since then serves as well.
            self._coalescer.refresh(call_request_id, MaxAge(age, age), Deadline.after(DEFAULT_SECONDS))
        return reading

    async def ask(self, call_request_id: str, max_age: float | None, deadline: Deadline) -> Reading:
        """The same as read(), for one that has just found nothing by cached()."""
        self.vendor_reads.check(call_request_id, max_age, held=self._shared is None)
        fresh, allowed = not self._cache.may_coalesce(max_age), self._cache.max_age(max_age)
        with self._limit:
            while True:
                reading, coalesced = await self._coalescer.get(call_request_id, allowed, deadline, fresh=fresh)
                # Whoever began the read may have been content with an older answer of another process.
                if not (coalesced and reading.known) or now() - reading.read_at < allowed.of(reading):
                    break
        reading = self._final_or(call_request_id, reading)
        source = "coalesced" if coalesced else reading.source
        self._metrics.read(source)
        spans.event("answered", {"callrequest.read.source": source})
        return reading

    def _final_or(self, call_request_id: str, reading: Reading) -> Reading:
        """The final reading that came while this one was being read, by another read or a push; else this one."""
        known = self._cache.get(call_request_id)
        if reading.final or known is None or not known.final or known.read_at <= reading.true_since:
            return reading
        return known

    def replace_older(self, call_request_id: str, reading: Reading) -> bool:
        """Puts a reading that did not come by a read, a webhook's say, in place of an older one, and of what is read.

        Returns whether it did: a final one beats one that is not, whatever their times, and never the other way.
        """
        known = self._cache.get(call_request_id)
        if known is not None and (known.final, known.true_since) >= (reading.final, reading.true_since):
            return False
        self._coalescer.drop(call_request_id)
        self._store(call_request_id, reading)
        return True

    def invalidate(self, call_request_id: str) -> None:
        """Forgets what was read and what is being read, here and in other processes: a cancel may have changed it."""
        if self._shared is not None:
            self._shared.changed(call_request_id)
        self._forget(call_request_id)

    def published(self, message: Message) -> None:
        """Another process, or this one, has published what it read or changed: what is known here may be older."""
        if message.kind == "released":
            return
        known = self._cache.get(message.call_request_id)
        if known is not None and known.final:
            if message.kind == "final" and message.engine_ms > known.engine_ms > 0:  # the vendor has pushed another one
                self._published.published(message.call_request_id, final=True)
            return
        # A push has whole seconds, so that a final one may look older than what it replaces.
        if known is not None and known.engine_ms >= message.engine_ms > 0 and message.kind != "final":
            return
        if message.kind == "changed":
            self._forget(message.call_request_id)
            return
        self._cache.invalidate(message.call_request_id)
        self.vendor_reads.forget(message.call_request_id)
        if message.kind == "final":
            self._coalescer.drop(message.call_request_id)  # a read that began before a push may bring the old truth
        if any(observer.follows(message.call_request_id) for observer in self._observers):
            self._published.published(message.call_request_id, final=message.kind == "final")

    def missed(self) -> None:
        """Publications may have been missed: nothing that may still change is trusted any more."""
        self._cache.invalidate_pending()
        self._published.drop_all()
        self._changed(None)

    def _forget(self, call_request_id: str) -> None:
        self._cache.invalidate(call_request_id)
        self.vendor_reads.forget(call_request_id)
        self._coalescer.drop(call_request_id)
        self._published.drop(call_request_id)
        self._changed(call_request_id)

    def _changed(self, call_request_id: str | None) -> None:
        for observer in self._observers:
            observer.on_invalidated(call_request_id)

    def _store(self, call_request_id: str, reading: Reading) -> None:
        self.vendor_reads.forget(call_request_id)
        if self._cache.put(call_request_id, reading):
            for observer in self._observers:
                observer.on_reading(call_request_id, reading)

    async def _fetch(self, call_request_id: str) -> Reading | None:
        """What processes share of a call request that another one has just read."""
        assert self._shared is not None
        result = await self._shared.known(call_request_id, MAX_PUBLISHED_AGE)
        return None if result is None else _reading_of(result)

    def _store_fetched(self, call_request_id: str, reading: Reading) -> None:
        known = self._cache.get(call_request_id)
        if known is not None and (known.final, known.engine_ms) >= (reading.final, reading.engine_ms):
            return  # it was read since the publication
        self._metrics.read("state")
        self._store(call_request_id, reading)

    def _is_time_to_refresh(self, age: float, allowed: float) -> bool:
        """Whether an answer that is being polled should be read again, so that no caller has to wait for the next one.

        Polls alone make it happen: it stops when they do.
        """
        ahead = min(max(REFRESH_AHEAD * allowed, SLOWER * self.vendor_reads.usual_seconds), MAX_REFRESH_AHEAD * allowed)
        return age > allowed - ahead and self._vendor.is_idle()

    async def _read(self, call_request_id: str, max_age: MaxAge, deadline: Deadline) -> Reading:
        """Reads by what other processes share, if they do, else at the vendor. Raises GatewayError."""
        if self._shared is None:
            return await self.vendor_reads.read(call_request_id, deadline)
        admitted = self.vendor_reads.may_refuse(call_request_id)
        if admitted:
            # A lease for a read that is then refused would cost the engine as much again, and wake other processes.
            reading = await self._known(call_request_id, max_age)
            if reading is not None:
                return reading
            self.vendor_reads.admit(call_request_id)
        result = await self._shared.read(
            call_request_id,
            *max_age,
            deadline,
            lambda: self.vendor_reads.read(call_request_id, deadline, admitted=admitted),
        )
        if isinstance(result, OwnResult):
            own: Reading = result.reading
            own.engine_ms = result.engine_ms
            return own
        return _reading_of(result)

    async def _known(self, call_request_id: str, max_age: MaxAge) -> Reading | None:
        """What processes share of a call request, if it is young enough."""
        assert self._shared is not None
        result = await self._shared.known(call_request_id, max_age.pending)
        reading = None if result is None else _reading_of(result)
        return reading if reading is not None and now() - reading.read_at < max_age.of(reading) else None


def _reading_of(result: SharedResult) -> Reading:
    return Reading(
        result.answer,
        result.final,
        result.read_at,
        engine_ms=result.engine_ms,
        source="state",
        known=not result.waited,
    )
