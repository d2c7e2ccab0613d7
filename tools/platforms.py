"""Resolves what running needs for each platform that the README names, from wheels alone: nothing is compiled there.

`python -m tools.platforms` prints a line for each. Without the package index nothing can be resolved: that is printed,
and is a failure in CI only. Exit code 1 when a platform lacks a wheel.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
UV = Path(sys.executable).with_name("uv")

PLATFORMS = {
    "x86_64-manylinux_2_28": "Linux x86-64, glibc",
    "aarch64-manylinux_2_28": "Linux arm64, glibc",
    "x86_64-unknown-linux-musl": "Linux x86-64, musl",
    "aarch64-unknown-linux-musl": "Linux arm64, musl",
    "aarch64-apple-darwin": "macOS arm64",
}
"""By uv's names of them."""

PYTHON = "3.11"
"""The oldest that is supported."""


def lacking(platform: str, python: str, lock: Path) -> str | None:
    """Returns None when each package of the lock has a wheel for that platform; else what uv says."""
    command = [
        str(UV),
        "pip",
        "compile",
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--python-platform",
        platform,
    ]
    command += ["--python-version", python, str(lock)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 (our own)
    return None if ended.returncode == 0 else ended.stderr.strip() or "uv failed"


def main() -> int:
    """Prints what each platform lacks; returns the exit code."""
    failed = False
    for platform, name in PLATFORMS.items():
        missing = lacking(platform, PYTHON, ROOT / "requirements/runtime.txt")
        if missing is not None and "no usable wheels" not in missing and os.environ.get("CI") != "true":
            sys.stdout.write("platforms: not checked, since the package index does not answer\n")
            return 0
        failed = failed or missing is not None
        sys.stdout.write(f"{name}: {'resolved' if missing is None else missing}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
