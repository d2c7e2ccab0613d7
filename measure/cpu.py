"""The CPU that processes have used, by the kernel's figures."""

import os
from contextlib import suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
"""Ticks of the kernel's clock in a second."""


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of all that it started."""
    own = below = 0.0
    with suppress(OSError):  # one that has just ended
        own = seconds_in(Path(f"/proc/{pid}/stat"))
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            below += sum(cpu_seconds(int(child)) for child in (thread / "children").read_text().split())
    return own + below


def seconds_in(stat: Path) -> float:
    """User and system time of a process or a thread, by its `stat` in /proc. Raises OSError when there is none."""
    # After the name, which may hold anything: state is the first field, utime the 12th, stime the 13th.
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
