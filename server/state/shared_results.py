"""Results that all processes share: one of them asks the vendor, the others wait for its answer."""

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress

from ..deadline import Deadline, now
from ..errors import deadline_exceeded
from .encryption import Encryption
from .engine import Engine
from .scripts import CHANGED, EVENT, NOW, PUSH, RELEASE, RENEW, STORE, TAKE
from .subscriber import CHANNEL
from .values import EngineError, Message, OwnResult, Read, Readable, SharedResult

LEASE = 3.0
RENEW_EVERY = 1.0
"""Seconds of a reader's lease, and between two renewals of it: a reader that was killed is replaced after LEASE."""
EPOCH_LIFETIME = 60.0
"""Seconds for which a change is remembered: longer than any read takes."""
NON_FINAL_LIFETIME = 120.0
"""Seconds for which a result that is not final is kept. Its age, not this, decides whether it may still serve."""
EVENT_LIFETIME = 14 * 86_400.0
"""Seconds for which an event of the webhook is remembered."""
POLL = 1.0
"""Seconds after which a reader that waits for another looks again, message or not; much sooner without a channel."""
POLL_WITHOUT_CHANNEL = 0.2
MAX_JITTER = 0.1
MAX_REMEMBERED = 10_000
"""Changes that the engine has not taken yet, and own results that it has not published yet."""


class SharedResults:
    """Reads through the engine. While the engine is down each process asks the vendor by itself.

    final_max_age: seconds for which a final result may be given again.
    """

    def __init__(self, engine: Engine, encryption: Encryption, final_max_age: float) -> None:
        self._engine = engine
        self._encryption = encryption
        self._final_max_age = final_max_age
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._unsent_changes: dict[str, None] = {}
        self._stored: dict[str, int] = {}  # by this process, and not published yet
        self._not_before = 0
        self.has_channel = False

    async def read(
        self,
        call_request_id: str,
        max_age: float,
        final_max_age: float,
        deadline: Deadline,
        ask_vendor: Callable[[], Awaitable[Read]],
    ) -> SharedResult | OwnResult[Read]:
        """Returns a result that is young enough, or was read since this call came; else the vendor's own answer.

        max_age, final_max_age: seconds, of a result that may still change and of a final one; 0: the vendor is asked,
        whatever is known. Raises what ask_vendor raises, DEADLINE_EXCEEDED.
        """
        token, asked, ignored = secrets.token_urlsafe(12), 0, ""
        while True:
            try:
                taken = await self._take(call_request_id, max_age, final_max_age, asked, token, ignored)
            except EngineError:
                return OwnResult(await ask_vendor(), 0)
            kind, moment = taken[0], int(taken[1])
            if kind == b"value":
                result = self._decrypted(call_request_id, taken, waited=asked > 0)
                if result is not None:
                    return result
                ignored = taken[2].decode()
                continue
            if kind != b"wait":
                leased = token if kind == b"lease" else ""
                return await self._read_and_store(call_request_id, leased, moment, taken[2], ask_vendor)
            # Who waits for a read that began before it came takes part in it, as it would within one process.
            asked = min(asked or moment, int(taken[2]))
            await self._until_published(call_request_id, max(int(taken[3]), 0) / 1000, deadline)

    def changed(self, call_request_id: str) -> None:
        """Has every process forget what is not final, and drop what is being read: a cancel may have changed it.

        Returns at once. What this process asks the engine afterwards comes after it there. A change that the engine
        does not take is sent when it is back.
        """
        try:
            reply = self._engine.run(CHANGED, *self._keys(call_request_id), *_change(call_request_id))
        except EngineError:
            self._remember_change(call_request_id)
            return
        reply.add_done_callback(lambda done: self._remember_change(call_request_id) if _failed(done) else None)

    async def push(self, call_request_id: str, occurred_at: float, reading: Readable) -> bool:
        """Stores a result that the vendor pushed; whether it is news. occurred_at: Unix time, in seconds.

        Raises EngineError.
        """
        return bool(
            await self._engine.run(
                PUSH,
                *self._keys(call_request_id),
                max(int(occurred_at * 1000), 0),
                self._encryption.encrypt(self._keys(call_request_id)[0].encode(), reading.answer),
                int(reading.final),
                self._lifetime(final=reading.final),
                secrets.token_urlsafe(12),
                int(EPOCH_LIFETIME * 1000),
                CHANNEL,
                call_request_id,
            )
        )

    async def event(self, event: str, digest: str, *, remember: bool) -> str:
        """Whether an event of the webhook is "new", the "same" as one that is remembered, or "different" from it.

        event: a name that is safe in a key. remember: once its effect is stored. Raises EngineError.
        """
        reply: bytes = await self._engine.run(
            EVENT, f"cr:w:{{{event}}}", digest, int(EVENT_LIFETIME * 1000), int(remember)
        )
        return reply.decode()

    def received(self, message: Message) -> bool:
        """Wakes those who wait for what a message is about. Returns whether it is news: not about our own read."""
        for waiting in self._waiting.pop(message.call_request_id, ()):
            if not waiting.done():
                waiting.set_result(None)
        return message.kind == "changed" or self._stored.pop(message.call_request_id, None) != message.t

    async def returned(self) -> None:
        """The engine is back: changes that it missed are sent, and what it knew before is trusted no more.

        Raises FAILURES.
        """
        for call_request_id in list(self._unsent_changes):
            await self._engine.run_now(CHANGED, *self._keys(call_request_id), *_change(call_request_id))
            self._unsent_changes.pop(call_request_id, None)
        self._not_before = int(await self._engine.run_now(NOW, "cr:now"))

    def _take(
        self, call_request_id: str, max_age: float, final_max_age: float, asked: int, token: str, ignored: str
    ) -> "asyncio.Future[list[bytes]]":
        return self._engine.run(
            TAKE,
            *self._keys(call_request_id),
            int(max_age * 1000),
            int(final_max_age * 1000),
            asked,
            token,
            int(LEASE * 1000),
            self._not_before,
            ignored,
        )

    async def _read_and_store(
        self, call_request_id: str, token: str, t: int, epoch: bytes, ask_vendor: Callable[[], Awaitable[Read]]
    ) -> OwnResult[Read]:
        """token: of the lease; empty without one."""
        result, lease, changes = self._keys(call_request_id)
        renewing = asyncio.create_task(self._renew(lease, token)) if token else None
        try:
            reading = await ask_vendor()
        except BaseException:
            if token:
                with suppress(EngineError):
                    self._engine.run(RELEASE, lease, token, CHANNEL, call_request_id)
            raise
        finally:
            if renewing is not None:
                renewing.cancel()
        stored = self._encryption.encrypt(result.encode(), reading.answer)
        self._stored[call_request_id] = t
        if len(self._stored) > MAX_REMEMBERED:
            del self._stored[next(iter(self._stored))]
        with suppress(EngineError):
            self._engine.run(
                STORE,
                result,
                lease,
                changes,
                token,
                t,
                epoch,
                stored,
                int(reading.final),
                self._lifetime(final=reading.final),
                CHANNEL,
                call_request_id,
            )
        return OwnResult(reading, t)

    async def _renew(self, lease: str, token: str) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY)
            with suppress(EngineError):
                await self._engine.run(RENEW, lease, token, int(LEASE * 1000))

    async def _until_published(self, call_request_id: str, lease_left: float, deadline: Deadline) -> None:
        """Waits for a message about it, for the end of the lease, or for a while. Raises DEADLINE_EXCEEDED."""
        left = deadline.remaining()
        if deadline.spent():
            raise deadline_exceeded()
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        all_waiting = self._waiting.setdefault(call_request_id, set())
        all_waiting.add(waiting)
        jitter = random.uniform(0, MAX_JITTER)  # noqa: S311 (not for secrets)
        poll = POLL if self.has_channel else POLL_WITHOUT_CHANNEL
        with suppress(TimeoutError):
            try:
                async with asyncio.timeout(min(lease_left, poll, left) + jitter):
                    await waiting
            finally:
                all_waiting.discard(waiting)
                if not all_waiting and self._waiting.get(call_request_id) is all_waiting:
                    del self._waiting[call_request_id]

    def _decrypted(self, call_request_id: str, taken: list[bytes], *, waited: bool) -> SharedResult | None:
        _, moment, t, final, stored = taken
        answer = self._encryption.decrypt(self._keys(call_request_id)[0].encode(), stored)
        if answer is None:
            return None
        age = max(int(moment) - int(t), 0) / 1000
        return SharedResult(answer, final == b"1", now() - age, int(t), waited)

    def _lifetime(self, *, final: bool) -> int:
        return max(int((self._final_max_age if final else NON_FINAL_LIFETIME) * 1000), 1)

    def _remember_change(self, call_request_id: str) -> None:
        self._unsent_changes[call_request_id] = None
        if len(self._unsent_changes) > MAX_REMEMBERED:
            del self._unsent_changes[next(iter(self._unsent_changes))]

    @staticmethod
    def _keys(call_request_id: str) -> tuple[str, str, str]:
        slot = f"cr:{{{call_request_id}}}:"
        return f"{slot}r", f"{slot}l", f"{slot}e"


def _change(call_request_id: str) -> tuple[str, int, str, str]:
    return secrets.token_urlsafe(12), int(EPOCH_LIFETIME * 1000), CHANNEL, call_request_id


def _failed(reply: "asyncio.Future[object]") -> bool:
    return reply.cancelled() or reply.exception() is not None
