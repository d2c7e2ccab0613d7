"""What answers at the engine's address costs this process little memory, whatever it sends and however long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio.cluster import ClusterNode
from redis.exceptions import InvalidResponse, RedisError

from server.state.bounded_parser import MAX_REPLY_BYTES, BoundedParser, connect_bounded
from server.state.connecting import client_factory, parse_state_url, sentinel_clients
from server.state.raw_connection import RawConnection
from testkit.engine import EngineProcess

ENDLESS = {
    "a line": b"+" + b"x" * 65_535,
    "a text": b"$2000000000\r\n" + b"x" * 65_521,
    "an error": b"-ERR " + b"x" * 65_531,
}
"""How a reply begins; what comes then is more of the same."""


class _Connection:
    """As much of redis-py's connection as its parser looks at."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self._reader = stream
        self.encoder = type("Encoder", (), {"decode_responses": False})


class _Endless(asyncio.StreamReader):
    """A stream that always has more. taken: the bytes that were read of it."""

    def __init__(self, begin: bytes) -> None:
        super().__init__()
        self._next, self.taken = begin, 0

    async def read(self, n: int = -1) -> bytes:
        assert self.taken < 4 * MAX_REPLY_BYTES, "it is read on and on"
        given, self._next = self._next[:n], b"x" * n
        self.taken += len(given)
        return given


@pytest.mark.parametrize("begin", [pytest.param(begin, id=name) for name, begin in ENDLESS.items()])
async def test_a_reply_without_an_end_is_given_up(begin: bytes) -> None:
    """To redis-py's handshake, say."""
    stream = _Endless(begin)
    parser: Any = BoundedParser(65_536)
    parser.on_connect(_Connection(stream))
    with pytest.raises(InvalidResponse):
        await parser.read_response()
    assert stream.taken <= MAX_REPLY_BYTES + 65_536


@pytest.mark.parametrize("begin", [pytest.param(begin, id=name) for name, begin in ENDLESS.items()])
async def test_a_reply_to_a_batch_without_an_end_is_given_up(valkey: EngineProcess, begin: bytes) -> None:
    """The same of what is read without redis-py: batches, and the channel."""
    async with _client(valkey.url) as client:
        connection: Any = await client.connection_pool.get_connection()
        stream = connection._reader = _Endless(begin)  # noqa: SLF001 (what it reads from)
        raw = RawConnection(connection)
        with pytest.raises(RedisError):
            await _received_from(raw)
        assert stream.taken <= MAX_REPLY_BYTES + 65_536


async def _received_from(raw: RawConnection) -> None:
    while True:
        assert await raw.receive() == []


async def test_many_replies_are_not_one_that_is_too_long(valkey: EngineProcess) -> None:
    """Each counts for itself."""
    async with _client(valkey.url) as client:
        text = b"x" * (MAX_REPLY_BYTES // 3)
        connection: Any = await client.connection_pool.get_connection()
        assert isinstance(connection._parser, BoundedParser), "connected by redis_connect_func"  # noqa: SLF001
        for _ in range(5):
            await connection.send_command("ECHO", text)
            assert await connection.read_response() == text
        raw = RawConnection(connection)
        for _ in range(5):
            await raw.send([("ECHO", text)])
            replies: list[Any] = []
            while not replies:
                replies = await raw.receive()
            assert replies == [text]


def _connections(url: str) -> list[Any]:
    """One of each kind that the clients of that engine make, not yet connected."""
    parsed = parse_state_url(url)
    client = client_factory(parsed, None)()
    if parsed.kind == "cluster":
        found = ClusterNode("127.0.0.1", 2, **client.connection_kwargs)
        return [node.acquire_connection() for node in (*client.startup_nodes, found)]
    if parsed.kind == "sentinel":
        sentinels = [*client.connection_pool.sentinel_manager.sentinels, *sentinel_clients(parsed, None)]
        return [each.connection_pool.make_connection() for each in (client, *sentinels)]
    return [client.connection_pool.make_connection()]


@pytest.mark.parametrize(
    ("url", "kinds"),
    [
        pytest.param("redis://127.0.0.1:1", 1, id="a server"),
        pytest.param("unix:///nowhere", 1, id="a Unix socket"),
        pytest.param("redis+sentinel://127.0.0.1:1/results", 3, id="Sentinel"),
        pytest.param("redis+cluster://127.0.0.1:1", 2, id="a cluster"),
    ],
)
async def test_every_connection_is_bounded_from_its_handshake_on(url: str, kinds: int) -> None:
    """Those to sentinels too, and to a cluster's nodes that are found later."""
    made = _connections(url)
    assert len(made) == kinds
    assert all(each.redis_connect_func is connect_bounded for each in made)


@asynccontextmanager
async def _client(url: str) -> AsyncIterator[Any]:
    client = client_factory(parse_state_url(url), None)()
    try:
        yield client
    finally:
        await client.aclose()
