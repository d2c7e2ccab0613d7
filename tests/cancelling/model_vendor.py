"""A model of the vendor for random histories: what it holds, what it carries out and what it replies differ."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Collection

import httpx

from server.deadline import now
from testkit.scripted_vendor import cancelled, failed, with_status

PENDING, IN_PROGRESS, COMPLETED, CANCELLED = "PENDING_TO_CALL", "IN_PROGRESS", "COMPLETED", "CANCELLED"

_Fault = Callable[[], Awaitable[httpx.Response | None]]

_STATUSES = (200, 202, 302, 400, 404, 409, 422, 500, 502, 503, 520, 599)
_WORDS = (
    "Call request cannot be cancelled as check in is in the past.",
    "Call request cannot be cancelled as it is already cancelled.",
    "no",
    "",
)


class ModelVendor(httpx.AsyncBaseTransport):
    """One call request, and a dice that decides what happens to each request on its way there and back.

    holds: its status. posts: cancels that arrived. in_doubt: those of them without a clear no. stale: whether a reading
    showed an older status than it held. shown: whether a reading has shown it as cancelled since the last POST.
    cancelled_at, refused_at, unreadable_until: moments of the loop's clock. calm: readings fail in the outage only.
    """

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._history = [dice.choice([PENDING] * 5 + [CANCELLED, COMPLETED])]
        self._bad = dice.choice([0.0, 0.3, 0.6, 0.9])
        self._stale_share = dice.choice([0.0, 0.0, 0.2])
        self._check_in_passed = dice.random() < 0.15
        self._tasks: set[asyncio.Task[None]] = set()
        self.calm = dice.random() < 0.4
        self.unreadable_from = now() + dice.uniform(0, 2)
        self.unreadable_until = self.unreadable_from + dice.choice([0, 0, 1, 5, 20])
        self.posts = self.in_doubt = self.requests = 0
        self.stale = self.shown = self._showing = False
        self.cancelled_at = now() if self.holds == CANCELLED else float("inf")
        self.refused_at = float("-inf")

    @property
    def holds(self) -> str:
        return self._history[-1]

    def becomes(self, status: str) -> None:
        """The vendor's own doing: a call begins, or is done."""
        if (self.holds, status) in {(PENDING, IN_PROGRESS), (IN_PROGRESS, COMPLETED)}:
            self._history.append(status)

    # An observer of the client, too: a defect in what is ours, at random, once a reply has come.

    def vendor_request(self, operation: str, outcome: str, seconds: float) -> None: ...

    def vendor_reply(self, quirks: Collection[str], unrecognized_fields: Collection[str]) -> None:
        if not self.calm and self._dice.random() < self._bad / 10:
            raise self._dice.choice([KeyError("a defect"), RecursionError(), asyncio.CancelledError()])
        self.shown |= self._showing

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        self._showing = False
        try:
            async with asyncio.timeout(request.extensions["timeout"]["read"]):
                if request.url.path.endswith("/token"):
                    await self._fault((self._refuse, self._cut, self._five_hundred), share=self._bad / 3)
                    return httpx.Response(200, json={"access_token": "t", "expires_in": 84400})
                return await (self._read() if request.method == "GET" else self._post())
        except TimeoutError:
            raise httpx.ReadTimeout("sent") from None

    async def _read(self) -> httpx.Response:
        if self.unreadable_from <= now() < self.unreadable_until:
            return await self._dice.choice([self._cut, self._five_hundred, self._deep])()
        faults = (
            *(self._refuse, self._cut, self._five_hundred, self._garbage, self._slow, self._reject, self._deep),
            self._unknown_code,
        )
        if reply := await self._fault(faults, share=0.0 if self.calm else self._bad):
            return reply
        shown = self._dice.choice(self._history) if self._dice.random() < self._stale_share else self.holds
        self.stale |= shown != self.holds
        self._showing = shown == CANCELLED
        return httpx.Response(200, json=with_status(shown))

    async def _post(self) -> httpx.Response:
        if self._dice.random() < self._bad / 4:
            await self._refuse()
        self.posts += 1  # from here on the vendor has it
        self.in_doubt += 1
        self.shown = False
        before = (
            *(self._cut, self._five_hundred, self._garbage, self._slow, self._reject, self._too_many, self._deep),
            *(self._unknown_code, self._contradiction, self._defect),
        )
        if reply := await self._fault(before, share=self._bad / 2):
            self.in_doubt -= reply.status_code in {401, 429} or (reply.status_code == 403 and reply.text != "<html>")
            return reply
        if self._dice.random() < self._bad / 4:  # taken, and carried out when nobody waits for it any more
            task = asyncio.create_task(self._commit_later())
            self._tasks.add(task)
            await self._cut()
        answer = self._commit()
        after = (self._cut, self._five_hundred, self._garbage, self._slow, self._deep, self._unknown_code, self._defect)
        return await self._fault(after, share=self._bad / 2) or answer

    def _commit(self) -> httpx.Response:
        if self.holds != PENDING or self._check_in_passed:
            self.refused_at = now()
            code, words = "CANCELLATION_NOT_ALLOWED", self._dice.choice(_WORDS)
            if self.holds == CANCELLED and self._dice.random() < 0.3:
                code, words = self._dice.choice(["BAD_REQUEST", "NOT_FOUND", "CONFLICT"]), "It was already cancelled."
            return httpx.Response(self._dice.choice(_STATUSES), json=failed(code, words))
        self._history.append(CANCELLED)
        self.cancelled_at = now()
        return httpx.Response(200, json=cancelled())

    async def _commit_later(self) -> None:
        await asyncio.sleep(self._dice.uniform(0, 3))
        self._commit()

    async def _fault(self, faults: tuple[_Fault, ...], share: float) -> httpx.Response | None:
        await asyncio.sleep(self._dice.uniform(0, 0.05))
        return await self._dice.choice(faults)() if self._dice.random() < share else None

    async def _refuse(self) -> httpx.Response:
        raise self._dice.choice([httpx.ConnectError, httpx.ConnectTimeout])("not sent")

    async def _cut(self) -> httpx.Response:
        raise self._dice.choice([httpx.ReadError, httpx.RemoteProtocolError])("sent")

    async def _defect(self) -> httpx.Response:
        raise self._dice.choice([KeyError("a defect"), RecursionError(), asyncio.CancelledError()])

    async def _five_hundred(self) -> httpx.Response:
        return httpx.Response(self._dice.choice([500, 502, 503, 504]))

    async def _garbage(self) -> httpx.Response:
        other = cancelled("bcpFuj1ipoBKLz5G")
        bodies = ["<html>", "{}", json.dumps(other), '{"success": false}', '{"success": true, "results": 5']
        return httpx.Response(self._dice.choice([200, 302, 404]), text=self._dice.choice(bodies))

    async def _contradiction(self) -> httpx.Response:
        contradictions: list[dict[str, object]] = [
            {"error": "no"},
            {"error": [1]},
            {"Success": "false"},
            {"results": [{"callRequestStatus": PENDING}]},
        ]
        return httpx.Response(200, json={"success": True} | self._dice.choice(contradictions))

    async def _deep(self) -> httpx.Response:
        depth = self._dice.choice([40, 100, 600, 990])
        success = '"success": true, ' if self.holds == CANCELLED else ""
        body = "{" + success + '"result": ' + '{"result":' * depth + "1" + "}" * (depth + 1)
        return httpx.Response(self._dice.choice([200, 500]), text=body)

    async def _unknown_code(self) -> httpx.Response:
        code = self._dice.choice(["SYSTEM_ERROR", "TIMEOUT", "x" * 200])
        return httpx.Response(self._dice.choice(_STATUSES), json=failed(code))

    async def _slow(self) -> None:
        await asyncio.sleep(self._dice.uniform(0, 40))

    async def _reject(self) -> httpx.Response:
        return httpx.Response(self._dice.choice([401, 403]), text=self._dice.choice(["", "{}", "<html>"]))

    async def _too_many(self) -> httpx.Response:
        return httpx.Response(429, headers={"retry-after": str(self._dice.choice([0, 1, 9]))})
