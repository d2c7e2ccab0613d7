"""A vendor that holds call requests, and answers by rules that may change while it runs."""

import asyncio
import gzip
import json
import ssl
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import cache

from testkit.scripted_vendor import Answer, ScriptedVendor, cancelled, later, pending, send, with_status

HTML = "<!doctype html><title>Gateway</title><h1>It works</h1>"


class Vendor(ScriptedVendor):
    """`on_read`, `on_cancel`: the rules, from a call request's id to the answer."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self.statuses: dict[str, str] = defaultdict(lambda: "PENDING_TO_CALL")
        self.reads = Counter[str]()
        self.posts = Counter[str]()
        self.fetches = 0
        self.waiting = 0  # reads that are not answered yet, of clients that are still there
        self.valid_token: str | None = None  # None: any
        self.token_seconds = 0.0  # how long the token endpoint takes
        self.on_read: Callable[[str], Answer] = self.result_of
        self.on_cancel: Callable[[str], Answer] = self.accept
        self.answer("result", self._read)
        self.answer("cancel", self._cancel)
        self.answer_tokens()

    async def __aexit__(self, *error: object) -> None:
        await super().__aexit__(*error)
        await asyncio.sleep(0.05)  # for the tasks of its connections to end

    async def leave(self) -> None:
        """Its port refuses connections, and open ones are cut."""
        await super().__aexit__()

    def result_of(self, call_request_id: str) -> Answer:
        """The result as it is now."""
        return send(with_status(self.statuses[call_request_id], call_request_id))

    def accept(self, call_request_id: str) -> Answer:
        """The cancel takes effect, and the reply confirms it."""
        self.commit(call_request_id)
        return send(cancelled(call_request_id))

    def commit(self, call_request_id: str) -> None:
        """The call request is cancelled from now on."""
        self.statuses[call_request_id] = "CANCELLED"

    def answer_tokens(self) -> None:
        """The token endpoint sends tokens, from the start on, and again after `answer`."""
        self.answer("token", self._token)

    def revoke(self) -> None:
        """Makes every token invalid; the next one that is fetched is valid."""
        self.valid_token = "none"

    async def _read(self, writer: asyncio.StreamWriter) -> None:
        call_request_id = self.asked_on(writer).path.split("/")[-2]
        self.reads[call_request_id] += 1
        self.waiting += 1
        try:
            await (self._refusal(writer) or self.on_read(call_request_id))(writer)
        finally:
            self.waiting -= 1

    async def _cancel(self, writer: asyncio.StreamWriter) -> None:
        call_request_id = json.loads(self.asked_on(writer).body)["callRequestId"]
        self.posts[call_request_id] += 1
        await (self._refusal(writer) or self.on_cancel(call_request_id))(writer)

    def _refusal(self, writer: asyncio.StreamWriter) -> Answer | None:
        token = self.asked_on(writer).headers["authorization"].removeprefix("Bearer ")
        return None if self.valid_token in (None, token) else send("", 401)

    async def _token(self, writer: asyncio.StreamWriter) -> None:
        self.fetches += 1
        await asyncio.sleep(self.token_seconds)
        token = f"token-{self.fetches}"
        if self.valid_token is not None:
            self.valid_token = token
        await send({"access_token": token, "expires_in": 84400, "token_type": "Bearer"})(writer)


def after(seconds: float, rule: Callable[[str], Answer]) -> Callable[[str], Answer]:
    """The rule, its answers so many seconds later."""
    return lambda call_request_id: later(seconds, rule(call_request_id))


def always(answer: Answer) -> Callable[[str], Answer]:
    """One answer to everything."""
    return lambda call_request_id: answer


def endless(head: bytes, piece: bytes) -> Answer:
    """A beginning, then one piece after the other until the other side hangs up."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    return answer


@cache
def bomb(megabytes: int) -> bytes:
    """So many MB of blanks in front of a result, compressed."""
    return gzip.compress(b" " * (megabytes << 20) + json.dumps(pending()).encode(), 9)
