"""One connection to the engine, which runs scripts in batches: by their hashes, by their texts where those are new."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from .batch_channel import BatchChannel
from .connecting import Client, server_of
from .raw_connection import Command, connected, has_pool
from .scripts import Script

PROBE_TIMEOUT = 0.4
"""Seconds for a PING, its connection included: with connecting.TIMEOUT less than 1 s of delay in all."""
LATE = 0.2
"""Seconds by which a timer may fire late on an event loop that is not busy."""

FAILURES = (Exception,)
"""What a failing engine raises. RedisError, OSError and TimeoutError are usual; uvloop raises RuntimeError for a closed
transport, and a reply that is not the engine's own makes redis-py raise ValueError, IndexError or KeyError. None of
them may end the task that owns the connection."""
_NOT_USABLE = (ReadOnlyError, BusyLoadingError, MasterDownError, ClusterDownError)
"""Replies of a server that is not, or no longer, the one to talk to: after a failover, while it starts."""


@dataclass(slots=True)
class Call:
    """A script to run. arguments: its keys, then the rest. reply: receives the reply, or EngineError."""

    script: Script
    arguments: tuple[bytes | str | int, ...]
    reply: "asyncio.Future[Any]"


class Connection:
    """Connects when it is first used, and again after `disconnect`. Only one task may use it.

    server: the latest that it was led to, `host:port`; never with credentials. cut: called, in the event loop, when the
    engine ends the connection by which batches go; not for a cluster, whose client has many.
    """

    def __init__(self, make_client: Callable[[], Client], cut: Callable[[], None] = lambda: None) -> None:
        self._make_client = make_client
        self._cut = cut
        self._client: Client | None = None
        self._channel: BatchChannel | None = None
        self.server = ""

    async def execute(self, calls: Sequence[Call]) -> list[Any]:
        """Returns the replies of a batch, errors of single scripts among them. Raises FAILURES."""
        replies = await self._send(calls, by_text=False)
        first = next((number for number, reply in enumerate(replies) if isinstance(reply, NoScriptError)), None)
        if first is not None:
            # A new engine, or SCRIPT FLUSH: the texts are sent once, and stay there. All that follows is repeated, too,
            # since the order matters: what is asked after a change must not be answered from before it.
            replies[first:] = await self._send(calls[first:], by_text=True)
        for reply in replies:
            if isinstance(reply, _NOT_USABLE) or (
                isinstance(reply, Exception) and not isinstance(reply, ResponseError)
            ):
                raise reply
        return replies

    async def ping(self) -> None:
        """Raises FAILURES when the engine does not answer."""
        loop = asyncio.get_running_loop()
        for last in (False, False, False, True):
            begun = loop.time()
            try:
                async with asyncio.timeout(PROBE_TIMEOUT):
                    await self._connected_client().ping()
            except FAILURES:
                await self.disconnect()
                # A timer that fires late: this process was busy, and nothing is known of the engine.
                if last or loop.time() - begun < PROBE_TIMEOUT + LATE:
                    raise
            else:
                self._note_server(self._client)
                return

    async def disconnect(self) -> None:
        """Closes the connection, if there is one."""
        client, self._client, self._channel = self._client, None, None
        if client is not None:
            self._note_server(client)
            with suppress(*FAILURES):
                async with asyncio.timeout(PROBE_TIMEOUT):
                    await client.aclose()

    def _note_server(self, client: Client | None) -> None:
        with suppress(*FAILURES):  # the log is worth no failure
            self.server = server_of(client) or self.server

    async def _send(self, calls: Sequence[Call], *, by_text: bool) -> list[Any]:
        commands: list[Command] = [
            ("EVAL", call.script.text, call.script.keys, *call.arguments)
            if by_text
            else ("EVALSHA", call.script.sha, call.script.keys, *call.arguments)
            for call in calls
        ]
        client = self._connected_client()
        if has_pool(client):
            if self._channel is None:
                self._channel = BatchChannel(await connected(client), self._ended)
            return await self._channel.execute(commands)
        pipeline = client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        replies: list[Any] = await pipeline.execute(raise_on_error=False)
        if len(replies) != len(calls):
            raise RedisError
        return replies

    def _ended(self, channel: BatchChannel) -> None:
        if channel is self._channel:  # else this side has given it up
            self._cut()

    def _connected_client(self) -> Client:
        """The client, which connects when it is used."""
        if self._client is None:
            self._client = self._make_client()
        return self._client
