"""The worker's end of the control socket: sends heartbeats, receives orders, ends the worker if the supervisor dies."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Self

from ..observability.logs import LEVELS

INTERVAL = 0.5
"""Seconds between two heartbeats."""
HURRY, ALL_END = b"h", b"e"
"""The supervisor's messages: calls need not be finished any more; the whole gateway ends."""
LOG_LEVELS = {level: f"{number}".encode() for number, level in enumerate(LEVELS)}
"""The supervisor's messages with another level of the log."""
ALL_END_TIMEOUT = 0.2
"""Seconds for which a worker that receives SIGTERM serves on and waits for ALL_END. At most GRACE / 20."""


class Heartbeat:
    """Sends heartbeats for as long as the event loop runs, and ends the process when the supervisor is gone.

    `async with` it once calls are served: the first heartbeat means that. descriptor: the worker's end of the socket
    pair. grace: of the settings. set_log_level: called with another level of the log when it arrives. hurry: set when
    HURRY arrives. A second signal could not mean that: systemd sends each signal to all processes of a service.
    """

    def __init__(self, descriptor: int, grace: float, set_log_level: Callable[[str], object]) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._all_end_timeout = min(ALL_END_TIMEOUT, grace / 20)
        self._is_closed = False
        orders = {order: partial(set_log_level, level) for level, order in LOG_LEVELS.items()}
        self._all_end = asyncio.Event()
        self.hurry = asyncio.Event()
        self._orders: dict[bytes, Callable[[], object]] = orders | {HURRY: self.hurry.set, ALL_END: self._all_end.set}

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._sending = asyncio.create_task(self._send())
        # A thread: a worker whose event loop is stuck must not outlast the supervisor, which alone would end it.
        self._receiving = threading.Thread(target=self._receive, name="control", daemon=True)
        self._receiving.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        self._sending.cancel()
        with suppress(asyncio.CancelledError):
            await self._sending
        self._is_closed = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._receiving.join()
        self._socket.close()

    async def ends_alone(self) -> bool:
        """Whether a signal was for this worker alone: then the others serve on, and its clients go to them at once.

        The end of the supervisor is the end of all. One that is stuck sends nothing: then the clients go to the others,
        too, and lose nothing.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self._all_end_timeout):
                await self._all_end.wait()
        return not self._all_end.is_set()

    async def _send(self) -> None:
        while True:
            with suppress(BlockingIOError, ConnectionError):
                self._socket.send(b".", socket.MSG_DONTWAIT)
            await asyncio.sleep(INTERVAL)

    def _receive(self) -> None:
        with suppress(ConnectionError):
            while message := self._socket.recv(1):
                self._loop.call_soon_threadsafe(self._orders[message])
        if not self._is_closed:
            self._loop.call_soon_threadsafe(self._all_end.set)
            os.kill(os.getpid(), signal.SIGTERM)
