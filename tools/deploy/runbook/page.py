"""Reads docs/runbook.md."""

import re
from typing import NamedTuple

from tools.contract import ROOT

RUNBOOK = ROOT / "docs" / "runbook.md"
PARTS = ("Meaning", "Impact", "Diagnosis", "Mitigation")

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Section(NamedTuple):
    """Of an alert; the first has no alert. parts: in order. commands: for a shell. queries: for Prometheus."""

    alert: str
    parts: list[str]
    commands: list[str]
    queries: list[str]


def sections() -> list[Section]:
    """All sections in order, the introduction first."""
    introduction, *rest = re.split(r"^## ", RUNBOOK.read_text(), flags=re.MULTILINE)
    return [_section("", introduction), *(_section(*text.split("\n", 1)) for text in rest)]


def adapted(command: str, metrics: str, sentinel: int) -> str:
    """A command of the page with this gateway's metrics address, and a sentinel's port, instead of the defaults."""
    return command.replace("127.0.0.1:9464", metrics).replace("-p 26379", f"-p {sentinel}")


def _section(alert: str, text: str) -> Section:
    blocks = _BLOCK.findall(text)
    commands = [line for kind, block in blocks if kind == "sh" for line in block.splitlines()]
    queries = [block.strip() for kind, block in blocks if kind == "promql"]
    return Section(alert, re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE), commands, queries)
