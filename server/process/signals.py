"""SIGTERM and SIGINT: heard by a thread of their own, so that not even a stuck event loop keeps the process alive."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable

END_SIGNALS = (signal.SIGTERM, signal.SIGINT)

FORCED = 1
"""The exit code when the process had to be ended by force."""


FORCE_LOG_TIMEOUT = 0.2
"""Seconds for the last words of a process that is ended by force."""


class ShutdownSignals:
    """The signals that ask the process to end: `await signals.get()` for each.

    grace: seconds from the first one until the process is ended by force; forced is called before, in another thread.
    Must be made in the main thread, before any other is started: threads inherit that the signals are blocked for them.
    """

    def __init__(self, grace: float, forced: Callable[[], None]) -> None:
        self._grace = grace
        self._forced = forced
        self._loop = asyncio.get_running_loop()
        self._received: asyncio.Queue[signal.Signals] = asyncio.Queue()
        signal.pthread_sigmask(signal.SIG_BLOCK, END_SIGNALS)
        threading.Thread(target=self._listen, name="signals", daemon=True).start()

    async def get(self) -> signal.Signals:
        """Waits for the next signal."""
        return await self._received.get()

    def _listen(self) -> None:
        received = self._wait()
        timer = threading.Timer(self._grace, self._force)
        timer.daemon = True
        timer.start()
        while not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._received.put_nowait, received)
            received = self._wait()

    def _wait(self) -> signal.Signals:
        return signal.Signals(signal.sigwait(END_SIGNALS))

    def _force(self) -> None:
        # In a thread, and not for long: what is stuck may be the log itself.
        telling = threading.Thread(target=self._forced, daemon=True)
        telling.start()
        telling.join(FORCE_LOG_TIMEOUT)
        os._exit(FORCED)  # not sys.exit, which would wait for what does not end
