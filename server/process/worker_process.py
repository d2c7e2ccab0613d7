"""The supervisor's end of one worker: its slot, its process, its control socket."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from .heartbeat import ALL_END, HURRY, LOG_LEVELS

_PROGRAM = __name__.rpartition(".process.")[0]
"""`server`, or its name in the wheel."""
STUCK_AFTER = 2.5
"""Seconds without a heartbeat after which a worker's event loop counts as stuck."""
MAX_START = 60.0
"""Seconds for a worker to begin to serve."""
HEALTHY_AFTER = 60.0
"""Seconds of life after which an end counts as the first one."""
MAX_PAUSE = 30.0
"""A process that ends again and again is replaced at once, then after 1, 2, 4 …, at most so many seconds."""


class Pauses:
    """Seconds until a process is started again: the more, the more often it has ended in short order."""

    def __init__(self) -> None:
        self._ends = 0

    def after(self, lived: float) -> float:
        """Counts the end of a process that lived so many seconds."""
        self._ends = 1 if lived > HEALTHY_AFTER else self._ends + 1
        return 0.0 if self._ends == 1 else min(2.0 ** min(self._ends - 2, 16), MAX_PAUSE)


class WorkerProcess:
    """A slot and the process that has it, one after another.

    options: of its command line, beside slot and control socket. inherited: descriptors that it inherits besides.
    serves: whether it serves calls. has_finished: whether it has drained, and only has to exit. may_start_at: when the
    next process may be started (time.monotonic).
    """

    def __init__(self, slot: int, options: list[str], inherited: Sequence[int] = ()) -> None:
        self.slot = slot
        self.serves = self.has_finished = False
        self.may_start_at = 0.0
        self._options = options
        self._inherited = inherited
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket
        self._started_at = self._last_heartbeat = 0.0
        self._pauses = Pauses()

    @property
    def runs(self) -> bool:
        """Whether the slot is taken."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """The process id; 0 without a process."""
        return 0 if self._process is None else self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether no process runs in the slot."""
        return self._process is None or self._process.poll() is not None

    @property
    def is_stuck(self) -> bool:
        """Whether no heartbeat has come for too long."""
        silent = time.monotonic() - self._last_heartbeat
        return self.runs and silent > (STUCK_AFTER if self.serves else MAX_START)

    def start(self) -> None:
        """Starts a process with one end of a socket pair: it sends heartbeats, and ends when our end is closed.

        Raises OSError when the machine has no room for a process now; that counts as an end of the slot's process.
        """
        self._started_at = self._last_heartbeat = time.monotonic()
        try:
            ours, theirs = socket.socketpair()
            with theirs:
                control = ["--slot", str(self.slot), "--control", str(theirs.fileno())]
                self._process = subprocess.Popen(  # noqa: S603 (our own command)
                    [sys.executable, "-m", _PROGRAM, "worker", *self._options, *control],
                    pass_fds=[theirs.fileno(), *self._inherited],
                    process_group=0,  # a terminal's Ctrl-C reaches the supervisor alone, which passes it on once
                )
        except OSError:
            self._count_end()
            raise
        ours.setblocking(False)
        self._control, self.serves, self.has_finished = ours, False, False

    def receive(self) -> None:
        """Receives heartbeats: the first one means that calls are served, the end of the socket that it has drained."""
        with suppress(BlockingIOError, ConnectionError):
            if self.runs:
                self.has_finished = not self._control.recv(4096)
                if not self.has_finished:
                    self.serves, self._last_heartbeat = True, time.monotonic()

    def reset_heartbeat(self) -> None:
        """Counts the silence from now on."""
        self._last_heartbeat = time.monotonic()

    def drain(self, received: signal.Signals) -> None:
        """Passes on the signal that ends the whole gateway, after ALL_END: then the worker knows that all end."""
        self._send(ALL_END)
        self.send_signal(received)

    def hurry(self) -> None:
        """Sends HURRY: calls need not be finished any more."""
        self._send(HURRY)

    def set_log_level(self, level: str) -> None:
        """Sends it the level that its log begins at from now on."""
        self._send(LOG_LEVELS[level])

    def send_signal(self, number: signal.Signals) -> None:
        """Sends it a signal, if there is a process."""
        if self._process is not None:
            self._process.send_signal(number)

    def reap(self) -> int | None:
        """Returns the exit code of a process that has ended, once, and frees its slot; None if there is none."""
        code = None if self._process is None else self._process.poll()
        if code is None:
            return None
        self._control.close()
        self._process, self.serves = None, False
        self._count_end()
        return code

    def _send(self, message: bytes) -> None:
        with suppress(BlockingIOError, ConnectionError):
            if self.runs:
                self._control.send(message)

    def _count_end(self) -> None:
        moment = time.monotonic()
        self.may_start_at = moment + self._pauses.after(moment - self._started_at)
