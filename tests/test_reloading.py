"""Files that are replaced while the gateway runs: what is read again, when, and what a broken one changes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from server.files import BrokenFileError
from server.reloading import FileWatcher, Reloading, Watched
from testkit.certificate_authority import replace


class _Counts:
    def __init__(self) -> None:
        self.counted: list[tuple[str, bool]] = []

    def files_reloaded(self, settings: str, *, success: bool) -> None:
        self.counted.append((settings, success))


class _Site:
    """A file that is watched, and what came of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values: list[str] = []
        self.observer = _Counts()

    def load(self) -> str:
        text = self.path.read_text()
        if text == "defect":
            raise ZeroDivisionError
        if text == "broken":
            raise BrokenFileError("SETTING: is broken")
        return text

    @asynccontextmanager
    async def watched(self, interval: float = 0.02) -> AsyncIterator[FileWatcher]:
        files = Reloading([self.path], self.load)
        watched = Watched("SETTING", files, self.values.append)
        async with FileWatcher([watched], self.observer, interval) as watcher:
            yield watcher

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.observer.counted) < count:  # noqa: ASYNC110 (no event for it)
                await asyncio.sleep(0.01)


async def test_a_changed_file_is_read_again_and_counted(tmp_path: Path) -> None:
    """Once for each change; a file that stays as it is, is not."""
    site = _Site(tmp_path / "file")
    site.path.write_text("first")
    async with site.watched():
        replace(site.path, b"second")
        await site.until(1)
        replace(site.path, b"third")
        await site.until(2)
        await asyncio.sleep(0.1)
    assert site.values == ["second", "third"]
    assert site.observer.counted == [("SETTING", True)] * 2


async def test_a_broken_file_changes_nothing_and_is_counted_once(tmp_path: Path) -> None:
    """The next good one is read; one that is missing, or that meets a defect of ours, is a broken one."""
    site = _Site(tmp_path / "file")
    site.path.write_text("first")
    async with site.watched():
        for number, content in enumerate((b"broken", b"defect"), 1):
            replace(site.path, content)
            await site.until(number)
        site.path.unlink()
        await site.until(3)
        await asyncio.sleep(0.1)
        assert site.values == []
        replace(site.path, b"second")
        await site.until(4)
    assert site.values == ["second"]
    assert site.observer.counted == [("SETTING", False)] * 3 + [("SETTING", True)]


async def test_a_link_to_a_folder_that_is_swapped_is_a_change(tmp_path: Path) -> None:
    """As Kubernetes replaces the files of a mounted secret: all at once, by one link."""
    for name in ("first", "second"):
        (tmp_path / f"..{name}").mkdir()
        (tmp_path / f"..{name}" / "file").write_text(name)
    (tmp_path / "..data").symlink_to("..first")
    (tmp_path / "file").symlink_to("..data/file")
    site = _Site(tmp_path / "file")
    async with site.watched():
        (tmp_path / "..new").symlink_to("..second")
        (tmp_path / "..new").replace(tmp_path / "..data")
        await site.until(1)
    assert site.values == ["second"]


async def test_a_reload_reads_files_that_have_not_changed_too(tmp_path: Path) -> None:
    """At once, however long the interval is."""
    site = _Site(tmp_path / "file")
    site.path.write_text("first")
    async with site.watched(interval=3600) as watcher:
        for number in (1, 2):
            watcher.reload()
            await site.until(number)
    assert site.values == ["first"] * 2
