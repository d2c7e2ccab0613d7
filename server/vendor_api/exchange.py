"""One request to the vendor and its whole reply, within one limit of time and one of bytes."""

import time
from collections.abc import Collection
from typing import NamedTuple, Protocol

import httpx
from google.protobuf.timestamp_pb2 import Timestamp

from callrequest.v1 import error_reason_pb2 as reasons

from ..deadline import MIN_SECONDS, Deadline
from ..errors import Delivery, GatewayError, deadline_exceeded
from ..observability.outage_log import OutageLog
from .content_encoding import NotDecodable, decode
from .document import NotAnObject, Object, parse
from .mapping import KNOWN_KEYS
from .translate import malformed

MAX_BYTES = 1 << 20
"""A longer reply is malformed; it is not read further."""

_CONNECT_MARGIN = 0.02  # seconds by which connecting must end before the exchange does


class Observer(Protocol):
    """Is told what happened at the vendor, for metrics."""

    def vendor_request(self, operation: str, outcome: str, seconds: float) -> None: ...
    def vendor_reply(self, quirks: Collection[str], unrecognized_fields: Collection[str]) -> None: ...


class Reply(NamedTuple):
    """A reply of the vendor.

    retry_after: the header, several joined by commas. document: None when the body is no JSON object, or too long.
    is_page: whether the body is neither empty nor JSON.
    """

    status: int
    retry_after: str | None
    document: Object | None
    is_page: bool
    received_at: Timestamp


class Exchanges:
    """Sends requests by a transport that gives whole replies, and keeps their times.

    connect_timeout: seconds for a connection to be free or made. connecting: is told why there was none.
    """

    def __init__(
        self, transport: httpx.AsyncBaseTransport, connect_timeout: float, observer: Observer, connecting: OutageLog
    ) -> None:
        self._transport = transport
        self._connect_timeout = connect_timeout
        self._observer = observer
        self._connecting = connecting

    async def exchange(self, operation: str, request: httpx.Request, deadline: Deadline, longest: float) -> Reply:
        """Sends a request once; longest: seconds, however much time there is until the deadline.

        Raises GatewayError that says what was sent: VENDOR_UNAVAILABLE, VENDOR_TIMEOUT, VENDOR_MALFORMED_RESPONSE when
        the reply is no HTTP, DEADLINE_EXCEEDED.
        """
        left = deadline.remaining()
        if left < MIN_SECONDS:
            raise deadline_exceeded()
        limit = min(left, longest)
        # So that a connection that takes all the time ends as one that was not made, not as a request in doubt.
        connect = max(min(self._connect_timeout, limit - _CONNECT_MARGIN), 0.001)
        request.extensions["timeout"] = {"connect": connect, "read": limit}
        begun, outcome = time.monotonic(), "abandoned"
        try:
            response = await self._transport.handle_async_request(request)
            outcome = f"{response.status_code // 100}xx"
            self._connecting.resolved()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            outcome = "unreachable"
            if deadline.spent():
                raise deadline_exceeded() from None
            self._connecting.occurred(type(error.__cause__ or error).__name__)
            raise unavailable(Delivery.NOT_SENT) from None
        except httpx.ReadTimeout:
            outcome = "timeout"
            spent = deadline.spent()
            reason = reasons.ERROR_REASON_DEADLINE_EXCEEDED if spent else reasons.ERROR_REASON_VENDOR_TIMEOUT
            raise GatewayError(reason, delivery=Delivery.UNKNOWN) from None
        except httpx.RemoteProtocolError:
            outcome = "malformed"
            raise malformed() from None
        except httpx.TransportError:
            outcome = "broken"
            raise unavailable(Delivery.UNKNOWN) from None
        finally:
            self._observer.vendor_request(operation, outcome, time.monotonic() - begun)
        status = response.status_code
        retry_after = response.headers.get("retry-after") if status >= 400 else None
        seconds, nanos = divmod(time.time_ns(), 10**9)
        return Reply(status, retry_after, *_parsed(response), Timestamp(seconds=seconds, nanos=nanos))


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
