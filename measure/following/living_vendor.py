"""A vendor whose call requests live by the clock: they wait, are called, are completed; it may push the results."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import aiohttp

from testkit.pushes import PATH, Push, signed
from testkit.scripted_vendor import Answer, send, with_status
from testkit.stateful_vendor import Vendor, after

from .lives import STATUSES, Life

OUTCOME = {"callType": "BOOKING_VERIFICATION", "callStatus": "SUCCESS", "outcomeSummary": "confirmed"}
MAX_PUSHES = 50
"""Pushes of a call request, until one is taken."""


class LivingVendor(Vendor):
    """`async with LivingVendor(0.05) as vendor`; `vendor.add(id, life)`.

    takes: seconds for a read, which is answered by what was so when it came.
    """

    def __init__(self, takes: float) -> None:
        super().__init__()
        self._lives: dict[str, Life] = {}
        self._pushing: list[asyncio.Task[None]] = []
        self.begun = time.monotonic()
        self.on_read = after(takes, self.result_of)

    async def __aexit__(self, *error: object) -> None:
        for each in self._pushing:
            each.cancel()
        await super().__aexit__(*error)

    @property
    def now(self) -> float:
        """Seconds since it began, as in its lives."""
        return time.monotonic() - self.begun

    def add(self, call_request_id: str, life: Life) -> None:
        """A call request that it has from now on."""
        self._lives[call_request_id] = life

    def changed_at(self, call_request_id: str, status: int) -> float:
        """When it came to that status: 1 IN_PROGRESS, 2 COMPLETED."""
        life = self._lives[call_request_id]
        return life.called_at if status == 1 else life.ended_at

    def result_of(self, call_request_id: str) -> Answer:
        """The result as it is now."""
        life, now = self._lives.get(call_request_id), self.now
        if life is None:
            return super().result_of(call_request_id)
        status = (now >= life.called_at) + (now >= life.ended_at)
        result: dict[str, Any] = with_status(STATUSES[status], call_request_id)
        return send(result | {"result": OUTCOME} if status == 2 else result)

    def push(self, ids: Iterable[str], delay: float, addresses: Callable[[], list[str]]) -> None:
        """Pushes each result so many seconds after its call, to any of the addresses, again until it is taken."""
        self._pushing.append(asyncio.create_task(self._push(list(ids), delay, addresses)))

    async def _push(self, ids: list[str], delay: float, addresses: Callable[[], list[str]]) -> None:
        connector = aiohttp.TCPConnector(limit=64, force_close=True)
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5), connector=connector) as session,
            asyncio.TaskGroup() as group,
        ):
            for each in sorted(ids, key=lambda each: self._lives[each].ended_at):
                await asyncio.sleep(self._lives[each].ended_at + delay - self.now)
                group.create_task(self._push_one(session, each, addresses))

    async def _push_one(
        self, session: aiohttp.ClientSession, call_request_id: str, addresses: Callable[[], list[str]]
    ) -> None:
        body = Push(call_request_id, f"evt-{call_request_id}").body
        for _ in range(MAX_PUSHES):
            with suppress(aiohttp.ClientError, TimeoutError, OSError):
                url = f"http://{random.choice(addresses())}{PATH}"  # noqa: S311 (any will do)
                async with session.post(url, data=body, headers=signed(body)) as reply:
                    if reply.status == 200:
                        return
            await asyncio.sleep(1)
