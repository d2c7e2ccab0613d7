"""The table: in the terminal as rows are measured, and as Markdown for docs/faults.md."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from .row import Findings, Row


@dataclass(frozen=True, slots=True)
class Line:
    """A row that was measured. seconds: how long that took."""

    row: Row
    findings: Findings
    seconds: float


def print_line(line: Line) -> None:
    """Tells of a row as soon as it is measured, on stderr."""
    held = "held" if line.findings.held else "NOT HELD"
    print(f"{line.row.name} ({line.seconds:.0f} s): {held}: {line.findings}", file=sys.stderr, flush=True)


def print_table(lines: Sequence[Line]) -> None:
    """All rows, and how many hold."""
    print("| | fault | promised | measured | held |\n|---|---|---|---|---|")
    for line in lines:
        row, held = line.row, "yes" if line.findings.held else "**no**"
        print(f"| {row.name} | {row.fault} | {row.promised} | {line.findings} | {held} |")
    number = sum(line.findings.held for line in lines)
    print(f"\n{number} of {len(lines)} rows held, in {sum(line.seconds for line in lines):.0f} s.")
