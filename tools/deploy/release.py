"""Makes a release of the last commit in two clean clones, and compares them: python -m tools.deploy.release.

Then signs it with a key of its own, verifies it, and changes a byte of each file: each change must be found. BASE: the
image's base. Without root or Debian's packages the image is left out, and the line says so; in CI that is a failure.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tools.contract import ROOT
from tools.release import image, signing, verify

PASSWORD = "of-this-check"  # noqa: S105 (of a key that is thrown away)
CLONES: tuple[tuple[str, int, Mapping[str, str]], ...] = (
    ("here", 0o022, {"TZ": "UTC", "PYTHONHASHSEED": "1"}),
    ("elsewhere/with a blank", 0o077, {"TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "2", "LC_ALL": "C"}),
)
"""Where each clone is, and in what it differs: nothing of it may be seen in the files."""


def cloned(clone: Path, umask: int) -> None:
    """Makes a clean clone. The tools are those of this tree."""
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], umask=umask, check=True)
    (clone / ".git/info/exclude").write_text(".venv\n")  # .gitignore means a folder, and this is a link
    (clone / ".venv").symlink_to(ROOT / ".venv")
    (clone / "build").mkdir()
    (clone / "build/bin").symlink_to(ROOT / "build/bin")
    (clone / "build/containers").symlink_to(image.STORAGE)


def released(clone: Path, umask: int, environment: Mapping[str, str], base: str | None) -> Path:
    """Makes a release there; returns its folder."""
    command = [str(ROOT / ".venv/bin/python"), "-m", "tools.release", "--stubs", "python", "go"]
    command += ["--no-image"] if base is None else ["--base", base]
    subprocess.run(command, cwd=clone, env=os.environ | environment, umask=umask, check=True)
    return clone / "dist/release"


def changes_are_found(release: Path, key: Path) -> None:
    """A byte of any file, a file more or less, swapped signatures, another key are found. Raises AssertionError."""
    for name in [*verify.sums_of(release), *verify.ABOUT]:
        file = release / name
        kept = file.read_bytes()
        middle = len(kept) // 2
        file.write_bytes(kept[:middle] + bytes([kept[middle] ^ 1]) + kept[middle + 1 :])
        assert verify.problems(release, key) != [], f"a byte of {name} was changed, and nothing was found"
        file.write_bytes(kept)
    (release / "more").touch()
    assert verify.problems(release, key) == [
        "more: not in SHA256SUMS",
        "provenance.sigstore.json: is about other files",
    ]
    (release / "more").unlink()
    (release / "more").symlink_to("CHANGES.md")
    assert verify.problems(release, key) == ["more: neither a file nor a folder"]
    (release / "more").unlink()
    for name in ("CHANGES.md", *verify.ABOUT):
        (release / name).rename(release.parent / "away")
        assert f"{name}: missing" in verify.problems(release, key)
        (release.parent / "away").rename(release / name)
    bundles = [release / name for name in verify.ABOUT if name.endswith(".sigstore.json")]
    swapped = [bundle.read_bytes() for bundle in reversed(bundles)]
    for bundle, content in zip(bundles, swapped, strict=True):
        bundle.write_bytes(content)
    assert len(verify.problems(release, key)) == len(bundles)
    for bundle, content in zip(bundles, reversed(swapped), strict=True):
        bundle.write_bytes(content)
    with tempfile.TemporaryDirectory() as folder:
        signing.generate_key(Path(folder), PASSWORD)
        assert verify.problems(release, Path(folder) / "cosign.pub") != []
    assert verify.problems(release, key) == []


def documented_commands(release: Path, key: Path) -> None:
    """Runs what docs/releasing.md tells those who receive a release to run. Raises CalledProcessError."""
    page = (ROOT / "docs/releasing.md").read_text()
    environment = os.environ | {"PATH": f"{ROOT / 'build/bin'}:{os.environ['PATH']}", "KEY": str(key)}
    for mark in ("<!-- verify -->", "<!-- verify with openssl -->"):
        block = page.partition(mark)[2].partition("```sh\n")[2].partition("```")[0]
        assert "sha256sum" in block
        subprocess.run(["bash", "-eu", "-o", "pipefail", "-c", block], cwd=release, env=environment, check=True)


def main() -> int:
    """Prints a line for each thing that was seen; returns the exit code."""
    base: str | None = os.environ.get("BASE", image.LOCAL)
    try:
        image.require_buildah()
    except image.NoImageError as error:
        print(f"without the image: {error}")
        if os.environ.get("CI") == "true":
            return 1
        base = None
    with tempfile.TemporaryDirectory() as folder:
        for name, umask, _ in CLONES:  # before the builds, which take minutes: one commit, whatever happens meanwhile
            cloned(Path(folder) / name, umask)
        made = [released(Path(folder) / name, umask, environment, base) for name, umask, environment in CLONES]
        first, second = map(verify.sums_of, made)
        assert first == second, {
            name: (first.get(name), second.get(name)) for name, _ in first.items() ^ second.items()
        }
        print(f"two clean clones: the same {len(first)} files", flush=True)
        signing.generate_key(Path(folder), PASSWORD)
        key = Path(folder) / "cosign.pub"
        signing.sign(made[0] / verify.SUMS, key.with_suffix(".key"), PASSWORD)
        signing.attest(made[0] / f"{verify.PROVENANCE}.json", key.with_suffix(".key"), PASSWORD)
        assert verify.problems(made[0], key) == []
        documented_commands(made[0], key)
        print("signed and verified, by the documented commands, too", flush=True)
        changes_are_found(made[0], key)
        print("each changed byte is found", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
