"""How the operating system shares a core between the event loop and gRPC's threads."""

import os
import threading
from contextlib import suppress
from pathlib import Path

_TASKS = Path("/proc/self/task")


def let_threads_yield(niceness: int) -> None:
    """Has gRPC's threads, which read and write its sockets, run when the event loop waits, not in its midst.

    Each call wakes such a thread, and with the same priority it takes the core from the loop at once, for a few
    microseconds, several times a call; the changes cost more than the work. It also has calls that were begun finished
    before new ones are taken in. niceness: 0: as it comes, up to 19. Threads of Python's own are left as they are. Only
    Linux has priorities for threads; elsewhere nothing happens.
    """
    if not niceness or not _TASKS.is_dir():
        return
    # grpc.aio waits for its core by a thread that it starts in Python.
    ours = {thread.native_id for thread in threading.enumerate() if "_poll_wrapper" not in thread.name}
    for task in _TASKS.iterdir():
        number = int(task.name)
        if number not in ours:
            with suppress(OSError):  # it has ended meanwhile, or may not be changed
                os.setpriority(os.PRIO_PROCESS, number, niceness)
