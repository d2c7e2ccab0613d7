"""Builds what teams take from the contract into dist/stubs: python -m tools.stubs [--out folder] [language…].

A package for each language (stubs/<language>/build), the descriptor set, an archive of the protos, and SHA256SUMS. A
language whose toolchain is missing is skipped and named; in CI that is a failure.
"""

import argparse
import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from tools.clients.toolchains import MissingToolchainError, commands_for
from tools.contract import ROOT, descriptor_set, version

EPOCH = 315532800
"""The time of every file in the archive, 1980-01-01: the same contents make the same archive."""


def languages() -> list[str]:
    """All that have a package of stubs."""
    return sorted(path.parent.name for path in (ROOT / "contract" / "stubs").glob("*/build") if path.is_file())


def build(language: str, out: Path) -> None:
    """Builds a language's package into that folder. Raises MissingToolchainError and CalledProcessError."""
    path = [*map(str, commands_for(language)), os.environ["PATH"]]
    environment = os.environ | {"OUT": str(out), "PATH": os.pathsep.join(path)}
    shutil.rmtree(out / language, ignore_errors=True)  # else an earlier version would be published again
    subprocess.run([ROOT / "contract" / "stubs" / language / "build"], env=environment, check=True)  # noqa: S603 (our own script)


def proto_archive() -> bytes:
    """The protos as a .tar.gz, for `protoc -I` or buf: the same bytes for the same protos and zlib."""
    sources = sorted((ROOT / "protos").rglob("*.proto"))
    files = {str(path.relative_to(ROOT / "protos")): path for path in sources} | {"LICENSE": ROOT / "LICENSE"}
    written = io.BytesIO()
    with (
        gzip.GzipFile(filename="", fileobj=written, mode="wb", mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, path in files.items():
            entry = tarfile.TarInfo(f"callrequest-{version()}/{name}")
            entry.size, entry.mtime, entry.mode = path.stat().st_size, EPOCH, 0o644
            archive.addfile(entry, io.BytesIO(path.read_bytes()))
    return written.getvalue()


def checksums(out: Path) -> str:
    """A line for each file, as `sha256sum --check` reads them."""
    files = sorted(path for path in out.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(out)}\n" for path in files)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.stubs", description="Builds what teams take of the contract."
    )
    parser.add_argument("languages", nargs="*", metavar="language", help=f"all without any: {', '.join(languages())}")
    parser.add_argument("--out", type=Path, default=ROOT / "dist/stubs", metavar="FOLDER", help="dist/stubs without")
    options = parser.parse_args()
    if unknown := set(options.languages) - set(languages()):
        parser.error(f"no such language: {', '.join(sorted(unknown))}")
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    for stale in out.glob("callrequest-*"):
        stale.unlink()
    (out / f"callrequest-{version()}.binpb").write_bytes(descriptor_set())
    (out / f"callrequest-{version()}-protos.tar.gz").write_bytes(proto_archive())
    skipped, failed = [], []
    for language in options.languages or languages():
        print(f"{language} …", flush=True)  # noqa: T201
        try:
            build(language, out)
        except MissingToolchainError as lacking:
            skipped.append(f"{language}: skipped, {lacking}")
        except subprocess.CalledProcessError as error:
            failed.append(f"{language}: failed, exit code {error.returncode}")
    (out / "SHA256SUMS").write_text(checksums(out))
    print("", checksums(out), *skipped, *failed, sep="\n")  # noqa: T201
    sys.exit(1 if failed or (skipped and os.environ.get("CI") == "true") else 0)


if __name__ == "__main__":
    main()
