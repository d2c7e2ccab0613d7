"""A worker's side of its bond with the supervisor."""

import asyncio
import os
import signal
import socket
import threading
from contextlib import suppress
from typing import Self

EVERY = 0.5
"""Seconds between two beats."""
HURRY = b"h"
"""What the supervisor says when calls need not be finished any more. It says nothing else."""


class Heartbeat:
    """Beats for as long as the event loop turns, and ends the process when the supervisor is gone.

    `async with` it once calls are served: the first beat says so. descriptor: this end of the pair of sockets.
    hurry: is set when the supervisor says so: a second signal would not do, since systemd signals all processes.
    """

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._over = False
        self.hurry = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._beating = asyncio.create_task(self._beat())
        # A thread: a worker whose event loop is stuck must not outlast the supervisor, which alone would end it.
        self._listening = threading.Thread(target=self._until_alone, name="bond", daemon=True)
        self._listening.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        self._beating.cancel()
        with suppress(asyncio.CancelledError):
            await self._beating
        self._over = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._listening.join()
        self._socket.close()

    async def _beat(self) -> None:
        while True:
            with suppress(BlockingIOError, ConnectionError):
                self._socket.send(b".", socket.MSG_DONTWAIT)
            await asyncio.sleep(EVERY)

    def _until_alone(self) -> None:
        with suppress(ConnectionError):
            while self._socket.recv(1) == HURRY:
                self._loop.call_soon_threadsafe(self.hurry.set)
        if not self._over:
            os.kill(os.getpid(), signal.SIGTERM)
