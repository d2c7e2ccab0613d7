"""Files that are replaced while the gateway runs: read again when they change; broken ones change nothing."""

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

from .files import BrokenFileError
from .observability.logs import describe, get_log

CHECK_INTERVAL = 1.0
"""Seconds between two looks at the files."""

Loaded = TypeVar("Loaded")

_Stamp = tuple[tuple[int, int, int, int] | None, ...]


class Reloading(Generic[Loaded]):
    """What `load` makes of some files, and makes again whenever one of them has changed.

    Making it loads once and raises what `load` raises. Without a change `refresh` costs one stat for each file.
    """

    def __init__(self, paths: Sequence[Path], load: Callable[[], Loaded]) -> None:
        self._paths = paths
        self._load = load
        self._seen = _stamp(paths)
        self.value = load()

    def refresh(self, *, force: bool = False) -> bool:
        """Loads again if a file has changed, or by force; returns whether it did.

        Raises what `load` raises, once for each change. Then, and while a file is just being written, the value stays
        what it was.
        """
        now = _stamp(self._paths)
        if now == self._seen and not force:
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


@dataclass(frozen=True, slots=True)
class Watched(Generic[Loaded]):
    """Files of some settings, and what is called in the event loop with what was loaded from them again.

    loaded_event, broken_event: what the log says when they were read again, and when they are broken.
    """

    settings: str
    files: Reloading[Loaded]
    changed: Callable[[Loaded], None]
    loaded_event: str = "files read again"
    broken_event: str = "a changed file is broken, the old one stays"


class ReloadObserver(Protocol):
    """Counts readings of changed files, by their settings' names."""

    def files_reloaded(self, settings: str, *, success: bool) -> None: ...


class FileWatcher:
    """Looks at files every CHECK_INTERVAL, in a thread: `async with FileWatcher(…) as watcher`.

    A file that is broken (its `load` raises BrokenFileError) changes nothing, and is logged and counted.
    """

    def __init__(
        self, watched: Iterable[Watched[Any]], observer: ReloadObserver, interval: float = CHECK_INTERVAL
    ) -> None:
        self._watched = list(watched)
        self._observer = observer
        self._interval = interval
        self._reload = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._watching.cancel()
        with suppress(asyncio.CancelledError):
            await self._watching

    def reload(self) -> None:
        """Has all files read again now, changed or not."""
        self._reload.set()

    async def _watch(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._reload.wait()
            force = self._reload.is_set()
            self._reload.clear()
            await self.refresh(force=force)

    async def refresh(self, *, force: bool = False) -> None:
        """Reads the files that have changed, or by force all of them."""
        for each in self._watched:
            await self._refresh(each, force=force)

    async def _refresh(self, watched: Watched[Any], *, force: bool) -> None:
        try:
            if not await asyncio.to_thread(watched.files.refresh, force=force):  # a slow disk must not stop the calls
                return
            watched.changed(watched.files.value)
        except BrokenFileError as error:
            get_log().error(watched.broken_event, settings=watched.settings, error=str(error))
        except Exception as error:
            get_log().error("unexpected", **describe(error))
        else:
            get_log().info(watched.loaded_event, settings=watched.settings)
            self._observer.files_reloaded(watched.settings, success=True)
            return
        self._observer.files_reloaded(watched.settings, success=False)


def _stamp(paths: Sequence[Path]) -> _Stamp:
    """What changes when a file is written, replaced or linked to another; None for one that cannot be found."""
    return tuple(map(_stamp_of, paths))


def _stamp_of(path: Path) -> tuple[int, int, int, int] | None:
    try:
        stat = os.stat(path)  # noqa: PTH116 (half the time of Path.stat, at every handshake)
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino
