"""Calls to the vendor: the only user of httpx.

A call goes `read_result` (once more after a 401) or `cancel` (once) → `_send` (with a token) → `_exchange` (one
request, one reply, one limit of time and of bytes) → `_answer` (`fault_of`, then the translation).
"""

import asyncio
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar
from urllib.parse import urlencode

import httpx
from google.protobuf.timestamp_pb2 import Timestamp

from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.call_request_pb2 import CallRequestResult
from callrequest.v1.cancellation_pb2 import Cancellation
from server.deadline import Deadline, now
from server.errors import GatewayError, Sent, deadline_exceeded
from server.validation import is_call_request_id

from .document import NotAnObject, Object, parse
from .faults import fault_of
from .quirks import Notes
from .token import Token, TokenSource, token_from
from .translate import Envelope, malformed, read_cancellation, read_envelope, read_result

MOST_BYTES = 1 << 20
"""A longer reply is malformed; it is not read further."""

_TOKEN_TIMEOUT = 10.0  # seconds for one fetch of a token, whoever waits for it
_TO_TELL_APART = 0.02  # seconds by which connecting must end before the exchange does
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Credentials:
    """OAuth2 client credentials and where they are exchanged for a token."""

    client_id: str
    client_secret: str
    token_path: str
    token_method: str

    def __repr__(self) -> str:
        return "Credentials(…)"  # the secret never shows, not even in a traceback with values


class Observer(Protocol):
    """Is told what happened at the vendor, for metrics."""

    def vendor_request(self, operation: str, outcome: str, seconds: float) -> None: ...
    def vendor_reply(self, notes: Notes) -> None: ...


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    retry_after: str | None
    document: Object | None  # None: no JSON object, or too long
    received_at: Timestamp


class VendorClient:
    """The vendor's two operations, typed. Safe to use by many tasks at once.

    cancel_path: may hold `{id}`. connect_timeout: seconds for a connection to be free or made. attempt_timeout: seconds
    for the whole exchange of a read, however much time the caller has.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        base_url: str,
        credentials: Credentials,
        cancel_path: str,
        connect_timeout: float,
        attempt_timeout: float,
        observer: Observer,
    ) -> None:
        self._transport = transport
        self._base = base_url.rstrip("/")
        self._credentials = credentials
        self._cancel_path = cancel_path
        self._connect_timeout = connect_timeout
        self._attempt_timeout = attempt_timeout
        self._observer = observer
        self._tokens = TokenSource(self._fetch_token)

    async def aclose(self) -> None:
        """Ends a token fetch under way; the transport is its owner's to close."""
        await self._tokens.aclose()

    async def read_result(self, call_request_id: str, deadline: Deadline) -> CallRequestResult:
        """Reads a result. Raises GatewayError with a vendor's reason, or DEADLINE_EXCEEDED."""
        path = f"/api/v1/call-request/{_checked(call_request_id)}/result"
        reply = await self._get(path, deadline)
        if reply.status == 401:
            reply = await self._get(path, deadline)

        def translate(document: Object, envelope: Envelope, notes: Notes) -> CallRequestResult:
            result = read_result(document, call_request_id, notes)
            result.observed_at.CopyFrom(reply.received_at)
            return result

        return self._answer(reply, translate)

    async def ready(self, deadline: Deadline) -> None:
        """Has a token at hand, so that what is sent next is sent at once. Raises GatewayError, nothing sent."""
        await self._tokens.get(deadline)

    async def cancel(self, call_request_id: str, deadline: Deadline, share: float) -> Cancellation:
        """Sends a cancel once; it has the share of the time that is left when it is sent. Raises GatewayError."""
        path = self._cancel_path.replace("{id}", _checked(call_request_id))
        body = json.dumps({"callRequestId": call_request_id}).encode()
        token = await self._tokens.get(deadline)
        reply = await self._send("cancel", "POST", path, body, deadline.part(share), token)

        def translate(document: Object, envelope: Envelope, notes: Notes) -> Cancellation:
            if envelope.success is not True:
                raise malformed()  # for an effect, silence is no yes
            return read_cancellation(document, call_request_id, notes)

        return self._answer(reply, translate)

    async def _get(self, path: str, deadline: Deadline) -> _Reply:
        return await self._send("result", "GET", path, None, deadline, await self._tokens.get(deadline))

    def _answer(self, reply: _Reply, translate: Callable[[Object, Envelope, Notes], _Answer]) -> _Answer:
        notes = Notes()
        try:
            document = reply.document
            envelope = None if document is None else read_envelope(document, reply.status, notes)
            if fault := fault_of(reply.status, envelope, reply.retry_after, notes):
                raise fault
            assert document is not None
            assert envelope is not None
            return translate(document, envelope, notes)
        finally:
            self._observer.vendor_reply(notes)

    async def _send(
        self, operation: str, method: str, path: str, body: bytes | None, deadline: Deadline, token: str
    ) -> _Reply:
        """One exchange with a token. One that is refused is forgotten, so that the next call fetches another."""
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json", "Accept-Encoding": "identity"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = httpx.Request(method, self._base + path, headers=headers, content=body)
        # A cancel is given all the time there is: ending it early would only bring its outcome into doubt.
        limit = self._attempt_timeout if body is None else math.inf
        reply = await self._exchange(operation, request, deadline, limit)
        if reply.status == 401:
            self._tokens.reject(token)
        return reply

    async def _exchange(self, operation: str, request: httpx.Request, deadline: Deadline, attempt: float) -> _Reply:
        """One request and its whole reply. Raises GatewayError, in doubt unless nothing was sent."""
        limit = min(deadline.remaining(), attempt)
        if deadline.spent():
            raise deadline_exceeded()
        # So that a connection that takes all the time ends as one that was not made, not as a request in doubt.
        request.extensions["timeout"] = {"connect": max(min(self._connect_timeout, limit - _TO_TELL_APART), 0.001)}
        begun, outcome = time.monotonic(), "abandoned"
        try:
            async with asyncio.timeout(limit):
                response = await self._transport.handle_async_request(request)
                try:
                    body = await _read(response)
                finally:
                    await response.aclose()
            outcome = f"{response.status_code // 100}xx"
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            outcome = "unreachable"
            raise deadline_exceeded() if deadline.spent() else _unavailable(Sent.NOTHING) from None
        except TimeoutError:
            outcome = "timeout"
            spent = deadline.spent()
            reason = reasons.ERROR_REASON_DEADLINE_EXCEEDED if spent else reasons.ERROR_REASON_VENDOR_TIMEOUT
            raise GatewayError(reason, sent=Sent.DOUBT) from None
        except httpx.RemoteProtocolError:
            outcome = "malformed"
            raise malformed() from None
        except httpx.TransportError:
            outcome = "broken"
            raise _unavailable(Sent.DOUBT) from None
        finally:
            self._observer.vendor_request(operation, outcome, time.monotonic() - begun)
        received_at = Timestamp()
        received_at.GetCurrentTime()
        return _Reply(response.status_code, response.headers.get("retry-after"), _parsed(body), received_at)

    async def _fetch_token(self) -> Token:
        """Asks the token endpoint, once more when the connection breaks: a kept one may have gone stale."""
        try:
            return await self._ask_for_token()
        except GatewayError as error:
            if error.sent is not Sent.DOUBT:
                raise
        try:
            return await self._ask_for_token()
        except GatewayError as error:
            raise GatewayError(error.reason) from None  # sent=NOTHING: the call that needs the token

    async def _ask_for_token(self) -> Token:
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
            reply = await self._exchange("token", request, Deadline.after(_TOKEN_TIMEOUT), math.inf)
        except GatewayError as error:
            raise _unavailable(error.sent) from None
        if reply.status in (400, 401, 403):
            raise GatewayError(reasons.ERROR_REASON_VENDOR_REJECTED_CREDENTIALS)
        try:
            if reply.document is None or not 200 <= reply.status <= 299:
                raise ValueError("no token reply")
            return token_from(reply.document, asked_at)
        except ValueError:
            raise _unavailable(Sent.NOTHING) from None


async def _read(response: httpx.Response) -> bytes | None:
    """The whole body; None once it is longer than MOST_BYTES."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    body = bytearray()
    async for chunk in response.stream:
        body += chunk
        if len(body) > MOST_BYTES:
            return None
    return bytes(body)


def _parsed(body: bytes | None) -> Object | None:
    try:
        return None if body is None else parse(body)
    except NotAnObject:
        return None


def _unavailable(sent: Sent) -> GatewayError:
    return GatewayError(reasons.ERROR_REASON_VENDOR_UNAVAILABLE, sent=sent)


def _checked(call_request_id: str) -> str:
    if not is_call_request_id(call_request_id):
        raise ValueError("not a call request id")  # the service has refused it: a defect if it comes here
    return call_request_id
