"""Exchanges the client credentials for an access token (OAuth 2.0, RFC 6749, 4.4)."""

import base64
import math
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote_plus, urlencode

import httpx

from callrequest.v1 import error_reason_pb2 as reasons

from ..deadline import Deadline, now
from ..errors import Delivery, GatewayError
from ..observability.outage_log import OutageLog
from .connector import USER_AGENT
from .document import Object, is_empty
from .exchange import Exchanges, Reply, unavailable
from .faults import seconds_of
from .quirks import Observations
from .token import Token, token_from
from .translate import read_envelope

TIMEOUT = 10.0
"""Seconds for one request, whoever waits for the token."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Our client credentials at the vendor."""

    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        return "Credentials(…)"  # the secret never shows, not even in a traceback with values


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """How a token is requested. auth: where the credentials stand: in the query, in a form, or in Authorization."""

    url: str
    method: str = "POST"
    auth: Literal["query", "body", "basic"] = "query"

    def with_credentials(self, credentials: Credentials) -> httpx.Request:
        """The request."""
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": USER_AGENT}
        fields = {"grant_type": "client_credentials"}
        if self.auth == "basic":
            # Both form-encoded first (RFC 6749, 2.3.1), so that a colon in the id is no separator.
            login = f"{quote_plus(credentials.client_id)}:{quote_plus(credentials.client_secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
        else:
            fields = {"client_id": credentials.client_id, "client_secret": credentials.client_secret} | fields
        if self.auth == "query" or self.method == "GET":
            return httpx.Request(self.method, f"{self.url}?{urlencode(fields)}", headers=headers)
        return httpx.Request(self.method, self.url, headers=headers, data=fields)


class TokenEndpoint:
    """The vendor's token endpoint. credentials: for the requests to come; may be replaced.

    The secret may travel in the URL: nothing of a request is ever logged.
    """

    def __init__(self, exchanges: Exchanges, request: TokenRequest, credentials: Credentials) -> None:
        self._exchanges = exchanges
        self._request = request
        self.credentials = credentials
        self._outages = OutageLog("no token from the vendor", resolved="a token from the vendor again")

    async def fetch(self) -> Token:
        """Requests a token, once more when the connection breaks: an idle one may have been closed meanwhile.

        Raises VENDOR_REJECTED_CREDENTIALS, or VENDOR_UNAVAILABLE for every other failure, with the Retry-After of a 429
        or 503.
        """
        try:
            return await self._fetch_once()
        except GatewayError as error:
            if error.delivery is not Delivery.UNKNOWN:
                raise
        try:
            return await self._fetch_once()
        except GatewayError as error:
            if error.delivery is not Delivery.UNKNOWN:
                raise
            raise GatewayError(error.reason) from None  # nothing was sent of the call that needs the token

    async def _fetch_once(self) -> Token:
        asked_at = now()
        request = self._request.with_credentials(self.credentials)
        try:
            reply = await self._exchanges.exchange("token", request, Deadline.after(TIMEOUT), math.inf)
        except GatewayError as error:
            raise unavailable(error.delivery) from None
        if _is_rejection(reply):
            self._outages.occurred(f"HTTP {reply.status}")
            raise GatewayError(reasons.ERROR_REASON_VENDOR_REJECTED_CREDENTIALS)
        if not 200 <= reply.status <= 299:
            self._outages.occurred(f"HTTP {reply.status}")
            wait = seconds_of(reply.retry_after, reply.date) if reply.status in (429, 503) else None
            raise GatewayError(reasons.ERROR_REASON_VENDOR_UNAVAILABLE, retry_after=wait, delivery=Delivery.NOT_SENT)
        try:
            if reply.document is None:
                raise ValueError("no token in the reply")
            token = token_from(reply.document, asked_at)
        except ValueError as error:
            self._outages.occurred(str(error))
            raise unavailable(Delivery.NOT_SENT) from None
        self._outages.resolved()
        return token


def _is_rejection(reply: Reply) -> bool:
    """Whether the credentials were rejected."""
    if 200 <= reply.status <= 299:
        return reply.document is not None and _is_error(reply.document, reply.status)
    return reply.status in (400, 401, 403)


def _is_error(document: Object, status: int) -> bool:
    """Whether it is an OAuth error (`error` is a text; RFC 6749, 5.2) or the vendor's error body."""
    errors = (document.get("error"), document.near_match("error"))
    return (
        any(isinstance(error, str) and not is_empty(error) for error in errors)
        or read_envelope(document, status, Observations()).failed
    )
