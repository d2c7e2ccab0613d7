"""The stack of a process, 500 times a second, by py-spy. The options decide what is measured:

- py-spy runs on the core of the process and does not stop it (`--nonblocking`): while the one runs the other does not,
  so a stack stands still while it is read, and is where the process was when the timer went. From another core it
  either reads stacks that change under its hands, and misses what is short, which is all of ours; or it stops all
  threads by signals, which arrive some µs late, mostly at the end of the next system call: `getpid`, which asyncio
  calls to find its loop, had ten times its share.
- The process has the lowest of the scheduler's policies meanwhile (SCHED_IDLE), or py-spy would often get the core only
  when the process waits. So it is sampled in a run of its own: CPU time is counted in another, without all this.
- Not `--gil`: with the lock released it sees nothing, and half of a call is the kernel and gRPC without the lock. The
  share of what holds the lock, times all CPU time, made our steps twice as dear as they are.
- Not `--idle`: a thread that waits costs nothing. Without it, py-spy takes those that the kernel calls running.
- Only the main thread's stacks are kept: it runs all of our code. The others are gRPC's, and are counted whole.
- A sample stands for a time, and is no share of all samples: those have the main thread running, too, when it has been
  woken and waits for gRPC's thread to leave the core. That is in gRPC's part, which gets what is left.

A loop put into each call, of 2.8 and of 11 µs by its own clock, was found as 2.2 to 3.1 and as 10.0 to 10.3 on an idle
machine. On one whose core others had for a third to a half of the time, the 11 µs were found as 8.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from .cpu import Cpu, used

RATE = 500
_PY_SPY = Path(sys.executable).with_name("py-spy")
_MAIN = re.compile(r"thread \(\w+\): MainThread")
_TO_END = 30.0

Stack = tuple[str, ...]
"""Frames from the outermost to the innermost, `function (file)`."""
Stacks = Counter[Stack]


@dataclass(slots=True)
class Sampled:
    """How often the main thread was in each stack, and the CPU time meanwhile. own: py-spy's, in seconds."""

    stacks: Stacks = field(default_factory=Counter)
    cpu: Cpu = field(default_factory=lambda: Cpu(0, 0, 0))
    own: float = 0.0

    @property
    def grain(self) -> float:
        """For how much of the main thread's time a sample stands, 0 to 1.

        Samples are RATE a second, but fall also on a process that waits for the core, because py-spy or others have it.
        """
        return self.cpu.whole / self.cpu.core / RATE / self.cpu.main


class NotSampledError(Exception):
    """py-spy recorded no stacks. The text is its output."""


@contextmanager
def sampling(pid: int, core: int) -> Iterator[Sampled]:
    """Samples a process until the block is left; what was found is there then. Raises NotSampledError.

    The process is slower from then on: it has the core when nobody else wants it.
    """
    with tempfile.TemporaryDirectory(prefix="profile-") as folder:
        raw = Path(folder) / "raw.txt"
        _yield_to_all(pid)
        command = [
            sys.executable,
            "-m",
            "measure.profiling.pinned",
            str(core),
            str(_PY_SPY),
            "record",
            "--pid",
            str(pid),
        ]
        command += ["--nonblocking", "--threads", "--nolineno", "--format", "raw", "--output", str(raw)]
        command += ["--rate", str(RATE)]
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        sampled = Sampled()
        try:
            assert process.stdout is not None
            begun = process.stdout.readline()
            before = Cpu.of(pid, core)
            yield sampled
            sampled.cpu, sampled.own = Cpu.of(pid, core).since(before), used(process.pid)
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=_TO_END)
        finally:
            process.kill()
            process.wait()
        if raw.exists():
            sampled.stacks = read_raw(raw.read_text())
        if not sampled.stacks:
            raise NotSampledError((begun + output).strip())


def read_raw(text: str) -> Stacks:
    """The main thread's stacks, out of py-spy's: a line for each, its frames parted by `;`, then how often it was."""
    stacks: Stacks = Counter()
    for line in text.splitlines():
        frames, _, times = line.rpartition(" ")
        thread, *stack = frames.split(";")
        if _MAIN.fullmatch(thread):
            stacks[tuple(stack)] += int(times)
    return stacks


def _yield_to_all(pid: int) -> None:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):  # it has just ended
            os.sched_setscheduler(int(thread.name), os.SCHED_IDLE, os.sched_param(0))
