"""Changes that other processes must learn of, whether or not the engine is up."""

import asyncio
import secrets
from collections import OrderedDict

from redis.exceptions import ResponseError

from .engine import Engine
from .keys import CHANNEL, EPOCH_LIFETIME, keys_of, milliseconds
from .scripts import CHANGED
from .values import EngineError

MAX_UNSENT = 10_000
"""Changes that the engine has not taken yet. Beyond that the oldest is forgotten: its effect ends with max_age."""


class Changes:
    """Sends changes to the engine, in order with everything else that is sent there."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._unsent = OrderedDict[str, None]()

    def is_unsent(self, call_request_id: str) -> bool:
        """Whether the engine may still hold what was read before a change."""
        return call_request_id in self._unsent

    def send(self, call_request_id: str) -> None:
        """Returns at once. What the engine does not take is sent by `send_unsent`."""
        try:
            reply = self._engine.run(CHANGED, *_change(call_request_id))
        except EngineError:
            self._remember(call_request_id)
            return
        reply.add_done_callback(lambda done: self._done(call_request_id, done))

    async def send_unsent(self) -> None:
        """Sends what the engine has not taken: it is back, and nobody else uses it yet. Raises FAILURES.

        One that it refuses stays unsent, and keeps nobody from using the engine.
        """
        refused: list[str] = []
        try:
            while self._unsent:
                call_request_id, _ = self._unsent.popitem(last=False)  # before: the same may change again meanwhile
                try:
                    await self._engine.run_now(CHANGED, *_change(call_request_id))
                except ResponseError:
                    refused.append(call_request_id)
                except BaseException:
                    self._remember(call_request_id)
                    raise
        finally:
            for call_request_id in refused:
                self._remember(call_request_id)

    def _done(self, call_request_id: str, reply: "asyncio.Future[object]") -> None:
        if reply.cancelled() or reply.exception() is not None:
            self._remember(call_request_id)
        else:
            self._unsent.pop(call_request_id, None)

    def _remember(self, call_request_id: str) -> None:
        self._unsent[call_request_id] = None
        if len(self._unsent) > MAX_UNSENT:
            self._unsent.popitem(last=False)


def _change(call_request_id: str) -> tuple[str | int, ...]:
    epoch = secrets.token_urlsafe(12)
    return (*keys_of(call_request_id), epoch, milliseconds(EPOCH_LIFETIME), CHANNEL, call_request_id)
