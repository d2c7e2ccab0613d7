"""CPU time, as the kernel counts it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from measure.cpu import TICKS, seconds_in


@dataclass(frozen=True, slots=True)
class Cpu:
    """Seconds of CPU time: of a process with all its threads, of its main thread, and of its core for anybody."""

    whole: float
    main: float
    core: float

    @classmethod
    def of(cls, pid: int, core: int) -> Self:
        """What it came to so far. Raises OSError when there is no such process."""
        return cls(used(pid), seconds_in(Path(f"/proc/{pid}/task/{pid}/stat")), _busy(core))

    def since(self, before: "Cpu") -> "Cpu":
        """What it came to since then."""
        return Cpu(self.whole - before.whole, self.main - before.main, self.core - before.core)


def used(pid: int) -> float:
    """Seconds of a process with all its threads. Raises OSError when there is no such process."""
    return seconds_in(Path(f"/proc/{pid}/stat"))


def _busy(core: int) -> float:
    """What a core was not idle."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, interrupts, soft, steal = map(int, fields[:8])
            return (user + nice + system + interrupts + soft + steal) / TICKS
    return 0.0
