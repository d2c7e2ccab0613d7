"""The platforms that the README names are those that are resolved."""

from pathlib import Path

import pytest

from testkit.server_process import ROOT
from tools.platforms import PLATFORMS, lacking


def test_the_readme_names_the_platforms_that_are_resolved() -> None:
    """Linux on two processors with two C libraries, macOS on one."""
    readme = (ROOT / "README.md").read_text()
    assert "Linux (x86-64 and arm64, glibc and musl) and on macOS arm64" in readme
    linux = {f"Linux {machine}, {library}" for machine in ("x86-64", "arm64") for library in ("glibc", "musl")}
    assert set(PLATFORMS.values()) == {*linux, "macOS arm64"}


def test_a_package_without_a_wheel_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As is an index that does not answer: nothing passes unresolved."""
    lock = tmp_path / "lock.txt"
    lock.write_text("no-such-package-of-anybodys==1.0 --hash=sha256:" + "0" * 64)
    monkeypatch.setenv("UV_OFFLINE", "1")
    assert lacking("x86_64-manylinux_2_28", "3.11", lock)
