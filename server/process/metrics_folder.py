"""The folder in which the workers count. It is removed with the last process of its gateway, however that ends.

The supervisor locks it and passes the lock's descriptor on to its workers: the kernel releases the lock with the last
of them. A folder without a lock belongs to a gateway that is gone.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..settings import SettingsError

IN_MEMORY = "/dev/shm"  # noqa: S108 (a folder of its own is made there)
"""Its parent, if that can be written: a container may have no other."""
PREFIX = "call-request-gateway-metrics-"
"""Earlier versions had another prefix, and no lock: one of them may still be running."""


@contextmanager
def metrics_folder(parent: str | None = None) -> Iterator[tuple[str, int]]:
    """The supervisor's: yields a new folder and the descriptor of its lock. Removes those of gateways that are gone.

    parent: None: IN_MEMORY or, where that cannot be written, the folder for temporary files. Raises SettingsError.
    """
    try:
        if parent is None:
            parent = IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else tempfile.gettempdir()
        for left in Path(parent).glob(PREFIX + "*"):
            _remove_if_left(str(left))
        folder, lock = _made(parent)
    except OSError:
        line = f"GATEWAY_WORKERS: more than 1 need a folder to write to: {IN_MEMORY}, or the one that TMPDIR names"
        raise SettingsError([line]) from None
    try:
        yield folder, lock
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextmanager
def shared_folder(folder: str, lock: int) -> Iterator[None]:
    """A worker's: on leaving, releases the folder, and removes it if the supervisor and all other workers are gone."""
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
    """Returns the descriptor of a folder's lock. Raises OSError; FileNotFoundError if the folder was removed before."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, how)
        Path(folder).stat()
    except OSError:
        os.close(lock)
        raise
    return lock
