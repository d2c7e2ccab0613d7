"""Keeps the access token that all calls use, and has it fetched: rarely, and once, however many wait for it."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from callrequest.v1 import error_reason_pb2 as reasons

from ..deadline import Deadline, now
from ..errors import GatewayError, deadline_exceeded
from .refusals import Refusals
from .token import Token

REJECTED_PAUSE, FAILED_PAUSE = (2.0, 20.0), (0.5, 30.0)
"""Seconds between two fetches, at least and at most: after a rejection of the credentials, after other failures."""

MAX_RETRY_AFTER = 60.0
"""Seconds for which a Retry-After of the token endpoint is obeyed at most."""

RENEWAL_PAUSE = 30.0
"""Seconds between two fetches while the old token still serves, after the endpoint refused the credentials."""


class TokenSource:
    """The current token. fetch: requests one from the token endpoint, once; raises GatewayError.

    served: the token of the latest answer that was no 401; the client sets it.
    """

    def __init__(self, fetch: Callable[[], Awaitable[Token]]) -> None:
        self._fetch = fetch
        self._token: Token | None = None
        self._fetching: asyncio.Task[Token] | None = None
        self._failure: GatewayError | None = None
        self._failures = 0  # in a row
        self._retry_at = self._renew_at = float("-inf")  # not before: with no token, while the old one serves
        self._generation = 0  # of the credentials
        self._refusals = Refusals()
        self.served = ""

    def current(self) -> str | None:
        """The token, if there is one that has not expired. It is renewed ahead, for later calls."""
        token = self._token
        if token is None:
            return None
        moment = now()
        if moment < token.renew_at:
            return token.value
        if moment >= token.expires_at:
            return None
        if moment >= self._renew_at:
            self._begin()
        return token.value

    async def get(self, deadline: Deadline) -> str:
        """The current token, else the one that is fetched.

        Raises the failure of the fetch, at once while no other fetch is due; DEADLINE_EXCEEDED.
        """
        return self.current() or await self._fetched(deadline)

    async def replacement(self, deadline: Deadline) -> str:
        """The token after a refused one, once it is there. Raises as get does."""
        return await (self.get(deadline) if self._fetching is None else self._fetched(deadline))

    def reject(self, value: str, call_request_id: str, *, drop: bool = False) -> bool:
        """The vendor refused this token for this id (401). Returns whether another one may help: see `replacement`.

        Either the token is revoked, or the id is refused with any token. So other ids are served with it until there is
        another, or until a second id is refused. drop: at once.
        """
        token, moment = self._token, now()
        if token is None or token.value != value:
            return True  # it is already replaced, or will be
        served, self.served = self.served == value, ""
        if not self._refusals.justifies_new_token(call_request_id, moment, served=served):
            return False
        if self._refusals.is_second(call_request_id) or drop:
            self._token = None
        if self._fetching is None and moment < self._retry_at:
            return False
        self._begin()
        return True

    def times(self) -> tuple[float, float] | None:
        """When the current token was asked for and when it expires, on the event loop's clock; None without one."""
        return None if self._token is None else (self._token.asked_at, self._token.expires_at)

    def credentials_changed(self) -> None:
        """There are new credentials: fetches that wait for a pause to end need not. The current token serves on."""
        self._generation += 1
        self._failures = 0
        self._retry_at = self._renew_at = float("-inf")

    async def aclose(self) -> None:
        """Ends a fetch in progress."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait({self._fetching})

    async def _fetched(self, deadline: Deadline) -> str:
        if self._fetching is None and self._failure is not None and now() < self._retry_at:
            raise _copy(self._failure, self._retry_at - now())
        fetching = self._begin()
        # Not awaited itself: a caller that leaves must not take the fetch from the others.
        done, _ = await asyncio.wait({fetching}, timeout=max(deadline.remaining(), 0))
        if not done:
            raise deadline_exceeded()
        if fetching.cancelled():
            raise GatewayError(reasons.ERROR_REASON_VENDOR_UNAVAILABLE)
        error = fetching.exception()
        if error is not None:
            raise _copy(error, error.retry_after) if isinstance(error, GatewayError) else error
        return fetching.result().value

    def _begin(self) -> "asyncio.Task[Token]":
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch_and_keep(), name="token")
            self._fetching.add_done_callback(self._ended)
        return self._fetching

    async def _fetch_and_keep(self) -> Token:
        while True:
            generation = self._generation
            try:
                self._token = await self._fetch()
                break
            except GatewayError as error:
                if generation == self._generation:
                    self._pause(error)
                    raise
            # The credentials were replaced meanwhile: nobody fails for the old ones.
        self._refusals.token_replaced(now())
        self._failure, self._failures = None, 0
        self._retry_at = self._renew_at = float("-inf")
        return self._token

    def _pause(self, failure: GatewayError) -> None:
        self._failure = failure
        self._failures += 1
        rejected = failure.reason == reasons.ERROR_REASON_VENDOR_REJECTED_CREDENTIALS
        shortest, longest = REJECTED_PAUSE if rejected else FAILED_PAUSE
        longest = min(shortest * 2 ** min(self._failures, 10), longest)
        moment = now()
        self._retry_at = moment + random.uniform(shortest, longest)  # noqa: S311 (jitter)
        if failure.wait_is_known:
            self._retry_at = max(self._retry_at, moment + min(failure.retry_after, MAX_RETRY_AFTER))
        self._renew_at = moment + RENEWAL_PAUSE if rejected else self._retry_at

    def _ended(self, task: "asyncio.Task[Token]") -> None:
        self._fetching = None
        if not task.cancelled():
            task.exception()  # read, so that the failure of a renewal that nobody waits for is not logged as lost


def _copy(error: GatewayError, left: float) -> GatewayError:
    """Each caller raises its own: a traceback grows with every raise. left: seconds of the vendor's Retry-After."""
    return GatewayError(error.reason, retry_after=left if error.wait_is_known else None, delivery=error.delivery)
