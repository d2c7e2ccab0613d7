"""Running ghz: one run or several at once, and its report read."""

import json
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from .results import Calls
from .scenarios import Config, seconds_of

ROOT = Path(__file__).parents[2]
GHZ = ROOT / "build" / "bin" / "ghz"
_TO_END = 30.0
"""Seconds for the last calls and the report, after a run's duration and one call's timeout."""

Outcomes = list[tuple[float, str]]
"""The latency in seconds and the code of each call."""


class GhzError(Exception):
    """ghz could not be run; the text is its output."""


def install() -> None:
    """Builds ghz when it is not there, at the version that tools/go pins. Raises GhzError."""
    if not GHZ.exists() and subprocess.run([ROOT / "tools" / "go" / "install"], check=False).returncode != 0:  # noqa: S603
        raise GhzError("tools/go/install could not build it")


def run(configs: Mapping[str, Config]) -> tuple[Calls, dict[str, Calls]]:
    """Runs ghz for each configuration, all at once. Returns the calls of all and of each. Raises GhzError.

    What it wrote does not stay: a configuration may hold a token.
    """
    with tempfile.TemporaryDirectory(prefix="loadtest-") as made, ExitStack() as stack:
        folder = Path(made)
        started = {name: stack.enter_context(_Process(folder / name, config)) for name, config in configs.items()}
        reports = {name: process.report() for name, process in started.items()}
    parts = {name: Calls.of(outcomes, seconds) for name, (outcomes, seconds) in reports.items()}
    everything = [outcome for outcomes, _ in reports.values() for outcome in outcomes]
    return Calls.of(everything, max(seconds for _, seconds in reports.values())), parts


class _Process:
    """A run of ghz, which is over when the block is left."""

    def __init__(self, folder: Path, config: Config) -> None:
        folder.mkdir()
        self._config, self._into = folder / "config.json", folder / "report.json"
        self._config.write_text(json.dumps(config | {"format": "json", "output": str(self._into)}))
        self._longest = seconds_of(config["duration"]) + seconds_of(config["timeout"]) + _TO_END

    def __enter__(self) -> Self:
        command = [str(GHZ), "--config", str(self._config)]
        self._process = subprocess.Popen(  # noqa: S603
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def report(self) -> tuple[Outcomes, float]:
        """Waits for its end. Returns each call's outcome and duration, and the duration of all."""
        try:
            _, errors = self._process.communicate(timeout=self._longest)
        except subprocess.TimeoutExpired:
            raise GhzError(f"had no end after {self._longest:.0f} s") from None
        if self._process.returncode != 0 or not self._into.exists():
            raise GhzError(errors.strip() or f"exit code {self._process.returncode}")
        report: dict[str, Any] = json.loads(self._into.read_bytes())
        calls = [(call["latency"] / 1e9, call["status"]) for call in report.get("details") or []]
        return calls, report["total"] / 1e9
