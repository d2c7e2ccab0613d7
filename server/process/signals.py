"""Signals, taken by a thread of their own, so that not even a stuck event loop keeps the process alive.

| signal | effect |
|---|---|
| SIGTERM, SIGQUIT | drain |
| SIGINT | drain without the delay: a person waits |
| SIGHUP | the files that can be replaced are read again |
| SIGUSR1 | a line in the log for each thread: where it is |
| SIGUSR2, SIGALRM and others (`signal_mask.LOGGED`) | a line in the log |
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable

from ..observability.logs import describe, get_log, log_stacks
from .signal_mask import DRAIN, HANDLED, RELOAD, STACKS, block_signals

FORCED = 1
"""The exit code of a process that had to be ended by force."""

FORCE_LOG_TIMEOUT = 0.2
"""Seconds for the last line of a process that is ended by force."""


class ProcessSignals:
    """The signals of this process: `await signals.get()` returns the next one that asks it to end.

    grace: seconds from the first of those until the process is ended by force; forced is called before, in another
    thread. on_reload: called in the event loop at each SIGHUP; None, as long as there is nothing to read again.

    Must be made in the main thread, before any other is started: threads inherit that the signals are blocked for them.
    """

    def __init__(self, grace: float, forced: Callable[[], None]) -> None:
        self._grace = grace
        self._forced = forced
        self._loop = asyncio.get_running_loop()
        self._received: asyncio.Queue[signal.Signals] = asyncio.Queue()
        self._timer: threading.Timer | None = None
        self.on_reload: Callable[[], None] | None = None
        block_signals()
        threading.Thread(target=self._listen, name="signals", daemon=True).start()

    @property
    def asked_to_end(self) -> bool:
        """Whether a signal that asks the process to end has come and waits for `get`."""
        return not self._received.empty()

    async def get(self) -> signal.Signals:
        """Waits for the next signal that asks the process to end."""
        return await self._received.get()

    def _listen(self) -> None:
        while not self._loop.is_closed():
            number = signal.sigwait(HANDLED)
            try:
                self._handle(number)
            except Exception as error:  # the next signal must be heard all the same
                get_log().error("unexpected", **describe(error))

    def _handle(self, number: int) -> None:
        if number in DRAIN:
            self._limit_the_end()
            self._in_loop(self._received.put_nowait, signal.Signals(number))
        elif number == RELOAD:
            self._in_loop(self._reload)
        elif number == STACKS:
            log_stacks()
        else:
            get_log().warning("a signal without effect", signal=_name(number))

    def _limit_the_end(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(self._grace, self._force)
            self._timer.daemon = True
            self._timer.start()

    def _in_loop(self, act: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(act, *args)
        except RuntimeError:  # the loop was closed just now
            return

    def _reload(self) -> None:
        get_log().info("reading files again", signal=RELOAD.name)
        if self.on_reload is not None:
            self.on_reload()

    def _force(self) -> None:
        # In a thread, and not for long: what is stuck may be the log itself.
        telling = threading.Thread(target=self._forced, daemon=True)
        telling.start()
        telling.join(FORCE_LOG_TIMEOUT)
        os._exit(FORCED)  # not sys.exit, which would wait for what does not end


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # of the real-time signals only the first and the last have names
        return f"SIG{number}"
