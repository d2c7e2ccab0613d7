"""Standard input, output and error: any of them may be closed, broken, full, or read by nobody."""

import io
import os
import select
import sys
from contextlib import suppress

WRITE_TIMEOUT = 1.0
"""Seconds that a text for standard error waits for room in its pipe."""


def open_closed_streams() -> None:
    """Opens the null device in place of each that is closed. Else the next file or socket would get its number.

    Before any other is opened. It imports little, for it runs before everything else.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free: this one
    # Python leaves out what is closed at its start.
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 (descriptors, never closed)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def write_stderr(text: str) -> None:
    """Writes to standard error, unless that fails, or nobody reads it for WRITE_TIMEOUT."""
    left = text.encode("utf-8", "backslashreplace")
    ready = select.poll()
    ready.register(2, select.POLLOUT)
    with suppress(OSError):
        while left and ready.poll(WRITE_TIMEOUT * 1000):
            left = left[os.write(2, left[: select.PIPE_BUF]) :]


def show_any_character() -> None:
    """Has standard output take characters that its encoding does not have, as backslash and number."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def write_stdout(text: str) -> None:
    """Writes to standard output. Raises BrokenPipeError when nobody takes it: nobody reads, the disk is full."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        raise BrokenPipeError(error.errno, "standard output takes nothing") from None


def discard_unwritten() -> None:
    """Lets go of what a broken stream has not taken: Python would try again as it ends, and exit with code 120."""
    for descriptor, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
