"""The channel between the processes: one subscriber each. Messages are hints, and losing them costs freshness only."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from ..observability.outage_log import OutageLog
from .connecting import Client
from .connection import FAILURES
from .keys import CHANNEL
from .raw_connection import connected
from .values import Message

PING_EVERY = 1.0
SILENCE = 3.0
"""Seconds without a message or a reply to PING after which it connects anew: a dead connection is only silent."""
RECONNECT_AFTER = 0.25


def parse_message(data: bytes) -> Message | None:
    """Reads a message; None for what no version of ours sends."""
    parts = data.decode("ascii", "replace").split(" ")
    if len(parts) != 3 or not parts[1].isdigit() or len(parts[1]) > 16:
        return None
    return Message(parts[0], int(parts[1]), parts[2])


class Subscriber:
    """Listens to the channel for as long as the block lasts, whatever becomes of its connection.

    received: receives each message. missed: called whenever messages may have been missed: at each new subscription.
    subscribed: receives whether messages come.
    """

    def __init__(
        self,
        make_client: Callable[[], Client],
        received: Callable[[Message], None],
        missed: Callable[[], None],
        subscribed: Callable[[bool], None],
    ) -> None:
        self._make_client = make_client
        self._received = received
        self._missed = missed
        self._subscribed = subscribed
        self._losses = OutageLog("the channel of the shared state is lost")  # it may be lost each second
        self.is_subscribed = False

    async def __aenter__(self) -> Self:
        self._listening = asyncio.create_task(self._listen(), name="state subscriber")
        return self

    async def __aexit__(self, *error: object) -> None:
        while not self._listening.done():
            self._listening.cancel()  # again, should the client's library swallow it
            await asyncio.wait([self._listening], timeout=1)

    async def _listen(self) -> None:
        while True:
            client: Client | None = None
            try:
                client = self._make_client()
                await self._subscription(client)
            except FAILURES as failure:
                if self.is_subscribed:
                    self._losses.occurred(type(failure).__name__)
            finally:
                self._become(subscribed=False)
                if client is not None:
                    with suppress(*FAILURES):
                        await client.aclose()
            await asyncio.sleep(RECONNECT_AFTER)

    async def _subscription(self, client: Client) -> None:
        """Listens until the connection breaks or is silent. Raises FAILURES."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(SILENCE):
            connection = await connected(client)
            await connection.send([("SUBSCRIBE", CHANNEL)])
        heard = pinged = loop.time()
        while True:
            try:
                async with asyncio.timeout(PING_EVERY / 2):
                    received = await connection.receive()
            except TimeoutError:
                received = []
            moment = loop.time()
            if received:
                heard = moment
                self._handle(received)
            if moment - pinged >= PING_EVERY:
                # The loop may have stood still: nothing that came meanwhile has been read yet.
                if moment - pinged > SILENCE:
                    heard = moment
                elif moment - heard > SILENCE:
                    raise TimeoutError
                pinged = moment
                await connection.send([("PING",)])

    def _handle(self, received: list[Any]) -> None:
        """Takes what came: messages, and replies to SUBSCRIBE and PING. Raises an error among them."""
        for each in received:
            match each:
                case [b"message", _, bytes(data)]:
                    if parsed := parse_message(data):
                        self._received(parsed)
                case [b"subscribe", *_]:
                    self._become(subscribed=True)
                    self._missed()
                case Exception():
                    raise each

    def _become(self, *, subscribed: bool) -> None:
        if subscribed != self.is_subscribed:
            self.is_subscribed = subscribed
            self._subscribed(subscribed)
