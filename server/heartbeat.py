"""A worker's side of its bond with the supervisor."""

import asyncio
import os
import signal
import socket
from contextlib import suppress
from typing import Self

EVERY = 0.5
"""Seconds between two beats."""


class Heartbeat:
    """Beats for as long as the event loop turns, and ends the process when the supervisor is gone.

    `async with` it once calls are served: the first beat says so. descriptor: this end of the pair of sockets.
    """

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(False)

    async def __aenter__(self) -> Self:
        self._beating = asyncio.create_task(self._beat())
        asyncio.get_running_loop().add_reader(self._socket, self._alone)
        return self

    async def __aexit__(self, *error: object) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._beating.cancel()
        with suppress(asyncio.CancelledError):
            await self._beating
        self._socket.close()

    async def _beat(self) -> None:
        while True:
            with suppress(BlockingIOError, ConnectionError):
                self._socket.send(b".")
            await asyncio.sleep(EVERY)

    def _alone(self) -> None:
        """The supervisor says nothing, ever: what is to be read is its end."""
        asyncio.get_running_loop().remove_reader(self._socket)
        os.kill(os.getpid(), signal.SIGTERM)
