"""tools/go/install: which Go builds the tools, and when."""

import shutil
import subprocess
from pathlib import Path

import pytest

from testkit.server_process import ROOT
from tests.lacking import need_execution_in


def _command(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with one module of tools, whose .venv has a Go to offer. Each Go writes its name when it builds."""
    need_execution_in(tmp_path)
    (tmp_path / "tools/go").mkdir(parents=True)
    shutil.copy(ROOT / "tools/go/install", tmp_path / "tools/go")
    (tmp_path / "tools/go/go.mod").write_text("module tools\n\ngo 1.26.0\n")
    (tmp_path / "tools/go/go.sum").touch()
    _command(tmp_path / ".venv/bin/python", f"echo '{tmp_path}/wheel'")
    _command(tmp_path / "wheel/go", f"echo wheel >>'{tmp_path}/built'")
    return tmp_path


def _built(clone: Path, machine: Path) -> list[str]:
    path = f"{machine}:/usr/bin:/bin"
    subprocess.run([clone / "tools/go/install"], env={"PATH": path}, check=True, timeout=50)
    return (clone / "built").read_text().split()


@pytest.mark.parametrize(
    ("version", "by"),
    [
        pytest.param("go1.26.0", "machine", id="as-needed"),
        pytest.param("go1.27rc1", "machine", id="newer"),
        pytest.param("go1.19.8", "wheel", id="of-an-old-Debian"),
        pytest.param("devel +abc", "wheel", id="not-a-release"),
        pytest.param("", "wheel", id="broken-or-none"),
    ],
)
def test_a_go_that_is_too_old_is_not_taken(clone: Path, version: str, by: str) -> None:
    """An old one would fail at go.mod, or at the first option that it does not know."""
    _command(clone / "machine/go", f"[ $1 = env ] && echo '{version}' || echo machine >>'{clone}/built'")
    assert _built(clone, clone / "machine") == [by]
    assert _built(clone, clone / "machine") == [by], "built once"
