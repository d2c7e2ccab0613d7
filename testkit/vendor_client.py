"""The vendor's client without a gateway around it."""

from collections.abc import Collection

import httpx

from server.vendor_api.client import VendorClient
from server.vendor_api.exchange import Observer
from server.vendor_api.rate_limit import RateLimiter
from server.vendor_api.token_endpoint import Credentials, TokenRequest


class Unobserved:
    """An observer of the vendor that counts nothing."""

    def vendor_request(self, operation: str, outcome: str, seconds: float) -> None: ...
    def vendor_reply(self, quirks: Collection[str], unrecognized_fields: Collection[str]) -> None: ...


def vendor_client(
    transport: httpx.AsyncBaseTransport,
    url: str,
    observer: Observer | None = None,
    *,
    attempt_timeout: float = 8,
    max_per_second: float | None = None,
) -> VendorClient:
    """A client of a vendor that is played at the transport."""
    return VendorClient(
        transport,
        transport,
        transport,
        url,
        TokenRequest(f"{url.rstrip('/')}/token"),
        Credentials("i", "s"),
        cancel_path="/cancel",
        connect_timeout=3,
        attempt_timeout=attempt_timeout,
        rate_limiter=RateLimiter(max_per_second),
        observer=observer or Unobserved(),
    )
