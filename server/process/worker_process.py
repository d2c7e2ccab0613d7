"""One slot among the workers, and the process that has it: its start, its heartbeat, its end."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from .heartbeat import ALL_END, HURRY

STUCK_AFTER = 2.5
"""Seconds without a heartbeat after which a worker's event loop counts as stuck."""
MAX_START = 60.0
"""Seconds for a worker to begin to serve."""
HEALTHY_AFTER = 60.0
"""Seconds of life after which an end counts as the first one."""
MAX_PAUSE = 30.0
"""Seconds: a process that ends again and again is replaced at once, then after 1, 2, 4 …, at last so many."""


class Pauses:
    """Seconds until a process is started again, the more the more often it ended in short order."""

    def __init__(self) -> None:
        self._ends = 0

    def after(self, lived: float) -> float:
        """Counts the end of a process that lived so many seconds."""
        self._ends = 1 if lived > HEALTHY_AFTER else self._ends + 1
        return 0.0 if self._ends == 1 else min(2.0 ** min(self._ends - 2, 16), MAX_PAUSE)


class WorkerProcess:
    """A slot and its process.

    options: of its command line, beside slot and socket. keeps: descriptors that it inherits besides. serves: whether
    it serves calls. has_finished: whether it has drained, and only has to end. may_start_at: when a new one may be
    started (time.monotonic).
    """

    def __init__(self, slot: int, options: list[str], keeps: Sequence[int] = ()) -> None:
        self.slot = slot
        self.serves = self.has_finished = False
        self.may_start_at = 0.0
        self._options = options
        self._keeps = keeps
        self._process: subprocess.Popen[bytes] | None = None
        self._beats: socket.socket
        self._started_at = self._last_beat = 0.0
        self._pauses = Pauses()

    @property
    def runs(self) -> bool:
        """Whether the slot is taken."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """The process' number; 0 without one."""
        return 0 if self._process is None else self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether there is no process, or none any more."""
        return self._process is None or self._process.poll() is not None

    @property
    def is_stuck(self) -> bool:
        """Whether it has been silent for too long."""
        silent = time.monotonic() - self._last_beat
        return self.runs and silent > (STUCK_AFTER if self.serves else MAX_START)

    def start(self) -> None:
        """Starts a process. It gets one of a pair of sockets: its beats come by it, and it ends when ours is closed.

        Raises OSError: the machine has no room for one now. That counts as an end.
        """
        self._started_at = self._last_beat = time.monotonic()
        try:
            ours, theirs = socket.socketpair()
            with theirs:
                control = ["--slot", str(self.slot), "--control", str(theirs.fileno())]
                self._process = subprocess.Popen(  # noqa: S603 (our own command)
                    [sys.executable, "-m", "server", "worker", *self._options, *control],
                    pass_fds=[theirs.fileno(), *self._keeps],
                    process_group=0,  # a terminal's Ctrl-C reaches the supervisor alone, which passes it on once
                )
        except OSError:
            self._count_end()
            raise
        ours.setblocking(False)
        self._beats, self.serves, self.has_finished = ours, False, False

    def listen(self) -> None:
        """Takes in the beats that came. The first one says that calls are served; it lets go when it has drained."""
        with suppress(BlockingIOError, ConnectionError):
            if self.runs:
                self.has_finished = not self._beats.recv(4096)
                if not self.has_finished:
                    self.serves, self._last_beat = True, time.monotonic()

    def reset_heartbeat(self) -> None:
        """Takes a beat as come."""
        self._last_beat = time.monotonic()

    def drain(self, received: signal.Signals) -> None:
        """Passes on the signal that ends the whole gateway. The word that it does so comes first."""
        self._say(ALL_END)
        self.send_signal(received)

    def hurry(self) -> None:
        """Tells it that calls need not be finished any more."""
        self._say(HURRY)

    def send_signal(self, number: signal.Signals) -> None:
        """Sends it a signal, if there is a process."""
        if self._process is not None:
            self._process.send_signal(number)

    def ended(self) -> int | None:
        """The exit code of a process that has ended, once; its slot is free then."""
        code = None if self._process is None else self._process.poll()
        if code is None:
            return None
        self._beats.close()
        self._process, self.serves = None, False
        self._count_end()
        return code

    def _say(self, word: bytes) -> None:
        with suppress(BlockingIOError, ConnectionError):
            if self.runs:
                self._beats.send(word)

    def _count_end(self) -> None:
        moment = time.monotonic()
        self.may_start_at = moment + self._pauses.after(moment - self._started_at)
