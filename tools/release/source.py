"""The commit that a release is made of."""

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from server import __version__
from tools.contract import ROOT, problems, releases, version
from tools.release.version import problems as version_problems


class NotReleasableError(Exception):
    """No release can be made of this commit; the text has what to do."""


class Source(NamedTuple):
    version: str
    """The gateway's, from server/__init__.py."""
    revision: str
    """The commit's id."""
    epoch: int
    """The commit's time, seconds since 1970: that of every file in the release."""
    tagged: bool
    """Whether the commit has the version's tag, `v0.1.0`. Without it a release is a rehearsal."""
    changes: str
    """The version's section of CHANGELOG.md; of one that is not released yet, what is there for it."""


def read_source() -> Source:
    """Describes the commit that is checked out. Raises NotReleasableError."""
    if changed := _git("status", "--porcelain"):
        raise NotReleasableError(f"a release is made of a commit, and these files are not committed:\n{changed}")
    if found := problems() + version_problems():
        raise NotReleasableError("\n".join(found))
    if releases()[-1].stem != f"callrequest-{version()}":
        raise NotReleasableError(f"contract {version()} is not released: python -m tools.contract --release")
    return Source(
        __version__,
        _git("rev-parse", "HEAD"),
        int(_git("log", "-1", "--format=%ct")),
        f"v{__version__}" in _git("tag", "--points-at", "HEAD").split(),
        changes_of(__version__, (ROOT / "CHANGELOG.md").read_text()),
    )


def changes_of(number: str, changelog: str) -> str:
    """The section of that version; as long as there is none, `## Unreleased`. Raises NotReleasableError."""
    for heading in (rf"{re.escape(number)}\b[^\n]*", "Unreleased"):
        if found := re.search(rf"^## {heading}\n+(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL):
            return found[1].rstrip() + "\n"
    raise NotReleasableError(f"CHANGELOG.md has no section for {number}")


def export(into: Path) -> None:
    """Writes the commit's files there: none that is not committed, and the same modes whatever the umask is."""
    command = ["git", "-c", "tar.umask=0022", "archive", "--format=tar", "HEAD"]
    written = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    subprocess.run(["tar", "--extract", "--preserve-permissions"], cwd=into, input=written, check=True)


def _git(*arguments: str) -> str:
    ended = subprocess.run(["git", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return ended.stdout.rstrip("\n")
