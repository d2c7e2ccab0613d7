"""The Makefile's own decisions: when .venv is made again, what is removed."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from testkit.server_process import ROOT, clean_environment


def _make(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    shutil.copy(ROOT / "Makefile", folder)
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=folder,
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )


@pytest.mark.parametrize(
    ("made_in", "stays"),
    [
        pytest.param("{here}\n", True, id="here"),
        pytest.param("", True, id="of-an-earlier-version"),
        pytest.param("/elsewhere/clone\n", False, id="moved"),
    ],
)
@pytest.mark.parametrize("stamp", [".installed", ".installed-run"])
def test_what_was_made_before_a_move_is_made_again(tmp_path: Path, stamp: str, made_in: str, stays: bool) -> None:
    """The commands in .venv begin with the path at which they were installed."""
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / stamp).write_text(made_in.format(here=tmp_path))
    _make(tmp_path, "help")
    assert (tmp_path / ".venv").exists() is stays


def test_running_needs_the_runtimes_lock_alone(tmp_path: Path) -> None:
    """What is set up is announced with its size, once; no tool of development is installed."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/runtime.txt").touch()
    planned = _make(tmp_path, "--dry-run", "run").stdout
    announced = r"Setting up \.venv to run the gateway, once: \d+ MB to fetch, \d+ MB on disk, about \d+ s\."
    assert re.search(announced, planned)
    assert "requirements/runtime.txt" in planned
    assert "requirements/dev.txt" not in planned


def test_what_python_compiles_is_kept_whatever_the_shell_says(tmp_path: Path) -> None:
    """The gateway is started by the hundred: to compile it takes as much CPU as the rest of a start."""
    printed = _make(tmp_path, "--eval=shown: ; @printenv PYTHONDONTWRITEBYTECODE", "shown", PYTHONDONTWRITEBYTECODE="1")
    assert printed.stdout == "\n"


def test_clean_removes_all_that_git_ignores(tmp_path: Path) -> None:
    """Each .gitignore names what some target makes; what is not in one stays."""
    listed = subprocess.run(["git", "ls-files", "*.gitignore"], cwd=ROOT, capture_output=True, text=True, check=True)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    for name in listed.stdout.split():
        folder = (tmp_path / name).parent
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder)
        for pattern in (ROOT / name).read_text().split():
            made = folder / pattern.strip("/").replace("*", "any")
            if pattern.endswith("/"):
                made /= "file"
            made.parent.mkdir(parents=True, exist_ok=True)
            made.touch()
    (tmp_path / "kept").touch()
    _make(tmp_path, "clean")
    left = subprocess.run(
        ["git", "status", "--short", "--ignored=matching"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert [line for line in left.stdout.splitlines() if line.startswith("!!")] == []
    assert (tmp_path / "kept").exists()
