"""Archives whose bytes follow from their contents alone."""

import gzip
import tarfile
from pathlib import Path
from typing import BinaryIO


def write_tar(folder: Path, epoch: int, into: Path) -> None:
    """Writes what is in a folder as a .tar, or as a .tgz if `into` is named so.

    Files alone, in the order of their names, all with that time, owned by root, readable to all; executables stay so.
    """
    with into.open("wb") as file:
        if into.suffix != ".tgz":
            _write(folder, epoch, file)
            return
        with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=epoch) as compressed:
            _write(folder, epoch, compressed)


def _write(folder: Path, epoch: int, file: BinaryIO | gzip.GzipFile) -> None:
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = tarfile.TarInfo(str(path.relative_to(folder)))
            entry.size, entry.mtime = path.stat().st_size, epoch
            entry.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            with path.open("rb") as content:
                archive.addfile(entry, content)
