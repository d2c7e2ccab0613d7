"""Holds the contract against its last release: python -m tools.contract [--release].

A release is a descriptor set in contract/released, comments included. The exit code is 1 when today's protos would
break a caller of the last one, or differ from it by more than contract/VERSION allows. With --release it writes today's
protos there as that version. docs/contract.md has the rules.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TypeAlias

from google.protobuf.descriptor_pb2 import FileDescriptorSet

ROOT = Path(__file__).resolve().parents[1]
BUF = Path(sys.executable).parent / "buf"
VIOLATIONS = 100
"""Buf's exit code for rules that are broken; any other than 0 is a failure of its own."""

Version: TypeAlias = tuple[int, int, int]


def version(root: Path = ROOT) -> str:
    """The version of the contract, and of all packages made from it."""
    return (root / "contract/VERSION").read_text().strip()


def descriptor_set(root: Path = ROOT) -> bytes:
    """Today's protos with their imports and comments: the same bytes for the same protos. Raises when buf fails."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "contract.binpb"
        _buf(root, "build", "--as-file-descriptor-set", "-o", str(made)).check_returncode()
        return made.read_bytes()


def releases(root: Path = ROOT) -> list[Path]:
    """The descriptor sets of all releases, the last one last."""
    return sorted((root / "contract/released").glob("callrequest-*.binpb"), key=lambda path: _parse(_version_of(path)))


def problems(root: Path = ROOT) -> list[str]:
    """What forbids today's protos: a sentence for each rule that they break, buf's own lines included."""
    last = releases(root)[-1]
    breaking = _buf(root, "breaking", "--against", str(last))
    if breaking.returncode != VIOLATIONS:
        breaking.check_returncode()
    return breaking.stdout.splitlines() + _problems_of_version(last, descriptor_set(root), version(root))


def _buf(root: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command: list[str | Path] = [BUF, *arguments]
    return subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 (our own buf)


def _problems_of_version(last: Path, today: bytes, called: str) -> list[str]:
    if not re.fullmatch(r"\d+\.\d+\.\d+", called):
        return [f"contract/VERSION is {called!r}: a version is three numbers, as 1.0.0 is."]
    released, now, before = _version_of(last), _parse(called), _parse(_version_of(last))
    if now < before:
        return [f"contract/VERSION is {called}, and {released} is released already."]
    if now[0] != 1:
        return [f"contract/VERSION is {called}: versions of callrequest.v1 begin with 1."]
    if _ours(today) == _ours(last.read_bytes()):
        return []
    if now == before:
        return [f"The contract is not what was released as {released}: make contract/VERSION greater."]
    if now[:2] == before[:2] and _ours(today, comments=False) != _ours(last.read_bytes(), comments=False):
        return [f"More than comments changed since {released}: contract/VERSION needs a greater second number."]
    return []


def _ours(image: bytes, *, comments: bool = True) -> dict[str, bytes]:
    """Our own files of a descriptor set: Google's may change with the version of buf."""
    ours = [file for file in FileDescriptorSet.FromString(image).file if file.package.startswith("callrequest.")]
    for file in ours:
        if not comments:
            file.ClearField("source_code_info")
    return {file.name: file.SerializeToString(deterministic=True) for file in ours}


def _version_of(release: Path) -> str:
    return release.stem.removeprefix("callrequest-")


def _parse(text: str) -> Version:
    major, minor, patch = map(int, text.split("."))
    return major, minor, patch


def release(root: Path = ROOT) -> Path:
    """Puts today's protos among the releases; exits when they may not be one."""
    if found := problems(root):
        raise SystemExit("\n".join(found))
    path = root / f"contract/released/callrequest-{version(root)}.binpb"
    path.write_bytes(descriptor_set(root))
    return path


def main() -> None:
    if "--release" in sys.argv[1:]:
        print(f"{release().relative_to(ROOT)} was written: commit it")  # noqa: T201
    elif found := problems():
        raise SystemExit("\n".join(found))


if __name__ == "__main__":
    main()
