"""The vendor's access token: one for all calls, fetched before it expires, and by one fetch however many wait."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from callrequest.v1 import error_reason_pb2 as reasons

from ..deadline import Deadline, now
from ..errors import GatewayError, deadline_exceeded
from .document import Number, Object

RENEW_SHARE = 0.1
"""The last part of a token's life in which a new one is fetched while the old one still serves."""

DEFAULT_LIFETIME = "300"
"""Seconds for a token that comes without them: RFC 6749 only recommends that it says so."""

_SENDABLE = re.compile(r"[\x21-\x7e]{1,8192}")


@dataclass(frozen=True, slots=True)
class Token:
    """An access token. lifetime: seconds from when it was asked for."""

    value: str = field(repr=False)
    lifetime: float
    asked_at: float

    @property
    def expires_at(self) -> float:
        return self.asked_at + self.lifetime

    @property
    def renew_at(self) -> float:
        return self.asked_at + self.lifetime * (1 - RENEW_SHARE)


def token_from(document: Object, asked_at: float) -> Token:
    """The token of a token reply (RFC 6749, 5.1). Raises ValueError without one that can be sent in a header."""
    value, lifetime = document.get("access_token"), document.get("expires_in") or DEFAULT_LIFETIME
    if type(value) is not str or not _SENDABLE.fullmatch(value):
        raise ValueError("no usable access_token")
    seconds = float(lifetime) if isinstance(lifetime, (str, Number)) else 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError("no usable expires_in")
    return Token(value, seconds, asked_at)


class TokenSource:
    """Keeps the token and has it fetched when it is needed.

    fetch: asks the token endpoint once; raises GatewayError.
    """

    def __init__(self, fetch: Callable[[], Awaitable[Token]]) -> None:
        self._fetch = fetch
        self._token: Token | None = None
        self._fetching: asyncio.Task[Token] | None = None

    async def get(self, deadline: Deadline) -> str:
        """A token that has not expired. Raises the failure of the fetch, DEADLINE_EXCEEDED when that takes too long."""
        token, moment = self._token, now()
        if token is not None and moment < token.renew_at:
            return token.value
        fetching = self._begin()
        if token is not None and moment < token.expires_at:
            return token.value  # the new one will be there for later calls
        # Not awaited itself: a caller that leaves must not take the fetch from the others.
        done, _ = await asyncio.wait({fetching}, timeout=max(deadline.remaining(), 0))
        if not done:
            raise deadline_exceeded()
        if fetching.cancelled():
            raise GatewayError(reasons.ERROR_REASON_VENDOR_UNAVAILABLE)
        if (error := fetching.exception()) is not None:
            raise error
        return fetching.result().value

    def reject(self, value: str) -> None:
        """Forgets a token that the vendor refused, unless another has already taken its place."""
        if self._token is not None and self._token.value == value:
            self._token = None

    async def aclose(self) -> None:
        """Ends a fetch that is under way."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait({self._fetching})

    def _begin(self) -> "asyncio.Task[Token]":
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch_and_keep(), name="token")
            self._fetching.add_done_callback(self._ended)
        return self._fetching

    async def _fetch_and_keep(self) -> Token:
        self._token = await self._fetch()
        return self._token

    def _ended(self, task: "asyncio.Task[Token]") -> None:
        self._fetching = None
        if not task.cancelled():
            task.exception()  # read, so that a renewal nobody waited for is no "exception was never retrieved"
