"""A vendor that is played at the transport, without sockets: for tests on virtual time."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from .scripted_vendor import RESULT_ID, TOKEN, cancelled, failed, with_status

Reply = Callable[[], Awaitable[httpx.Response]]
"""Returns the reply to one request, or raises the httpx exception that the transport would raise."""


class PlayedVendor(httpx.AsyncBaseTransport):
    """It holds one call request, and replies as a test scripts it: `vendor.answer("cancel", …)`.

    status: what it holds. requests: the operations (token, result, cancel) that arrived, with the seconds of the loop's
    clock. A request that was not sent does not count. Without a script a result shows the status, and a cancel works.
    """

    def __init__(self, status: str = "PENDING_TO_CALL") -> None:
        self.status = status
        self.requests: list[tuple[str, float]] = []
        self._script: dict[str, deque[Reply]] = defaultdict(deque)
        self.answer("token", reply(TOKEN))
        self.answer("result", self.show_status)
        self.answer("cancel", self.accept)

    def answer(self, operation: str, *replies: Reply) -> None:
        """Answers requests of an operation with these in turn; the last one is repeated for ever."""
        self._script[operation] = deque(replies)

    def count(self, operation: str) -> int:
        """How many requests of an operation arrived."""
        return sum(each == operation for each, _ in self.requests)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        operation = "token" if path.endswith("/token") else "cancel" if request.method == "POST" else "result"
        script = self._script[operation]
        answer = script.popleft() if len(script) > 1 else script[0]
        arrived = (operation, asyncio.get_running_loop().time())
        self.requests.append(arrived)
        try:
            async with asyncio.timeout(request.extensions["timeout"]["read"]):
                return await answer()
        except TimeoutError:
            raise httpx.ReadTimeout("sent") from None
        except (httpx.ConnectError, httpx.ConnectTimeout):
            self.requests.remove(arrived)
            raise

    async def show_status(self) -> httpx.Response:
        """The result as it is now."""
        return httpx.Response(200, json=with_status(self.status, RESULT_ID))

    async def accept(self) -> httpx.Response:
        """Cancels and confirms it; refuses what is not pending."""
        if self.status != "PENDING_TO_CALL":
            return httpx.Response(200, json=failed("CANCELLATION_NOT_ALLOWED"))
        self.status = "CANCELLED"
        return httpx.Response(200, json=cancelled(RESULT_ID))


def reply(body: Any, status: int = 200, **headers: str) -> Reply:
    """A reply with JSON, or with bytes or text as they are. Headers: `retry_after="3"`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer() -> httpx.Response:
        if isinstance(body, bytes | str):
            return httpx.Response(status, content=body, headers=named)
        return httpx.Response(status, json=body, headers=named)

    return answer


def raises(error: BaseException) -> Reply:
    """No reply: the transport raises this, an exception of httpx's or a defect."""

    async def answer() -> httpx.Response:
        raise error

    return answer


def after(seconds: float, then: Reply) -> Reply:
    """The reply, so many seconds later."""

    async def answer() -> httpx.Response:
        await asyncio.sleep(seconds)
        return await then()

    return answer


def cut() -> Reply:
    """The connection breaks after the request was sent."""
    return raises(httpx.ReadError("sent"))


def not_sent() -> Reply:
    """No connection can be made."""
    return raises(httpx.ConnectError("not sent"))


def hangs() -> Reply:
    """No reply in any time that a call may take."""
    return after(3600, cut())
