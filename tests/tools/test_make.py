"""The Makefile's own decisions: when .venv is made again, what is removed."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from testkit.server_process import ROOT, clean_environment
from tests.lacking import need_clone


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


_FOLDERS = [
    pytest.param("clone", id="plain"),
    pytest.param("a  clone (1) 'of' $HOME & é%", id="with-spaces-and-signs"),
]


def _clone(folder: Path, stamp: str, made_in: str) -> Path:
    """A clone there, with a .venv that was made in some folder."""
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/python").symlink_to("/bin/true")
    (folder / ".venv/of-before").touch()
    (folder / ".venv" / stamp).write_text(made_in.format(here=folder))
    (folder / "requirements").mkdir()
    for name in ("requirements/runtime.txt", "requirements/dev.txt", "pyproject.toml"):
        (folder / name).touch()
        os.utime(folder / name, (0, 0))  # older than what was made of them
    # In place of a Python, which would take seconds. It need not be executable, as nothing is in some folders.
    (folder / "python.sh").write_text(
        '[ "$2" != venv ] || { mkdir -p .venv/bin && ln -s /bin/true .venv/bin/python; }\n'
    )
    return folder


@pytest.mark.parametrize("name", _FOLDERS)
@pytest.mark.parametrize(
    ("made_in", "stays"),
    [
        pytest.param("{here}\n", True, id="here"),
        pytest.param("", True, id="of-an-earlier-version"),
        pytest.param("/elsewhere/clone\n", False, id="moved"),
        pytest.param("{here} before\n", False, id="moved-to-a-shorter-name"),
        pytest.param("{here}\n{here}\n", False, id="of-two-lines"),
    ],
)
@pytest.mark.parametrize(
    ("stamp", "target"), [(".installed", "setup"), (".installed-run", ".venv/.installed-run")], ids=["all", "runtime"]
)
def test_what_was_made_before_a_move_is_made_again(
    tmp_path: Path, name: str, stamp: str, target: str, made_in: str, stays: bool
) -> None:
    """The commands in .venv begin with the path at which they were installed; the path may hold any sign."""
    clone = _clone(tmp_path / name, stamp, made_in)
    if stamp == ".installed":
        (clone / ".venv/.installed-run").write_text(made_in.format(here=clone))
    _make(clone, target, "PYTHON=sh python.sh")
    assert (clone / ".venv/of-before").exists() is stays
    if not stays:
        assert (clone / ".venv" / stamp).read_text() == f"{clone}\n"
        assert "Setting up" not in _make(clone, target, "PYTHON=sh python.sh").stdout


def test_what_a_removed_python_left_is_made_again(tmp_path: Path) -> None:
    """A virtual environment has links to its Python, which an upgrade of the system may take away."""
    clone = _clone(tmp_path / "clone", ".installed-run", "{here}\n")
    (clone / ".venv/bin/python").unlink()
    (clone / ".venv/bin/python").symlink_to("/usr/bin/python3.0")
    _make(clone, ".venv/.installed-run", "PYTHON=sh python.sh")
    assert not (clone / ".venv/of-before").exists()


@pytest.mark.parametrize("arguments", [["help"], ["--dry-run", "run"]], ids=["help", "dry-run"])
def test_nothing_is_removed_by_looking(tmp_path: Path, arguments: list[str]) -> None:
    """After a move .venv stays until a target makes it again; a dry run prints that it would be."""
    clone = _clone(tmp_path / "clone", ".installed-run", "/elsewhere/clone\n")
    printed = _make(clone, *arguments).stdout
    assert (clone / ".venv/of-before").exists()
    assert ("Setting up" in printed) is ("--dry-run" in arguments)


def test_pip_installs_into_the_clone_whatever_it_is_set_to(tmp_path: Path) -> None:
    """A pip that installs for the user unless told otherwise would refuse: no such folder is visible in .venv."""
    (tmp_path / "more.mk").write_text("show:\n\t@echo user=$$PIP_USER\n")
    assert _make(tmp_path, "--file=Makefile", "--file=more.mk", "show", PIP_USER="1").stdout == "user=0\n"


def test_an_archive_of_the_source_is_checked_without_git(tmp_path: Path) -> None:
    """Only the comparison with main is left out, and that is printed."""
    archive = _clone(tmp_path / "archive", ".installed", "")
    planned = _make(archive, "--dry-run", "check").stdout
    assert "buf breaking: skipped, this is no clone of git" in planned
    assert "--against" not in planned
    subprocess.run(["git", "init", "--quiet"], cwd=archive, check=True)
    assert "buf breaking --against '.git#ref=HEAD'" in _make(archive, "--dry-run", "check").stdout


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
    need_clone()
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
