"""One request to the vendor and its whole reply, within one limit of time and one of bytes."""

import asyncio
import ssl
import time
from collections.abc import Collection
from typing import NamedTuple, Protocol

import httpx
from google.protobuf.timestamp_pb2 import Timestamp

from callrequest.v1 import error_reason_pb2 as reasons

from ..deadline import MIN_SECONDS, Deadline
from ..errors import Delivery, GatewayError, deadline_exceeded
from ..observability.outage_log import OutageLog
from ..request_ids import outgoing_headers
from .content_encoding import NotDecodable, decode
from .document import NotAnObject, Object, parse
from .mapping import KNOWN_KEYS
from .proxy import ProxyRefused
from .request_span import begin_request_span, end_request_span
from .translate import malformed

MAX_BYTES = 1 << 20
"""A longer reply is malformed; it is not read further."""

UNANSWERED = 1.0
"""Seconds without a reply after which a request that everybody has left is a failure of the vendor's."""
OPERATIONS = ("result", "cancel", "token")
OUTCOMES = (
    *("2xx", "3xx", "4xx", "429", "5xx"),
    *("unreachable", "proxy", "timeout", "broken", "malformed", "unanswered", "abandoned"),
)
"""How a request ends, for the metrics: by the class of its status, or without one. 429 has an outcome of its own: any
other 4xx of a result is, as a rule, an id that the vendor does not know."""

_CERTIFICATE_REFUSED = frozenset(
    {
        *("BAD_CERTIFICATE", "CERTIFICATE_EXPIRED", "CERTIFICATE_REQUIRED", "CERTIFICATE_REVOKED"),
        *("CERTIFICATE_UNKNOWN", "DECRYPT_ERROR", "UNKNOWN_CA", "UNSUPPORTED_CERTIFICATE"),
    }
)
"""Alerts of TLS that are only sent within a handshake (RFC 8446, 6.2). In TLS 1.3 the client has finished it by then,
and sent a request that the server, which has not, cannot have read."""

_CONNECT_MARGIN = 0.02  # seconds by which connecting must end before the exchange does


class Observer(Protocol):
    """Counts what happens at the vendor."""

    def vendor_request(self, operation: str, outcome: str, seconds: float) -> None: ...
    def vendor_reply(self, quirks: Collection[str], unrecognized_fields: Collection[str]) -> None: ...


class Reply(NamedTuple):
    """A reply of the vendor.

    retry_after, date: the headers of a failure, several joined by commas. document: None when the body is no JSON
    object, or too long. is_page: whether the body is neither empty nor JSON.
    """

    status: int
    retry_after: str | None
    date: str | None
    document: Object | None
    is_page: bool
    received_at: Timestamp


class Outages:
    """Logs why there is no connection: to the vendor, or through the proxy in front of it."""

    def __init__(self) -> None:
        self._vendor = OutageLog("no connection to the vendor", resolved="connected to the vendor again")
        self._proxy = OutageLog("no connection through the proxy", resolved="connected through the proxy again")

    def occurred(self, error: httpx.TransportError) -> None:
        """A connection could not be made, or TLS ended it."""
        cause = error.__cause__ or error
        if isinstance(error, httpx.ProxyError):
            self._proxy.occurred(cause.cause if isinstance(cause, ProxyRefused) else type(cause).__name__)
        elif isinstance(cause, ssl.SSLCertVerificationError):
            self._vendor.occurred(type(cause).__name__, tls=f"{cause.verify_message} ({cause.verify_code})")
        elif isinstance(cause, ssl.SSLError):
            self._vendor.occurred(type(cause).__name__, tls=cause.reason or "")
        else:
            self._vendor.occurred(type(cause).__name__)

    def resolved(self) -> None:
        """A reply has arrived."""
        self._vendor.resolved()
        self._proxy.resolved()


class Exchanges:
    """Sends requests through a transport that returns whole replies, and measures their times.

    connect_timeout: seconds for a connection to be free or made.
    """

    def __init__(
        self, transport: httpx.AsyncBaseTransport, connect_timeout: float, observer: Observer, outages: Outages
    ) -> None:
        self._transport = transport
        self._connect_timeout = connect_timeout
        self._observer = observer
        self._outages = outages

    async def exchange(self, operation: str, request: httpx.Request, deadline: Deadline, longest: float) -> Reply:
        """Sends a request once. longest: seconds at most, however much time there is until the deadline.

        Raises GatewayError with its delivery: VENDOR_UNAVAILABLE, VENDOR_TIMEOUT, VENDOR_MALFORMED_RESPONSE when the
        reply is not HTTP, DEADLINE_EXCEEDED.
        """
        left = deadline.remaining()
        if left < MIN_SECONDS:
            raise deadline_exceeded()
        limit = min(left, longest)
        # So that a connection that takes all the time ends as one that was not made, not as a request in doubt.
        connect = max(min(self._connect_timeout, limit - _CONNECT_MARGIN), 0.001)
        request.extensions["timeout"] = {"connect": connect, "read": limit}
        request.extensions["headers"] = outgoing_headers()
        span, replied = begin_request_span(operation, request), None
        begun, outcome = time.monotonic(), "abandoned"
        try:
            response = await self._transport.handle_async_request(request)
            replied = response.status_code
            outcome = "429" if replied == 429 else f"{replied // 100}xx"
            self._outages.resolved()
        except httpx.TransportError as error:
            outcome, failure = self._failed(error, deadline)
            raise failure from None
        except asyncio.CancelledError:
            if left - deadline.remaining() >= UNANSWERED:
                outcome = "unanswered"
            raise
        finally:
            self._observer.vendor_request(operation, outcome, time.monotonic() - begun)
            if span is not None:
                end_request_span(span, outcome, replied)
        status = response.status_code
        headers = response.headers if status >= 400 else {}
        seconds, nanos = divmod(time.time_ns(), 10**9)
        received_at = Timestamp(seconds=seconds, nanos=nanos)
        return Reply(status, headers.get("retry-after"), headers.get("date"), *_parsed(response), received_at)

    def _failed(self, error: httpx.TransportError, deadline: Deadline) -> tuple[str, GatewayError]:
        """Returns the outcome of a request without a reply, for the metrics, and its failure; logs outages."""
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError):
            outcome = "proxy" if isinstance(error, httpx.ProxyError) else "unreachable"
            if deadline.spent():
                return outcome, deadline_exceeded()
            self._outages.occurred(error)
            return outcome, unavailable(Delivery.NOT_SENT)
        if isinstance(error, httpx.ReadTimeout):
            spent = deadline.spent()
            reason = reasons.ERROR_REASON_DEADLINE_EXCEEDED if spent else reasons.ERROR_REASON_VENDOR_TIMEOUT
            return "timeout", GatewayError(reason, delivery=Delivery.UNKNOWN)
        if isinstance(error, httpx.RemoteProtocolError):
            return "malformed", malformed()
        delivery = Delivery.UNKNOWN
        if isinstance(error.__cause__, ssl.SSLError):  # TLS 1.3 refuses a client's certificate as late as this
            self._outages.occurred(error)
            if (error.__cause__.reason or "").rpartition("_ALERT_")[2] in _CERTIFICATE_REFUSED:
                delivery = Delivery.NOT_SENT
        return "broken", unavailable(delivery)


def unavailable(delivery: Delivery) -> GatewayError:
    """VENDOR_UNAVAILABLE."""
    return GatewayError(reasons.ERROR_REASON_VENDOR_UNAVAILABLE, delivery=delivery)


def _parsed(response: httpx.Response) -> tuple[Object | None, bool]:
    """The JSON object of the body, if it is one, and whether the body is a page."""
    assert isinstance(response.stream, httpx.SyncByteStream), "the transport returns whole replies"
    body = b"".join(response.stream)
    if len(body) > MAX_BYTES:
        return None, True
    try:
        return parse(body, KNOWN_KEYS), False
    except NotAnObject as error:
        is_page = error.is_page
    # Only now: replies are compressed against our wish, and no compressed body is JSON.
    named = [response.headers.get(name, "") for name in ("content-encoding", "transfer-encoding")]
    codings = [coding.strip().lower() for coding in ",".join(named).split(",")]
    codings = [coding for coding in codings if coding not in ("", "identity", "chunked")]
    if not codings:
        return None, is_page
    try:
        return parse(decode(body, codings, MAX_BYTES), KNOWN_KEYS), False
    except NotDecodable:
        return None, True
    except NotAnObject as error:
        return None, error.is_page
