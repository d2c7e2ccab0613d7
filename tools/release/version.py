"""Sets the version of the next release: python -m tools.release.version 0.2.0.

It stands once, in server/__init__.py; the changelog's `## Unreleased` becomes its section, with today's date, and the
chart's versions follow. With --check nothing is written: exit code 1 when one of them differs.
"""

import argparse
import re
import sys
from datetime import UTC, date, datetime
from pathlib import Path

from tools.contract import ROOT

_NUMBER = re.compile(r"\d+\.\d+\.\d+")
_MODULE, _CHANGELOG, _CHART = "server/__init__.py", "CHANGELOG.md", "deploy/chart/Chart.yaml"
_VERSIONS = re.compile(r'^(__version__ = |version: |appVersion: )"?(\d+\.\d+\.\d+)"?$', re.MULTILINE)


def versions_of(root: Path = ROOT) -> dict[str, str]:
    """The version by the place that states it: the module, the chart's fields, the changelog's last release."""
    found = {}
    for name in (_MODULE, _CHART):
        if (root / name).exists():
            for key, number in _VERSIONS.findall((root / name).read_text()):
                found[f"{name}, {key.split()[0].strip(':')}"] = number
    headings = re.findall(r"^## (\d\S*)", (root / _CHANGELOG).read_text(), re.MULTILINE)
    return found | ({_CHANGELOG: headings[0]} if headings else {})


def problems(root: Path = ROOT) -> list[str]:
    """Returns a line for each place that has another version than the module."""
    found = versions_of(root)
    number = next(each for name, each in found.items() if name.startswith(_MODULE))
    return [f"{name}: {each}, and {_MODULE} has {number}" for name, each in found.items() if each != number]


def set_version(number: str, today: date, root: Path = ROOT) -> None:
    """Writes it. Raises ValueError when it is no version, or the changelog has nothing for it."""
    if not _NUMBER.fullmatch(number):
        raise ValueError(f"{number!r}: a version is three numbers, as 0.2.0 is")
    changelog = (root / _CHANGELOG).read_text()
    if not re.search(r"^## Unreleased\n+(?!## )\S", changelog, re.MULTILINE):
        raise ValueError(f"{_CHANGELOG}: nothing is unreleased")
    released = f"## Unreleased\n\n## {number} – {today.isoformat()}\n"
    (root / _CHANGELOG).write_text(changelog.replace("## Unreleased\n", released, 1))
    for path in (root / _MODULE, root / _CHART):
        if path.exists():
            path.write_text(_VERSIONS.sub(lambda found: found[0].replace(found[2], number), path.read_text()))


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.release.version", description="Sets the version.")
    parser.add_argument("version", nargs="?")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.check:
        print(*problems(), sep="\n", end="")
        return 1 if problems() else 0
    try:
        set_version(options.version or "", datetime.now(UTC).date())
    except ValueError as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
