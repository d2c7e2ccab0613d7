"""What becomes of a push: a signed one is stored once, any other is a hint."""

import hashlib
import time
from collections.abc import Callable
from typing import Protocol

from callrequest.v1.call_request_pb2 import CallRequestResult

from ..state.values import EngineError
from ..vendor_api.push import MalformedPushError, Push, read_push
from ..vendor_api.quirks import Observations
from .hints import Hints
from .outcomes import APPLIED, CONFLICT, DUPLICATE, HINT, IGNORED, MALFORMED, STALE, UNAVAILABLE
from .senders import Trust


class Store(Protocol):
    """Where results and events are stored; all methods raise EngineError when it does not take them."""

    async def event(self, event: str, digest: str, *, remember: bool) -> str: ...
    async def push(self, call_request_id: str, occurred_at: float, result: CallRequestResult) -> bool: ...


class Pushes:
    """Takes in pushes. observed: receives the quirks and the unrecognised values of each, for metrics."""

    def __init__(self, store: Store, hints: Hints, observed: Callable[[Observations], None]) -> None:
        self._store = store
        self._hints = hints
        self._observed = observed

    async def take(self, body: bytes, trust: Trust) -> tuple[str, str]:
        """Returns the outcome, one of outcomes.OUTCOMES, and the call request's id; "" when it has none."""
        observations = Observations()
        try:
            push = read_push(body, observations)
        except MalformedPushError:
            return MALFORMED, ""
        finally:
            self._observed(observations)
        if trust is Trust.SIGNED:
            return await self._signed(push, body), push.call_request_id
        return HINT if self._hints.follow(push.call_request_id) else UNAVAILABLE, push.call_request_id

    async def _signed(self, push: Push, body: bytes) -> str:
        """The event is remembered after its effect: a crash in between repeats the effect, and no event is lost."""
        event, digest = hashlib.sha256(push.event_id.encode()).hexdigest(), hashlib.sha256(body).hexdigest()
        try:
            known = await self._store.event(event, digest, remember=False)
            if known == "new":
                outcome = await self._apply(push)
                known = await self._store.event(event, digest, remember=True)
                return CONFLICT if known == "different" else outcome
        except EngineError:
            return UNAVAILABLE
        return DUPLICATE if known == "same" else CONFLICT

    async def _apply(self, push: Push) -> str:
        if push.result is None:
            return IGNORED
        moment = time.time()
        occurred_at = moment if push.occurred_at is None else min(push.occurred_at, moment)
        push.result.observed_at.FromNanoseconds(int(occurred_at * 1e9))
        return APPLIED if await self._store.push(push.call_request_id, occurred_at, push.result) else STALE
