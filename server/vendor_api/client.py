"""The vendor's two operations, typed.

A call goes `read_result` (once more with a new token after a 401) or `cancel` (once) → `Exchanges.exchange` (one
request, one reply) → `_answer` (`fault_of`, then the translation).
"""

import json
import math
from collections.abc import Callable
from typing import TypeVar

import httpx

from callrequest.v1.call_request_pb2 import CallRequestResult
from callrequest.v1.cancellation_pb2 import Cancellation

from ..deadline import Deadline
from ..validation import is_call_request_id
from .connector import USER_AGENT
from .document import Object
from .exchange import Exchanges, Observer, Outages, Reply
from .faults import fault_of, is_already_cancelled, seconds_of
from .hedging import hedged
from .quirks import Observations
from .rate_limit import RateLimiter
from .token_endpoint import Credentials, TokenEndpoint, TokenRequest
from .token_source import TokenSource
from .translate import Envelope, malformed, read_cancellation, read_envelope, read_result

_Answer = TypeVar("_Answer")

TOKEN_HEDGE_AFTER = 3.0
"""Seconds after which a token is requested on another connection, too: all calls wait for it, and one may hang."""

_ANY_ID = "0" * 16  # where the id goes in the path of a cancel


class VendorClient:
    """Reads and cancels at the vendor. Safe to use by many tasks at once.

    reserved: carries cancels and their readings back: reads that hang cannot take every connection from them.
    tokens: carries token requests, one at a time: nothing else that hangs can hold them up.
    cancel_path: may hold `{id}`. connect_timeout: seconds for a connection to be free or made. attempt_timeout: seconds
    for the whole exchange of a read, however much time the caller has.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        reserved: httpx.AsyncBaseTransport,
        tokens: httpx.AsyncBaseTransport,
        base_url: str,
        token_request: TokenRequest,
        credentials: Credentials,
        cancel_path: str,
        connect_timeout: float,
        attempt_timeout: float,
        rate_limiter: RateLimiter,
        observer: Observer,
    ) -> None:
        self._base = base_url.rstrip("/")
        self._read_token, self._read_request = "", httpx.Request("GET", self._base)
        self._read_path = httpx.URL(self._base).raw_path.decode().rstrip("/").replace("%", "%%")
        self._read_path += "/api/v1/call-request/%s/result"
        self._url = httpx.URL(self._base)
        self._cancel_target = httpx.URL(self._base + cancel_path.replace("{id}", _ANY_ID)).raw_path
        self._attempt_timeout = attempt_timeout
        self._rate_limiter = rate_limiter
        self._observer = observer
        outages = Outages()
        self._reads = Exchanges(transport, connect_timeout, observer, outages)
        self._reserved = Exchanges(reserved, connect_timeout, observer, outages)
        token_exchanges = Exchanges(tokens, connect_timeout, observer, outages)
        self._token_endpoint = TokenEndpoint(token_exchanges, token_request, credentials)
        self._tokens = TokenSource(lambda: hedged(self._token_endpoint.fetch, TOKEN_HEDGE_AFTER))

    async def aclose(self) -> None:
        """Ends a token fetch in progress. The transports are their owner's to close."""
        await self._tokens.aclose()

    def renew_credentials(self, credentials: Credentials) -> None:
        """Fetches the next token with these credentials; the current one serves until then."""
        self._token_endpoint.credentials = credentials
        self._tokens.credentials_changed()

    def token_times(self) -> tuple[float, float] | None:
        """When the current token was asked for and when it expires, on the event loop's clock; None without one."""
        return self._tokens.times()

    async def read_result(
        self, call_request_id: str, deadline: Deadline, *, for_cancel: bool = False
    ) -> CallRequestResult:
        """Reads a result. Raises GatewayError with a vendor's reason, or DEADLINE_EXCEEDED.

        for_cancel: on a connection that other reads cannot use. The caller has awaited `ready_to_read`, or
        `ready_to_cancel`: they take the rate limit.
        """
        exchanges = self._reserved if for_cancel else self._reads
        token = self._tokens.current() or await self._tokens.get(deadline)  # as a rule without waiting
        reply = await self._get(exchanges, _checked(call_request_id), token, deadline)
        if reply.status == 401 and self._tokens.reject(token, call_request_id):
            await (self._rate_limiter.acquire_cancel if for_cancel else self._rate_limiter.acquire_read)(deadline)
            token = await self._tokens.replacement(deadline)
            reply = await self._get(exchanges, call_request_id, token, deadline)
            if reply.status == 401:
                self._tokens.reject(token, call_request_id)

        def translate(document: Object, envelope: Envelope, observations: Observations) -> CallRequestResult:
            result = read_result(document, call_request_id, observations)
            result.observed_at.CopyFrom(reply.received_at)
            return result

        return self._answer(reply, translate)

    def is_idle(self) -> bool:
        """Whether a read could be sent at once, without taking the place of one that waits for the rate limit."""
        return self._rate_limiter.is_idle()

    async def ready_to_read(self, deadline: Deadline) -> None:
        """Waits for a token and for the rate limit, so that a read is sent at once.

        Raises GatewayError, nothing sent: VENDOR_RATE_LIMITED when the turn does not come before the deadline.
        """
        if self._tokens.current() is None:
            await self._tokens.get(deadline)
        await self._rate_limiter.acquire_read(deadline)

    async def ready_to_cancel(self, deadline: Deadline) -> None:
        """Waits for a token and for the rate limit, so that a request of a cancel is sent at once.

        Raises GatewayError, nothing sent.
        """
        await self._tokens.get(deadline)
        await self._rate_limiter.acquire_cancel(deadline)

    async def cancel(self, call_request_id: str, deadline: Deadline) -> Cancellation:
        """Sends a cancel once. Raises GatewayError; after any other exception, too, it may have had its effect."""
        target = self._cancel_target.replace(_ANY_ID.encode(), _checked(call_request_id).encode())
        body = json.dumps({"callRequestId": call_request_id}).encode()
        token = await self._tokens.get(deadline)
        headers = {**_headers(token), "Content-Type": "application/json"}
        # The URL needs no parsing again; the target takes its place.
        request = httpx.Request("POST", self._url, headers=headers, content=body, extensions={"target": target})
        # Not bounded by attempt_timeout: ending a cancel early would only bring its outcome into doubt.
        reply = await self._reserved.exchange("cancel", request, deadline, math.inf)
        another_token = reply.status == 401 and self._tokens.reject(token, call_request_id, drop=True)

        def translate(document: Object, envelope: Envelope, observations: Observations) -> Cancellation:
            if envelope.success is not True:
                raise malformed()  # for an effect, silence is no yes
            return read_cancellation(document, call_request_id, observations)

        return self._answer(reply, translate, another_token=another_token)

    async def _get(self, exchanges: Exchanges, call_request_id: str, token: str, deadline: Deadline) -> Reply:
        if token != self._read_token:
            self._read_token, self._read_request = token, httpx.Request("GET", self._base, headers=_headers(token))
        alike = self._read_request
        # Only the target differs from the last request: the URL and the headers need no parsing again.
        request = httpx.Request(
            alike.method,
            alike.url,
            headers=alike.headers,
            stream=alike.stream,
            extensions={"target": (self._read_path % call_request_id).encode()},
        )
        reply = await exchanges.exchange("result", request, deadline, self._attempt_timeout)
        if reply.status != 401:
            self._tokens.served = token
        return reply

    def _answer(
        self,
        reply: Reply,
        translate: Callable[[Object, Envelope, Observations], _Answer],
        *,
        another_token: bool = False,
    ) -> _Answer:
        """Translates a success, raises the fault of any other reply. another_token: whether one may help."""
        observations = Observations()
        try:
            document = reply.document
            envelope = None if document is None else read_envelope(document, reply.status, observations)
            wait = seconds_of(reply.retry_after, reply.date)
            if fault := fault_of(reply.status, envelope, wait, observations, is_page=reply.is_page):
                fault.token_refused = fault.token_refused and another_token
                fault.already_cancelled = is_already_cancelled(envelope)
                raise fault
            assert document is not None
            assert envelope is not None
            return translate(document, envelope, observations)
        finally:
            self._observer.vendor_reply(observations.quirks, [field for field, _ in observations.unrecognized])


def _headers(token: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {token}",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": USER_AGENT,
    }


def _checked(call_request_id: str) -> str:
    if not is_call_request_id(call_request_id):
        raise ValueError("not a call request id")  # the service has refused it: a defect if it comes here
    return call_request_id
