"""The budget of each step, at the speed of this machine."""

import tomllib
from pathlib import Path

FILE = Path(__file__).with_name("budget.toml")

Steps = dict[str, float]
"""Microseconds a call, by step."""


def read_budget(kind: str, floor: float) -> Steps:
    """The budget of a kind of call. floor: the microseconds that it takes here; all others are scaled by it."""
    document = tomllib.loads(FILE.read_text())
    return {step: microseconds * floor / document["floor"] for step, microseconds in document[kind].items()}
