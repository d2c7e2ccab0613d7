"""How the vendor is at present, as each process sees it."""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

_REACHED = frozenset({"2xx", "3xx", "4xx", "429", "5xx"})
_NOT_REACHED = frozenset({"unreachable", "proxy"})


class VendorGauges:
    """Gauges that several workers do not add up: each has a sample of its own. now: seconds since 1970."""

    def __init__(self, registry: CollectorRegistry, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._is_reached: bool | None = None

        def gauge(name: str, documentation: str) -> Gauge:
            return Gauge(name, documentation, registry=registry, multiprocess_mode="liveall")

        self._reachable_since = gauge(
            "vendor_reachable_since_timestamp_seconds",
            "When the vendor answered first after the start, or after it was not reached; 0: it cannot be reached, "
            "or nothing was sent yet.",
        )
        self._unreachable_since = gauge(
            "vendor_unreachable_since_timestamp_seconds",
            "When a connection to the vendor could first not be made; 0: it can be reached, or nothing was sent yet.",
        )
        self._throttled = gauge("vendor_throttled", "1 while most reads are not sent, since the vendor hardly answers.")
        self._retry_after = gauge(
            "vendor_retry_after_seconds", "What is left of a Retry-After of the vendor that holds for all reads."
        )
        self._token_issued = gauge(
            "vendor_token_issued_timestamp_seconds", "When the vendor's access token was requested; 0: there is none."
        )
        self._token_expires = gauge(
            "vendor_token_expiry_timestamp_seconds", "When the vendor's access token expires; 0: there is none."
        )

    def request_ended(self, outcome: str) -> None:
        """A request for a result or a cancel has ended. outcome: one of exchange.OUTCOMES."""
        is_reached = outcome in _REACHED
        if is_reached is self._is_reached or not (is_reached or outcome in _NOT_REACHED):
            return
        self._is_reached = is_reached
        self._reachable_since.set(self._now() if is_reached else 0)
        self._unreachable_since.set(0 if is_reached else self._now())

    def set_token(self, issued: float, expires: float) -> None:
        """Sets the token's times in seconds since 1970, 0 without a token."""
        self._token_issued.set(issued)
        self._token_expires.set(expires)

    def set_held(self, *, throttled: bool, retry_after: float) -> None:
        """Sets what keeps reads from the vendor. retry_after: seconds."""
        self._throttled.set(throttled)
        self._retry_after.set(retry_after)
