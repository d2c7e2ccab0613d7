"""Batches over a connection of redis-py's: each command gets its own reply, and a doubtful connection is given up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, RedisError, ResponseError

from server.state.batch_channel import BatchChannel
from server.state.connecting import client_factory, parse_state_url
from server.state.raw_connection import RawConnection
from testkit.engine import EngineProcess


@asynccontextmanager
async def connection_to(valkey: EngineProcess) -> AsyncIterator[AbstractConnection]:
    """A connection of redis-py's to the engine."""
    client = client_factory(parse_state_url(valkey.url), None)()
    try:
        yield await client.connection_pool.get_connection()
    finally:
        await client.aclose()


async def test_replies_come_in_the_order_of_their_commands(valkey: EngineProcess) -> None:
    """Errors in their places, whatever the sizes; and again over the same connection."""
    async with connection_to(valkey) as connection:
        channel = BatchChannel(RawConnection(connection))
        for _ in range(2):
            texts = [str(number).encode() * (1 + number * 500) for number in range(100)]
            replies = await channel.execute(
                [*(("ECHO", text) for text in texts), ("EVALSHA", "0" * 40, 0), ("ECHO",), ("ECHO", 5)]
            )
            assert replies[:100] == texts
            assert isinstance(replies[100], NoScriptError)
            assert isinstance(replies[101], ResponseError)
            assert replies[102] == b"5"


async def test_what_nobody_asked_for_does_not_pass_for_a_reply(valkey: EngineProcess) -> None:
    """A late reply, say, to a command that was given up."""
    async with connection_to(valkey) as connection:
        channel = BatchChannel(RawConnection(connection))
        assert connection._reader is not None  # noqa: SLF001 (what the channel reads from)
        connection._reader.feed_data(b"+late\r\n")  # noqa: SLF001
        with pytest.raises(RedisError):
            await channel.execute([("ECHO", "a")])


async def test_more_replies_than_commands_are_none(valkey: EngineProcess) -> None:
    """Nobody knows which belongs to which."""
    async with connection_to(valkey) as connection:
        with pytest.raises(RedisError):
            await BatchChannel(RawConnection(connection)).execute([("SUBSCRIBE", "a", "b")])


async def test_a_connection_that_is_cut_fails_at_once(valkey: EngineProcess) -> None:
    """In the midst of a batch, and before the next one."""
    async with connection_to(valkey) as connection:
        channel = BatchChannel(RawConnection(connection))
        waiting = asyncio.ensure_future(channel.execute([("BLPOP", "nothing", 0)]))
        await asyncio.sleep(0.05)
        valkey.kill()
        with pytest.raises((RedisError, OSError)):
            await waiting
        with pytest.raises((RedisError, OSError)):
            await channel.execute([("ECHO", "a")])


async def test_a_silent_engine_is_waited_for_half_a_second(valkey: EngineProcess) -> None:
    """For the whole batch."""
    async with connection_to(valkey) as connection:
        valkey.pause()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(BatchChannel(RawConnection(connection)).execute([("ECHO", "a")] * 10), 5)
