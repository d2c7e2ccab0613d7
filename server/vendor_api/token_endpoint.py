"""Exchanges the client credentials for an access token (OAuth2, RFC 6749, 4.4)."""

import math
from dataclasses import dataclass
from urllib.parse import urlencode

import httpx

from callrequest.v1 import error_reason_pb2 as reasons

from ..deadline import Deadline, now
from ..errors import Delivery, GatewayError
from ..observability.outage_log import OutageLog
from .exchange import Exchanges, unavailable
from .token import Token, token_from

TIMEOUT = 10.0
"""Seconds for one request, whoever waits for the token."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """OAuth2 client credentials and where they are exchanged for a token."""

    client_id: str
    client_secret: str
    token_path: str
    token_method: str

    def __repr__(self) -> str:
        return "Credentials(…)"  # the secret never shows, not even in a traceback with values


class TokenEndpoint:
    """The vendor's token endpoint. The secret travels in the URL: nothing of a request is ever logged or told."""

    def __init__(self, exchanges: Exchanges, base_url: str, credentials: Credentials) -> None:
        self._exchanges = exchanges
        self._base = base_url
        self._credentials = credentials
        self._outages = OutageLog("no token from the vendor", resolved="a token from the vendor again")

    async def fetch(self) -> Token:
        """Asks for a token, once more when the connection breaks: a kept one may have gone stale.

        Raises VENDOR_REJECTED_CREDENTIALS, or VENDOR_UNAVAILABLE for every other failure.
        """
        try:
            return await self._ask()
        except GatewayError as error:
            if error.delivery is not Delivery.UNKNOWN:
                raise
        try:
            return await self._ask()
        except GatewayError as error:
            raise GatewayError(error.reason) from None  # nothing was sent of the call that needs the token

    async def _ask(self) -> Token:
        credentials = self._credentials
        query = urlencode(
            {
                "client_id": credentials.client_id,
                "client_secret": credentials.client_secret,
                "grant_type": "client_credentials",
            }
        )
        request = httpx.Request(
            credentials.token_method,
            f"{self._base}{credentials.token_path}?{query}",
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        )
        asked_at = now()
        try:
            reply = await self._exchanges.exchange("token", request, Deadline.after(TIMEOUT), math.inf)
        except GatewayError as error:
            raise unavailable(error.delivery) from None
        if not 200 <= reply.status <= 299:
            self._outages.occurred(f"HTTP {reply.status}")
            if reply.status in (400, 401, 403):
                raise GatewayError(reasons.ERROR_REASON_VENDOR_REJECTED_CREDENTIALS)
            raise unavailable(Delivery.NOT_SENT)
        try:
            if reply.document is None:
                raise ValueError("no JSON")
            token = token_from(reply.document, asked_at)
        except ValueError:
            self._outages.occurred("no token in the reply")
            raise unavailable(Delivery.NOT_SENT) from None
        self._outages.resolved()
        return token
