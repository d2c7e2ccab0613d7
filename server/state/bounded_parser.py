"""Bounds the replies that redis-py itself reads: to its handshake, to PING, of sentinels, of a cluster's nodes.

hiredis takes in as much as comes until a reply has an end, and something else than an engine may answer at its address.
This leans on redis-py's parser for hiredis; `tests/state/test_bounded_parser.py` fails when it has changed.
"""

from typing import Any

from redis._parsers import _AsyncHiredisParser
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as ClosedError
from redis.exceptions import InvalidResponse

MAX_REPLY_BYTES = 16 << 20
"""Bytes of one reply at most: twice what TAKE returns of a result."""


class BoundedParser(_AsyncHiredisParser):
    """redis-py's own parser, which refuses a reply of more than MAX_REPLY_BYTES."""

    _received = 0

    async def read_response(self, disable_decoding: bool = False, push_request: bool = False) -> Any:
        self._received = 0
        return await super().read_response(disable_decoding, push_request)

    async def read_from_socket(self) -> bool:
        stream: Any = self._stream
        reader: Any = self._reader
        received = await stream.read(self._read_size)
        if not received:
            raise ClosedError
        self._received += len(received)
        if self._received > MAX_REPLY_BYTES:
            raise InvalidResponse
        reader.feed(received)
        return True


async def connect_bounded(connection: AbstractConnection) -> None:
    """What redis-py calls instead of its handshake (`redis_connect_func`): the same, with replies bounded."""
    connection.set_parser(BoundedParser)
    await connection.on_connect()
