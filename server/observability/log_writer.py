"""The log's way to its stream: a thread of its own writes, and whoever logs only puts a line into a queue.

Nothing that reads the log, or does not read it, holds up a call: a line that finds the queue full is lost, and counted.
The queue takes no lock, so that a finalizer may log, too, in the midst of another line of the same thread.
"""

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from threading import Thread, get_ident
from typing import Any, TypeAlias

from .logs import describe, get_log

MAX_LINES = 10_000
"""Lines that wait to be written; more are lost."""
DELAY = 0.02
"""Seconds for which lines are gathered that are then written together. A process that is killed loses these."""
MAX_PIECE_BYTES = 4096
"""Bytes that a pipe takes in one piece (PIPE_BUF): no other process's lines come between them."""

_Line: TypeAlias = tuple[Callable[..., str], tuple[Any, ...]]


class LogWriter:
    """Writes lines to a descriptor, in their order: `writer.add(make, *parts)` … `writer.close(seconds)`.

    A stream that takes nothing (its reader is gone, the disk is full) loses lines; the next one that it takes is
    followed by a line that says how many.
    """

    def __init__(self, descriptor: int, max_lines: int = MAX_LINES) -> None:
        self._descriptor = descriptor
        self._max_lines = max_lines
        self._queue: SimpleQueue[_Line | None] = SimpleQueue()
        self._numbers = itertools.count(1)
        self._rejected = self._failed = self._reported = 0
        self._is_torn = False
        self._thread = Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """Lines that were lost so far."""
        return self._rejected + self._failed

    def add(self, make: Callable[..., str], *parts: Any) -> None:
        """Adds the line that make(*parts) returns, its line break included. Any thread, at any moment; never waits."""
        if self._queue.qsize() < self._max_lines or get_ident() == self._thread.ident:  # itself: of what was lost
            self._queue.put((make, parts))
        else:
            self._rejected = next(self._numbers)

    def close(self, seconds: float) -> None:
        """Waits until all lines are written, at most so many seconds. What comes after it is lost."""
        self._queue.put(None)
        self._thread.join(seconds)

    def _run(self) -> None:
        is_open = True
        while is_open:
            waiting = [self._queue.get()]
            if waiting[0] is not None:
                time.sleep(DELAY)
            while len(waiting) <= self._max_lines:
                try:
                    waiting.append(self._queue.get_nowait())
                except Empty:
                    break
            is_open = None not in waiting
            for piece in _pieces(self._made(each) for each in waiting if each is not None):
                if self._write(piece) and self.lost > self._reported:
                    lost, self._reported = self.lost - self._reported, self.lost
                    get_log().warning("lines of the log were lost", lines=lost)

    def _made(self, line: _Line) -> bytes:
        make, parts = line
        try:
            return make(*parts).encode("utf-8", "backslashreplace")
        except Exception as error:
            self._failed += 1
            get_log().error("unexpected", **describe(error))
            return b""

    def _write(self, piece: bytes) -> bool:
        """Writes whole lines; returns whether the stream took them all."""
        left = memoryview(b"\n" + piece if self._is_torn else piece)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:  # a pipe that somebody else has made non-blocking
                time.sleep(DELAY)
            except OSError:
                self._failed += bytes(left).count(b"\n")
                self._is_torn = self._is_torn or len(left) < len(piece)
                return False
        self._is_torn = False
        return True


def _pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Joins lines to pieces of MAX_PIECE_BYTES at most, but for a line that is longer."""
    piece: list[bytes] = []
    size = 0
    for line in lines:
        if size + len(line) >= MAX_PIECE_BYTES and piece:
            yield b"".join(piece)
            piece, size = [], 0
        piece.append(line)
        size += len(line)
    if size:
        yield b"".join(piece)
