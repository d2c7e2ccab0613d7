"""The shared state as one thing: the engine, what is read through it, and the channel between the processes."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Protocol, Self

from ..reloading import Reloading
from .connecting import Client
from .encryption import Encryption
from .engine import Engine
from .shared_results import SharedResults
from .subscriber import Subscriber
from .values import Message


class Listener(Protocol):
    """Receives what other processes publish. Both are called in the event loop, and must return at once."""

    def published(self, message: Message) -> None:
        """A result was stored, or what is known may not be true any more."""

    def missed(self) -> None:
        """Messages may have been missed: what is known and not final may not be true any more."""


def any_answer(call_request_id: str, answer: bytes) -> bool:
    """For those who share other bytes than answers, or none."""
    return True


class SharedState:
    """`async with SharedState(…) as state`: from then on `results` shares, as long as the engine is up.

    make_client: makes a client of the engine. up_changed: receives whether the engine is up, for metrics. is_answer:
    whether bytes are the serialized answer for a call request. ca: the file that clients are made by, to be read again.
    """

    def __init__(
        self,
        make_client: Callable[[], Client],
        encryption: Encryption,
        final_max_age: float,
        listener: Listener,
        up_changed: Callable[[bool], None],
        is_answer: Callable[[str, bytes], bool] = any_answer,
        ca: Reloading[str] | None = None,
    ) -> None:
        self._listener = listener
        self.ca = ca
        self.engine = Engine(make_client, self._returned, up_changed)
        self.results = SharedResults(self.engine, encryption, final_max_age, is_answer)
        self.subscriber = Subscriber(make_client, self._received, self._missed, self._channel_changed)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.engine)
            await stack.enter_async_context(self.subscriber)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def _returned(self) -> None:
        await self.results.returned()
        self._listener.missed()

    def _received(self, message: Message) -> None:
        if self.results.received(message):
            self._listener.published(message)

    def _missed(self) -> None:
        self._listener.missed()

    def _channel_changed(self, is_there: bool) -> None:
        self.results.has_channel = is_there
