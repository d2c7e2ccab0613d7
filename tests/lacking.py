"""What a test needs and this machine lacks: it is skipped with the command that would install it; in CI it fails.

No test installs anything: that is done before, by a command whose output is seen.
"""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

from testkit.server_process import ROOT


def lacking(what: str) -> NoReturn:
    """Skips the test; in CI, where nothing may be skipped, fails it. what: what is missing, and the command."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what, allow_module_level=True)


def need_command(name: str) -> None:
    """Skips the test where that command, of Debian's package of the same name, is not installed."""
    if shutil.which(name) is None:
        lacking(f"no {name}: apt-get install {name}")


def need_go_tool(name: str) -> None:
    """Skips the test where tools/go/install did not run, which takes minutes: not in the midst of a test."""
    if not (ROOT / "build/bin" / name).exists():
        lacking(f"build/bin has no {name}: run tools/go/install")


def need_execution_in(folder: Path) -> None:
    """Skips the test where nothing in that folder may be executed, as in a /tmp that is mounted so."""
    if os.statvfs(folder).f_flag & os.ST_NOEXEC:
        lacking(f"{folder} is mounted noexec: TMPDIR=$HOME make test")


def need_clone() -> None:
    """Skips the test, or the module, in an archive of the source: only git knows which files are the project's."""
    if not (ROOT / ".git").exists():
        lacking("no clone of git, which lists the files: git clone")
