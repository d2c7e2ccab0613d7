"""Results that all processes share: one of them asks the vendor, the others wait for its answer."""

import asyncio
import random
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress

from ..deadline import Deadline, now
from ..errors import deadline_exceeded
from ..observability.outage_log import OutageLog
from .changes import Changes
from .encryption import Encryption
from .engine import Engine
from .keys import CHANNEL, EPOCH_LIFETIME, LEASE, keys_of, lifetime, milliseconds
from .leases import Leases
from .scripts import NOW, RELEASE, STORE, TAKE
from .shared_pushes import SharedPushes
from .take_reply import Begin, Taken, Wait, parse_take_reply
from .values import EngineError, Message, OwnResult, Read, SharedResult
from .waiting import Waiting

POLL = 1.0
"""Seconds after which a reader that waits for another looks again, message or not; much sooner without a channel."""
POLL_WITHOUT_CHANNEL = 0.2
ANY_TIME = 1
"""TAKE's `asked` in ms: whatever was read since then serves."""
MAX_JITTER = 0.1
MAX_REMEMBERED = 10_000
"""Own results that the engine has not published yet; call requests whose result in the engine could not be read."""
UNREADABLE_FOR = 60.0
"""Seconds for which messages about a result that could not be read count for nothing. Two processes with different keys
would else ask the vendor in turn, each at the message of the other, without end."""


class SharedResults:
    """Reads through the engine. While the engine is down each process asks the vendor by itself.

    final_max_age: seconds for which a final result may be given again. is_answer: whether bytes are the serialized
    answer for a call request. pushes: what the webhook stores.
    """

    def __init__(
        self,
        engine: Engine,
        encryption: Encryption,
        final_max_age: float,
        is_answer: Callable[[str, bytes], bool],
    ) -> None:
        self._engine = engine
        self._encryption = encryption
        self._final_max_age = final_max_age
        self._is_answer = is_answer
        self.pushes = SharedPushes(engine, encryption, final_max_age)
        self._waiting = Waiting()
        self._changes = Changes(engine)
        self._leases = Leases(engine)
        self._stored = OrderedDict[str, int]()  # by this process, and not published yet
        self._unreadable = OrderedDict[str, float]()  # since when, by call request
        self._unreadable_log = OutageLog(
            "a result in the shared state cannot be read: do all processes have the same GATEWAY_STATE_KEYS?"
        )
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
        if self._changes.is_unsent(call_request_id):
            self._changes.send(call_request_id)  # again
            return OwnResult(await ask_vendor(), 0)
        token, came, asked, ignored = secrets.token_urlsafe(12), 0, 0, b""
        while True:
            with self._waiting.message(call_request_id) as message:  # from now on: it may come before TAKE's reply
                try:
                    reply = await self._take(call_request_id, max_age, final_max_age, asked, token, ignored, came)
                except EngineError:
                    return OwnResult(await ask_vendor(), 0)
                # Should its clock have been set back, what it stores from now on is from after the outage all the same.
                self._not_before = min(self._not_before, reply.at)
                came = came or reply.at
                if isinstance(reply, Wait):
                    # Who waits for a read that began before it came takes part in it, as within one process.
                    asked = min(asked or reply.at, reply.began)
                    await self._until(message, reply.lease_left / 1000, deadline)
                    continue
            if isinstance(reply, Begin):
                return await self._read_and_store(call_request_id, token if reply.has_lease else "", reply, ask_vendor)
            result = self._trusted(call_request_id, reply, asked_since=came if asked else 0)
            if result is not None:
                return result
            ignored = reply.began

    async def known(self, call_request_id: str, max_age: float) -> SharedResult | None:
        """Returns what is known of a call request without asking the vendor: a final result whatever its age.

        max_age: seconds, of a result that may still change. None: nothing is known, or the engine is down.
        """
        if self._changes.is_unsent(call_request_id):
            return None
        try:
            reply = await self._take(call_request_id, 0, 0, ANY_TIME, secrets.token_urlsafe(12), b"", 0)
        except EngineError:
            return None
        result = self._trusted(call_request_id, reply) if isinstance(reply, Taken) else None
        is_young = result is not None and (result.final or now() - result.read_at <= max_age)
        return result if is_young else None

    def changed(self, call_request_id: str) -> None:
        """Has every process forget what is not final, and drop what is being read: a cancel may have changed it.

        Returns at once. What this process asks the engine afterwards comes after it there. A change that the engine
        does not take is sent when it is back.
        """
        self._changes.send(call_request_id)

    def received(self, message: Message) -> bool:
        """Wakes those who wait for what a message is about. Returns whether it is news: not about our own read."""
        self._waiting.wake(message.call_request_id)
        if message.kind == "changed":
            return True
        if self._stored.pop(message.call_request_id, None) == message.engine_ms:
            return False
        return message.kind == "final" or not self._is_unreadable(message.call_request_id)

    async def returned(self) -> None:
        """The engine is back: changes that it missed are sent, and what it knew before is trusted no more.

        Raises FAILURES.
        """
        await self._changes.send_unsent()
        self._not_before = int(await self._engine.run_now(NOW, "cr:now"))
        await self._changes.send_unsent()  # of meanwhile

    async def _take(
        self,
        call_request_id: str,
        max_age: float,
        final_max_age: float,
        asked: int,
        token: str,
        ignored: bytes,
        came: int,
    ) -> Taken | Begin | Wait:
        reply = await self._engine.run(
            TAKE,
            *keys_of(call_request_id),
            milliseconds(max_age),
            milliseconds(final_max_age),
            asked,
            token,
            milliseconds(LEASE),
            ignored,
            milliseconds(EPOCH_LIFETIME),
            came,
        )
        return parse_take_reply(reply)

    async def _read_and_store(
        self, call_request_id: str, token: str, begin: Begin, ask_vendor: Callable[[], Awaitable[Read]]
    ) -> OwnResult[Read]:
        """token: of the lease; empty without one."""
        result, lease, epoch = keys_of(call_request_id)
        began_at = now()
        if token:
            self._leases.hold(lease, token)
        try:
            reading = await ask_vendor()
        except BaseException:
            if token:
                with suppress(EngineError):
                    self._engine.run(RELEASE, lease, token, CHANNEL, call_request_id)
            raise
        finally:
            if token:
                self._leases.let_go(token)
        stored = self._encryption.encrypt(result.encode(), reading.answer)
        self._stored[call_request_id] = begin.at
        if len(self._stored) > MAX_REMEMBERED:
            self._stored.popitem(last=False)
        with suppress(EngineError):
            self._engine.run_deferred(
                STORE,
                result,
                lease,
                epoch,
                token,
                begin.at,
                begin.epoch,
                stored,
                int(reading.final),
                lifetime(self._final_max_age if reading.final else 0),
                CHANNEL,
                call_request_id,
                begin.at + milliseconds(now() - began_at),
            )
        return OwnResult(reading, begin.at)

    async def _until(self, message: "asyncio.Future[None]", lease_left: float, deadline: Deadline) -> None:
        """Waits for the message, for the end of the lease, or for a while. Raises DEADLINE_EXCEEDED."""
        if deadline.spent():
            raise deadline_exceeded()
        jitter = random.uniform(0, MAX_JITTER)  # noqa: S311 (not for secrets)
        poll = POLL if self.has_channel else POLL_WITHOUT_CHANNEL
        with suppress(TimeoutError):
            async with asyncio.timeout(min(min(lease_left, poll) + jitter, deadline.remaining())):
                await message

    def _trusted(self, call_request_id: str, taken: Taken, asked_since: int = 0) -> SharedResult | None:
        """The result; None when it cannot be read, or is from before an outage and may have changed since.

        asked_since: the time of the first TAKE of a caller that waited, in ms; 0: it did not wait.
        """
        answer = self._encryption.decrypt(keys_of(call_request_id)[0].encode(), taken.stored)
        if answer is None or not self._is_answer(call_request_id, answer):
            self._unreadable_log.occurred("unknown key" if answer is None else "no answer")
            self._remember_unreadable(call_request_id)
            return None
        self._unreadable.pop(call_request_id, None)
        began = int(taken.began)
        if not taken.is_final and began < self._not_before:
            return None
        age = max(taken.at - taken.since, 0) / 1000
        waited = 0 < asked_since <= taken.arrived
        return SharedResult(answer, taken.is_final, now() - age, began, waited)

    def _remember_unreadable(self, call_request_id: str) -> None:
        self._unreadable.pop(call_request_id, None)
        self._unreadable[call_request_id] = now()
        if len(self._unreadable) > MAX_REMEMBERED:
            self._unreadable.popitem(last=False)

    def _is_unreadable(self, call_request_id: str) -> bool:
        return now() - self._unreadable.get(call_request_id, float("-inf")) < UNREADABLE_FOR
