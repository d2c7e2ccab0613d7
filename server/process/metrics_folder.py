"""The folder in which the workers count. It goes with the last process of its gateway, however that ends.

The supervisor locks it, and gives the lock's descriptor to its workers: the kernel unlocks it with the last of them. So
a folder that nobody has locked is nobody's any more.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

IN_MEMORY = "/dev/shm"  # noqa: S108 (a folder of its own is made there)
"""Where it is, if that can be written: a container may have no other parent."""
PREFIX = "call-request-gateway-metrics-"
"""Not that of earlier versions, which locked theirs not: one of them may still be running."""


@contextmanager
def metrics_folder() -> Iterator[tuple[str, int]]:
    """The supervisor's: a new folder, and the descriptor of its lock. Removes what gateways that are gone have left."""
    parent = IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else tempfile.gettempdir()
    for left in Path(parent).glob(PREFIX + "*"):
        _remove_if_left(str(left))
    folder, lock = _made(parent)
    try:
        yield folder, lock
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextmanager
def shared_folder(folder: str, lock: int) -> Iterator[None]:
    """A worker's: lets go of the folder on leaving, and removes it if the supervisor and all other workers are gone."""
    try:
        yield
    finally:
        os.close(lock)
        _remove_if_left(folder)


def _made(parent: str) -> tuple[str, int]:
    while True:
        folder = tempfile.mkdtemp(prefix=PREFIX, dir=parent)
        with suppress(FileNotFoundError):  # another gateway that starts has removed it before it was locked
            return folder, _locked(folder, fcntl.LOCK_EX)


def _remove_if_left(folder: str) -> None:
    with suppress(OSError):  # it is locked, or another user's
        lock = _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked(folder: str, how: int) -> int:
    """The descriptor of a folder's lock. Raises OSError; FileNotFoundError if the folder was gone before it had it."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, how)
        Path(folder).stat()
    except OSError:
        os.close(lock)
        raise
    return lock
