"""Pushes results of completed calls to a webhook, as the vendor does."""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self

import aiohttp

from .call_requests import CallRequest
from .clock import moment, timestamp
from .dialect import Document, Status
from .state import State

LOOK_EVERY = 0.05
"""Seconds between two looks at which calls are completed by the sandbox's clock."""
ATTEMPTS, RETRY_AFTER, TIMEOUT = 20, 1.0, 5.0
"""How often a push is sent until it is answered with 2xx or 4xx, seconds between two of these, and for each of them."""
MAX_LOGGED = 1000


class Pushes:
    """`async with Pushes(state)`: the pushes of the state's call requests are sent, each in a task of its own."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._sending: set[asyncio.Task[None]] = set()
        self._log: deque[Document] = deque(maxlen=MAX_LOGGED)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(TIMEOUT))
        self._looking = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [self._looking, *self._sending]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._session.close()

    def report(self) -> list[Document]:
        """The latest attempts since a reset: time, ids of call request and event, HTTP status; null: no answer."""
        return list(self._log)

    def reset(self) -> None:
        """Ends the pushes under way, and forgets those that were sent."""
        for task in self._sending:
            task.cancel()
        self._log.clear()

    async def _look(self) -> None:
        while True:
            await self._state.has_unpushed.wait()
            await asyncio.sleep(LOOK_EVERY)
            now = self._state.clock.now()
            for call_request in [each for each in self._state.unpushed if each.status(now) is Status.COMPLETED]:
                self._state.unpushed.remove(call_request)
                task = asyncio.create_task(self._push(call_request))
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)
            if not self._state.unpushed:
                self._state.has_unpushed.clear()

    async def _push(self, call_request: CallRequest) -> None:
        """Sends all pushes of a call request, in the order that its plan has."""
        plan = call_request.plan.webhook
        assert plan is not None
        await asyncio.sleep(plan.delay)
        event_id = secrets.token_hex(16)
        body = self._body(call_request, event_id, Status.COMPLETED)
        for _ in range(plan.times):
            await self._send(call_request, event_id, body)
        if plan.another_body:
            outcome = {**call_request.outcome(), "outcomeDetails": "Of another body."}
            await self._send(call_request, event_id, self._body(call_request, event_id, Status.COMPLETED, outcome))
        if plan.out_of_order:
            earlier = secrets.token_hex(16)
            await self._send(call_request, earlier, self._body(call_request, earlier, Status.IN_PROGRESS, {}))

    def _body(
        self, call_request: CallRequest, event_id: str, status: Status, outcome: Mapping[str, Any] | None = None
    ) -> bytes:
        fields = dict(call_request.outcome() if outcome is None else outcome)
        plan = call_request.plan.webhook
        assert plan is not None
        data = {"callRequestId": call_request.id, "callRequestStatus": status.value}
        # A call was in progress before it was completed.
        occurred = self._state.clock.now() - (0 if status is Status.COMPLETED else 60)
        document = {
            "eventId": event_id,
            "eventType": "call.request.completed",
            "occurredAt": timestamp(occurred),
            "sentAt": timestamp(self._state.clock.now()),
            "data": data | ({"result": fields} if plan.nested and fields else fields),
        }
        return json.dumps(document).encode()

    async def _send(self, call_request: CallRequest, event_id: str, body: bytes) -> None:
        """Sends one push until it is answered with another status than 5xx."""
        plan = call_request.plan.webhook
        assert plan is not None
        for _ in range(ATTEMPTS):
            headers = {"Content-Type": "application/json"}
            if plan.token is not None:
                headers["Authorization"] = f"Bearer {plan.token}"
            if plan.secret is not None:
                headers |= signature(plan.secret, event_id, time.time() - plan.signed_ago, body)
            status = None
            with suppress(aiohttp.ClientError, TimeoutError, OSError):
                async with self._session.post(plan.url, data=body, headers=headers) as reply:
                    status = reply.status
            self._log.append(
                {"time": moment(self._state.clock), "id": call_request.id, "event_id": event_id, "status": status}
            )
            if status is not None and status < 500:
                return
            await asyncio.sleep(RETRY_AFTER)


def signature(secret: str, event_id: str, moment: float, body: bytes) -> dict[str, str]:
    """The headers of Standard Webhooks. secret: whsec_ and base64. moment: seconds since 1970, by the real clock."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{event_id}.{int(moment)}.".encode() + body
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": event_id, "webhook-timestamp": str(int(moment)), "webhook-signature": f"v1,{digest}"}
