"""What the webhook stores for all processes: pushed results, and which events it has seen."""

import secrets

from .encryption import Encryption
from .engine import Engine
from .keys import CHANNEL, EPOCH_LIFETIME, EVENT_LIFETIME, event_key, keys_of, lifetime, milliseconds
from .scripts import EVENT, PUSH
from .values import Readable


class SharedPushes:
    """Stores pushes. final_max_age: seconds for which a final result may be given again."""

    def __init__(self, engine: Engine, encryption: Encryption, final_max_age: float) -> None:
        self._engine = engine
        self._encryption = encryption
        self._final_max_age = final_max_age

    async def push(self, call_request_id: str, occurred_at: float, reading: Readable) -> bool:
        """Stores a result that the vendor pushed; whether it is news. occurred_at: Unix time, in seconds.

        Raises EngineError.
        """
        return bool(
            await self._engine.run(
                PUSH,
                *keys_of(call_request_id),
                max(milliseconds(occurred_at), 1),
                self._encryption.encrypt(keys_of(call_request_id)[0].encode(), reading.answer),
                int(reading.final),
                lifetime(self._final_max_age if reading.final else 0),
                secrets.token_urlsafe(12),
                milliseconds(EPOCH_LIFETIME),
                CHANNEL,
                call_request_id,
            )
        )

    async def event(self, event: str, digest: str, *, remember: bool) -> str:
        """Whether an event of the webhook is "new", the "same" as one that is remembered, or "different" from it.

        event: a name that is safe in a key. remember: once its effect is stored. Raises EngineError.
        """
        reply: bytes = await self._engine.run(
            EVENT, event_key(event), digest, milliseconds(EVENT_LIFETIME), int(remember)
        )
        return reply.decode()
