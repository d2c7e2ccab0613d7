"""Files that are replaced while the gateway runs: read anew when they change, and kept as they were when they break."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

Loaded = TypeVar("Loaded")

_Stamp = tuple[tuple[int, int, int, int] | None, ...]


class Reloading(Generic[Loaded]):
    """What `load` makes of some files, and makes again whenever one of them has changed.

    Making it loads once and raises what `load` raises. Cheap to ask: without a change it costs one stat for each file.
    """

    def __init__(self, paths: Sequence[Path], load: Callable[[], Loaded]) -> None:
        self._paths = paths
        self._load = load
        self._seen = _stamp(paths)
        self.value = load()

    def refresh(self) -> bool:
        """Loads again if a file has changed; whether it did. Raises what `load` raises, once for each change.

        Then, and while a file is just being written, the value stays what it was.
        """
        now = _stamp(self._paths)
        if now == self._seen:
            return False
        try:
            value = self._load()
        except Exception:
            if _stamp(self._paths) != now:
                return False
            self._seen = now
            raise
        if _stamp(self._paths) != now:  # it may hold parts of the old and the new: the next look loads it again
            return False
        self._seen, self.value = now, value
        return True


def _stamp(paths: Sequence[Path]) -> _Stamp:
    """What differs once a file was written, moved into its place, or linked to another; None: it cannot be seen."""
    return tuple(map(_stamp_of, paths))


def _stamp_of(path: Path) -> tuple[int, int, int, int] | None:
    try:
        stat = os.stat(path)  # noqa: PTH116 (half the time of Path.stat, at every handshake)
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino
