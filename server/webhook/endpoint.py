"""The webhook's port: `POST /webhooks/call-request-completed`, of at most 64 KiB, answered within a second."""

import asyncio
import ssl
from collections.abc import Callable

from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError, PayloadEncodingError, TransferEncodingError

from ..observability.http_port import HttpPort
from ..settings import Address
from .outcomes import MALFORMED, STATUS_BY_OUTCOME, TOO_LARGE, UNAVAILABLE, UNKNOWN_SENDER
from .pushes import Pushes
from .senders import SenderRules, Senders, UnknownSenderError
from .sources import Sources

PATH = "/webhooks/call-request-completed"
MAX_BODY_BYTES = 64 << 10
MAX_CONNECTIONS = 256
TAKE_TIMEOUT = 0.9
"""Seconds to take a push in; then the sender is asked to send it again."""
RETRY_AFTER = "5"


class Webhook:
    """Serves the vendor's pushes.

    taken: receives the outcome of each, the call request's id, and whether the sender is known, for metrics and log.
    """

    def __init__(
        self, senders: Senders, sources: Sources, pushes: Pushes, taken: Callable[[str, str, bool], None]
    ) -> None:
        self._senders = senders
        self._sources = sources
        self._pushes = pushes
        self._taken = taken
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_post(PATH, self._post)
        self._port = HttpPort(app, max_connections=MAX_CONNECTIONS)

    async def start(self, address: Address, tls: ssl.SSLContext | None, *, shared: bool) -> Address:
        """Listens; returns the address with the port that was taken. shared: other workers listen there, too.

        tls: None: plaintext. Raises SettingsError.
        """
        return await self._port.start("GATEWAY_WEBHOOK_LISTEN", address, tls=tls, shared=shared)

    def renew_tls(self, tls: ssl.SSLContext) -> None:
        """Has new connections use it, where the port has TLS."""
        self._port.renew_tls(tls)

    def renew_senders(self, rules: SenderRules) -> None:
        """Knows senders by these rules from now on."""
        self._senders = Senders(rules)

    async def aclose(self) -> None:
        """Ends it with all its connections."""
        await self._port.aclose()

    async def _post(self, request: web.Request) -> web.Response:
        is_known = False
        try:
            body = await self._body(request)
            trust = self._senders.trust(request.headers, body)
            is_known = True
            async with asyncio.timeout(TAKE_TIMEOUT):
                outcome, call_request_id = await self._pushes.take(body, trust)
        except _RefusedError as refused:
            outcome, call_request_id = refused.outcome, ""
        except UnknownSenderError:
            outcome, call_request_id = UNKNOWN_SENDER, ""
        except TimeoutError:
            outcome, call_request_id = UNAVAILABLE, ""
        self._taken(outcome, call_request_id, is_known)
        headers = {"Retry-After": RETRY_AFTER} if outcome == UNAVAILABLE else {}
        return web.Response(status=STATUS_BY_OUTCOME[outcome], headers=headers)

    async def _body(self, request: web.Request) -> bytes:
        """Returns the body of a push from where pushes may come from. Raises _RefusedError."""
        if not self._sources.allow(request.remote or "", request.headers.getall("X-Forwarded-For", [])):
            raise _RefusedError(UNKNOWN_SENDER)
        try:
            return await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise _RefusedError(TOO_LARGE) from None
        except (PayloadEncodingError, ContentEncodingError, TransferEncodingError, web.RequestPayloadError):
            # Not what its Content-Encoding or Transfer-Encoding names.
            raise _RefusedError(MALFORMED) from None


class _RefusedError(Exception):
    """Before its sender could be known. outcome: what the push counts as."""

    def __init__(self, outcome: str) -> None:
        self.outcome = outcome
        super().__init__()
