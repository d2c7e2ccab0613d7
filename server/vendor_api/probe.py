"""Tries the vendor step by step, for a person who looks for the step that fails: connection, token, read.

What is returned or raised holds no secret, no token and nothing of a reply but its status and its Date.
"""

import asyncio
import math
import ssl
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from ..deadline import Deadline
from ..errors import GatewayError
from .client import VendorClient
from .connector import Connector
from .exchange import MAX_BYTES, Exchanges, Outages
from .explanations import describe_certificate, explain_failure
from .faults import http_date
from .proxy import Proxy
from .rate_limit import RateLimiter
from .token import Token
from .token_endpoint import Credentials, TokenEndpoint, TokenRequest
from .transport import Http1Transport

Step = Literal["proxy", "connection", "tls"]


class StepFailedError(Exception):
    """A step failed, and nothing was sent. why: a status of the proxy's, OpenSSL's check, the system's error.

    certificate: what the vendor presented, when TLS refused that.
    """

    def __init__(self, step: Step, why: str, certificate: str = "") -> None:
        self.step = step
        self.why = why
        self.certificate = certificate
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Attempt:
    """How a request ended. failure: why there is no usable answer; None: there is one. status: None without a reply.

    broken: why there was no reply; empty with one. skew: seconds by which this machine's clock is ahead of the reply's
    Date; None without one.
    """

    failure: GatewayError | None
    status: int | None
    broken: str
    skew: float | None
    token: Token | None = None


@dataclass(frozen=True, slots=True)
class VendorProbe:
    """Tries the vendor, as these settings reach it."""

    url: str
    token_request: TokenRequest
    credentials: Credentials
    tls: ssl.SSLContext
    proxy: Proxy | None
    connect_timeout: float
    timeout: float

    async def connect(self, url: str) -> str:
        """Connects to the host of that address and disconnects; returns TLS's version and the certificate, if any.

        Raises StepFailedError.
        """
        try:
            return await self._handshake(url, self.tls)
        except httpx.ProxyError as error:
            raise StepFailedError("proxy", explain_failure(error, self.connect_timeout)) from None
        except httpx.TransportError as error:
            if not isinstance(error.__cause__, ssl.SSLError):
                raise StepFailedError("connection", explain_failure(error, self.connect_timeout)) from None
            why, certificate = explain_failure(error, self.connect_timeout), ""
            if isinstance(error.__cause__, ssl.SSLCertVerificationError):
                # A second connection only to read which certificate that was: nothing is sent on it.
                with suppress(httpx.TransportError):
                    certificate = (await self._handshake(url, _unverified())).partition(", ")[2]
            raise StepFailedError("tls", why, certificate) from None

    async def _handshake(self, url: str, tls: ssl.SSLContext) -> str:
        until = asyncio.get_running_loop().time() + self.connect_timeout
        made = await Connector(url, tls, self.proxy).connect(_Greeting, until)
        made.transport.abort()
        return made.described

    async def fetch_token(self) -> Attempt:
        """Requests a token, as the gateway does."""
        async with self._recorder(self.token_request.url) as recorder:
            exchanges = Exchanges(recorder, self.connect_timeout, _Unobserved(), Outages())
            endpoint = TokenEndpoint(exchanges, self.token_request, self.credentials)
            try:
                token = await endpoint.fetch()
            except GatewayError as error:
                return recorder.attempt(error)
            return recorder.attempt(None, token)

    async def read(self, call_request_id: str, token: Token) -> Attempt:
        """Reads a call request with that token."""
        async with self._recorder(self.url) as recorder:
            client = VendorClient(
                recorder,
                recorder,
                _Known(token),
                self.url,
                self.token_request,
                self.credentials,
                cancel_path="/",  # nothing is cancelled
                connect_timeout=self.connect_timeout,
                attempt_timeout=self.timeout,
                rate_limiter=RateLimiter(None),
                observer=_Unobserved(),
            )
            try:
                await client.read_result(call_request_id, Deadline.after(self.timeout))
            except GatewayError as error:
                return recorder.attempt(error)
            finally:
                await client.aclose()
            return recorder.attempt(None)

    def _recorder(self, origin: str) -> "_Recorder":
        return _Recorder(Http1Transport(origin, self.tls, 1, MAX_BYTES, max_age=math.inf, proxy=self.proxy))


class _Greeting(asyncio.Protocol):
    """Notes what TLS has agreed on."""

    described = ""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        secured: Any = transport.get_extra_info("ssl_object")
        if secured is not None:
            self.described = f"{secured.version()}, {describe_certificate(secured.getpeercert(binary_form=True))}"


class _Recorder(httpx.AsyncBaseTransport):
    """Passes requests on and keeps how the last one ended."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport
        self._status: int | None = None
        self._skew: float | None = None
        self._broken = ""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._status, self._skew, self._broken = None, None, ""
        try:
            response = await self._transport.handle_async_request(request)
        except httpx.TransportError as error:
            self._broken = explain_failure(error, request.extensions["timeout"]["read"])
            raise
        self._status = response.status_code
        self._skew = _skew(response.headers.get("date", ""))
        return response

    async def aclose(self) -> None:
        await self._transport.aclose()

    def attempt(self, failure: GatewayError | None, token: Token | None = None) -> Attempt:
        """How it ended."""
        return Attempt(failure, self._status, self._broken, self._skew, token)


class _Known(httpx.AsyncBaseTransport):
    """A token endpoint that has answered already: a second token could end the first."""

    def __init__(self, token: Token) -> None:
        self._token = token

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"access_token": self._token.value, "expires_in": self._token.lifetime})


class _Unobserved:
    def vendor_request(self, operation: str, outcome: str, seconds: float) -> None: ...
    def vendor_reply(self, quirks: Collection[str], unrecognized_fields: Collection[str]) -> None: ...


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _skew(date: str) -> float | None:
    moment = http_date(date)
    return None if moment is None else time.time() - moment.timestamp()
