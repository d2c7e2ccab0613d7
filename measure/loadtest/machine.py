"""What a run was made on and of, without anything personal: no paths, no names of hosts or users."""

import os
import platform
import re
import subprocess
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]


def machine() -> tuple[str, ...]:
    """The machine in a few words each: processor, cores, memory, system, Python."""
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return (
        _processor(),
        f"{cores} core{'s' * (cores != 1)}",
        f"{memory:.0f} GB of memory",
        f"{platform.system()} {platform.release().partition('-')[0]}",
        f"Python {platform.python_version()}",
    )


def _processor() -> str:
    with suppress(OSError):
        match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        if match:
            return match[1]
    return platform.machine()


def commit() -> str | None:
    """The commit that is checked out, if this is a clone."""
    command = ["git", "--no-optional-locks", "rev-parse", "--short", "HEAD"]
    with suppress(OSError):
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
        return ended.stdout.strip() or None
    return None
