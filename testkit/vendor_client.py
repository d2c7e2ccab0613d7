"""The vendor's client without a gateway around it."""

import httpx

from server.observability.metrics import Metrics
from server.vendor_api.client import VendorClient
from server.vendor_api.rate_limit import RateLimiter
from server.vendor_api.token_endpoint import Credentials


def vendor_client(transport: httpx.AsyncBaseTransport, url: str) -> VendorClient:
    """A client of a vendor that is played at the transport."""
    return VendorClient(
        transport,
        transport,
        transport,
        url,
        Credentials("i", "s", "/token", "POST"),
        cancel_path="/cancel",
        connect_timeout=3,
        attempt_timeout=8,
        rate_limiter=RateLimiter(None),
        observer=Metrics(),
    )
