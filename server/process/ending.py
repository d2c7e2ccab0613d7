"""The end of a process whose work is done, by force if need be."""

import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any

EXIT_TIMEOUT = 0.5
"""Seconds in which a process ends by itself.

The event loop waits for its threads as it closes. One that resolves a name, while no name server answers, takes 10 s
and more.
"""


async def exit_after(work: Coroutine[Any, Any, int], last: Callable[[], object] = lambda: None) -> int:
    """Returns the exit code that `work` returns, and ends the process with it EXIT_TIMEOUT later, if it still runs.

    last: called before that, in a thread.
    """
    code = await work

    def end() -> None:
        last()
        os._exit(code)

    ending = threading.Timer(EXIT_TIMEOUT, end)
    ending.daemon = True
    ending.start()
    return code
