"""Becomes a command that runs on one core and may be sampled: `python -m measure.profiling.pinned CORE COMMAND …`."""

import ctypes
import os
import sys

_PR_SET_PTRACER = 0x59616D61


def _main() -> None:
    core, *command = sys.argv[1:]
    os.sched_setaffinity(0, {int(core)})
    # Where the kernel lets only ancestors trace (ptrace_scope 1), it lets our parent and what that starts, by this. It
    # outlasts the exec; where there is no such rule it fails and is not needed.
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, os.getppid(), 0, 0, 0)
    os.execvp(command[0], command)  # noqa: S606 (no shell is wanted)


if __name__ == "__main__":
    _main()
