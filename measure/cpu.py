"""The CPU that processes have used, by the kernel's figures."""

import os
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of all that it started."""
    ticks = 0
    with suppress(OSError):  # one that has just ended
        # After the name, which may hold anything: state is the first field, utime the 12th, stime the 13th.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
    below = 0.0
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            below += sum(cpu_seconds(int(child)) for child in (thread / "children").read_text().split())
    return ticks / _TICKS + below
