"""Tries the vendor step by step, for a person who looks for the step that fails: connection, token, read.

What is returned or raised holds no secret, no token and nothing of a reply but its status and its Date.
"""

import asyncio
import math
import os
import socket
import ssl
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import httpx
from cryptography import x509

from ..deadline import Deadline
from ..errors import GatewayError
from .client import VendorClient
from .connector import Connector
from .exchange import MAX_BYTES, Exchanges, Outages
from .faults import http_date
from .proxy import Proxy, ProxyRefused
from .rate_limit import RateLimiter
from .token import Token
from .token_endpoint import Credentials, TokenEndpoint, TokenRequest
from .transport import Http1Transport

CLOSED = "the other side closed the connection"
"""Why there was no reply, or no end of TLS's handshake."""

Step = Literal["proxy", "connection", "tls"]

MAX_SHOWN = 200
"""Characters of a certificate's names that are shown."""


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
class Tried:
    """How a request ended. failure: why there is no usable answer; None: there is one. status: None without a reply.

    skew: seconds by which this machine's clock is ahead of the Date of the reply; None without one.
    """

    failure: GatewayError | None
    status: int | None
    broken: str
    skew: float | None
    token: Token | None = None


@dataclass(frozen=True, slots=True)
class Vendor:
    """How the vendor is reached."""

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
            raise StepFailedError("proxy", _why(error, self.connect_timeout)) from None
        except httpx.TransportError as error:
            if not isinstance(error.__cause__, ssl.SSLError):
                raise StepFailedError("connection", _why(error, self.connect_timeout)) from None
            why, certificate = _why(error, self.connect_timeout), ""
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

    async def fetch_token(self) -> Tried:
        """Requests a token, as the gateway does."""
        async with self._recorder(self.token_request.url) as recorder:
            exchanges = Exchanges(recorder, self.connect_timeout, _Unobserved(), Outages())
            endpoint = TokenEndpoint(exchanges, self.token_request, self.credentials)
            try:
                token = await endpoint.fetch()
            except GatewayError as error:
                return recorder.tried(error)
            return recorder.tried(None, token)

    async def read(self, call_request_id: str, token: Token) -> Tried:
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
                return recorder.tried(error)
            finally:
                await client.aclose()
            return recorder.tried(None)

    def _recorder(self, origin: str) -> "_Recorder":
        return _Recorder(Http1Transport(origin, self.tls, 1, MAX_BYTES, max_age=math.inf, proxy=self.proxy))


class _Greeting(asyncio.Protocol):
    """Notes what TLS has agreed on."""

    described = ""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        secured: Any = transport.get_extra_info("ssl_object")
        if secured is not None:
            self.described = f"{secured.version()}, {_described(secured.getpeercert(binary_form=True))}"


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
            self._broken = _why(error, request.extensions["timeout"]["read"])
            raise
        self._status = response.status_code
        self._skew = _skew(response.headers.get("date", ""))
        return response

    async def aclose(self) -> None:
        await self._transport.aclose()

    def tried(self, failure: GatewayError | None, token: Token | None = None) -> Tried:
        """How it ended."""
        return Tried(failure, self._status, self._broken, self._skew, token)


class _Known(httpx.AsyncBaseTransport):
    """A token endpoint that has answered already: a second token could end the first."""

    def __init__(self, token: Token) -> None:
        self._token = token

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"access_token": self._token.value, "expires_in": self._token.lifetime})


class _Unobserved:
    def vendor_request(self, operation: str, outcome: str, seconds: float) -> None: ...
    def vendor_reply(self, quirks: Collection[str], unrecognized_fields: Collection[str]) -> None: ...


def _why(error: httpx.TransportError, seconds: float) -> str:
    """Why there was no connection, or no reply, in constant texts: of OpenSSL's, of the system's, of ours."""
    cause = error.__cause__ or error
    if isinstance(cause, ProxyRefused):
        return cause.cause
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"{cause.verify_message} ({cause.verify_code})"
    if isinstance(cause, ssl.SSLError):
        return cause.reason or "TLS failed"
    if isinstance(cause, TimeoutError | httpx.TimeoutException):
        return f"no answer within {seconds:.3g} s"
    if isinstance(cause, httpx.RemoteProtocolError):
        return "a reply that is not HTTP"
    if isinstance(cause, socket.gaierror | UnicodeError):
        return "the name cannot be resolved"
    if isinstance(cause, ConnectionError | httpx.ReadError | httpx.WriteError) and not getattr(cause, "errno", None):
        return CLOSED
    if isinstance(cause, OSError) and cause.errno:
        return os.strerror(cause.errno).lower()
    return type(cause).__name__


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _described(der: bytes | None) -> str:
    """A certificate by its names, its issuer and its end."""
    try:
        certificate = x509.load_der_x509_certificate(der or b"")
        subject, issuer = certificate.subject.rfc4514_string(), certificate.issuer.rfc4514_string()
        ends = certificate.not_valid_after_utc
    except ValueError:
        return "a certificate that cannot be read"
    try:
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = ", ".join(san.get_values_for_type(x509.DNSName))
    except (x509.ExtensionNotFound, ValueError):
        names = ""
    days = math.floor((ends - datetime.now(UTC)).total_seconds() / 86_400)
    until = f"{days} days left" if days >= 0 else f"ended {ends:%Y-%m-%d}"
    return f"certificate of {_shown(names or subject)}, issued by {_shown(issuer)}, {until}"


def _shown(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text[:MAX_SHOWN])


def _skew(date: str) -> float | None:
    moment = http_date(date)
    return None if moment is None else time.time() - moment.timestamp()
