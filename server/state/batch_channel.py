"""Sends commands in batches, and reads their replies: of one server, since the client of a cluster routes by itself."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from redis.exceptions import RedisError

from .connecting import TIMEOUT
from .raw_connection import Command, RawConnection


class BatchChannel:
    """Owns a connection; only one task may use it. After anything raised it must be given up.

    ended: called with it when the connection has ended.
    """

    def __init__(self, connection: RawConnection, ended: Callable[["BatchChannel"], None] | None = None) -> None:
        self._connection = connection
        if ended is not None:
            connection.when_ended(lambda: ended(self))

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """Returns the replies, errors among them.

        Raises RedisError, OSError, TimeoutError; hiredis.ProtocolError for what is no reply.
        """
        if await self._connection.has_unread():
            raise RedisError  # what nobody asked for must not pass for a reply
        replies: list[Any] = []
        async with asyncio.timeout(TIMEOUT):
            await self._connection.send(commands)
            while len(replies) < len(commands):
                replies += await self._connection.receive()
        if len(replies) > len(commands) or self._connection.has_part_of_a_reply():
            raise RedisError
        return replies
