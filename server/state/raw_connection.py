"""Sends commands over a connection of redis-py's, and reads what comes back.

redis-py makes the connection (TLS, credentials, Sentinel, a cluster's nodes); what goes over it is packed and read
here, at a fifth to a tenth of the CPU: its pipeline takes 55 µs for one script and 9 for each that follows, this 11 and
1 (2026-11-27, in a loop).

This leans on two private attributes of redis-py's connection, its streams; `tests/state/test_batch_channel.py` fails
when they have changed.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from .bounded_parser import MAX_REPLY_BYTES
from .connecting import Client

Command = tuple[bytes | str | int, ...]

_READ_BYTES = 1 << 16
_INCOMPLETE = object()
_ERRORS: dict[str, type[RedisError]] = {
    "NOSCRIPT": NoScriptError,
    "NOAUTH": AuthenticationError,
    "NOPERM": NoPermissionError,
    "LOADING": BusyLoadingError,
    "READONLY": ReadOnlyError,
    "MASTERDOWN": MasterDownError,
    "CLUSTERDOWN": ClusterDownError,
}


class RawConnection:
    """Owns a connection that is connected; only one task may use it. After anything raised it must be given up."""

    def __init__(self, connection: AbstractConnection) -> None:
        reader, writer = connection._reader, connection._writer  # noqa: SLF001
        assert reader is not None
        assert writer is not None
        self._reader, self._writer, self._can_read = reader, writer, connection.can_read
        self._parser = hiredis.Reader(replyError=_error_of, notEnoughData=_INCOMPLETE)
        self._unfinished = 0  # bytes since the last whole reply

    async def send(self, commands: Iterable[Command]) -> None:
        """Sends commands with one write. Raises OSError, RuntimeError."""
        packed = [hiredis.pack_command(command) for command in commands]  # type: ignore[arg-type]  # of any length
        self._writer.write(b"".join(packed))
        await self._writer.drain()

    async def receive(self) -> list[Any]:
        """Waits for more to come, and returns the replies that are complete now, errors among them: maybe none.

        Raises OSError, RuntimeError; hiredis.ProtocolError for what is no reply; RedisError for one without an end.
        """
        received = await self._reader.read(_READ_BYTES)
        if not received:
            raise ConnectionResetError
        self._parser.feed(received)
        replies: list[Any] = []
        while (reply := self._parser.gets()) is not _INCOMPLETE:
            replies.append(reply)
        self._unfinished = 0 if replies else self._unfinished + len(received)
        if self._unfinished > MAX_REPLY_BYTES:
            raise RedisError
        return replies

    async def has_unread(self) -> bool:
        """Whether something has come that was not received yet, or the connection is closed."""
        return bool(await self._can_read())

    def when_ended(self, ended: Callable[[], None]) -> None:
        """Has `ended` called once, in the event loop, when the connection has ended, whether somebody reads or not."""
        reader = self._reader
        methods: dict[str, Callable[..., None]] = {"feed_eof": reader.feed_eof, "set_exception": reader.set_exception}

        def end(name: str, *arguments: Any) -> None:
            for each in methods:
                reader.__dict__.pop(each, None)
            methods[name](*arguments)
            ended()

        for name in methods:
            setattr(reader, name, partial(end, name))

    def has_part_of_a_reply(self) -> bool:
        """Whether what was received ends within a reply."""
        return bool(self._parser.has_data())


async def connected(client: Client) -> RawConnection:
    """Returns a connection to the client's engine; of a cluster to any of its nodes. The client closes it.

    Raises what redis-py raises.
    """
    if has_pool(client):
        return RawConnection(await client.connection_pool.get_connection())
    await client.initialize()  # it raises KeyError when it knows no nodes yet
    connection = client.get_random_node().acquire_connection()
    await connection.connect()
    return RawConnection(connection)


def has_pool(client: Client) -> bool:
    """Whether it has connections to one server; a cluster's client has some to each node."""
    return hasattr(client, "connection_pool")


def _error_of(text: str) -> RedisError:
    """An error reply, as redis-py has it."""
    return _ERRORS.get(text.partition(" ")[0], ResponseError)(text)
