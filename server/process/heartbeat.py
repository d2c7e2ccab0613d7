"""A worker's side of its control with the supervisor."""

import asyncio
import os
import signal
import socket
import threading
from contextlib import suppress
from typing import Self

EVERY = 0.5
"""Seconds between two beats."""
HURRY, ALL_END = b"h", b"e"
"""What the supervisor says: that calls need not be finished any more; that the whole gateway ends. Nothing else."""
FOR_WORD = 0.2
"""Seconds that a worker which is told to end waits, and serves, for the word that all end. At most GRACE / 20."""


class Heartbeat:
    """Beats for as long as the event loop turns, and ends the process when the supervisor is gone.

    `async with` it once calls are served: the first beat says so. descriptor: this end of the pair of sockets.
    hurry: is set when the supervisor says so: a second signal would not do, since systemd signals all processes.
    grace: of the settings.
    """

    def __init__(self, descriptor: int, grace: float) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._for_word = min(FOR_WORD, grace / 20)
        self._over = False
        self._all_end = asyncio.Event()
        self.hurry = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._beating = asyncio.create_task(self._beat())
        # A thread: a worker whose event loop is stuck must not outlast the supervisor, which alone would end it.
        self._listening = threading.Thread(target=self._until_alone, name="control", daemon=True)
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

    async def ends_alone(self) -> bool:
        """Whether a signal was for this worker alone: then the others serve on, and its clients go to them at once.

        A supervisor that is gone is the end of all; one that is stuck says nothing, and clients that are sent away lose
        nothing either.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self._for_word):
                await self._all_end.wait()
        return not self._all_end.is_set()

    async def _beat(self) -> None:
        while True:
            with suppress(BlockingIOError, ConnectionError):
                self._socket.send(b".", socket.MSG_DONTWAIT)
            await asyncio.sleep(EVERY)

    def _until_alone(self) -> None:
        with suppress(ConnectionError):
            while word := self._socket.recv(1):
                self._loop.call_soon_threadsafe((self.hurry if word == HURRY else self._all_end).set)
        if not self._over:
            self._loop.call_soon_threadsafe(self._all_end.set)
            os.kill(os.getpid(), signal.SIGTERM)
