"""The table: in the terminal as rows are measured, and as Markdown for docs/faults.md."""

import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from .row import FaultCase, Findings


@dataclass(frozen=True, slots=True)
class Line:
    """A row that was measured. seconds: how long that took, all tries together."""

    row: FaultCase
    findings: Findings
    seconds: float


def print_line(line: Line) -> None:
    """Tells of a row as soon as it is measured, on stderr."""
    held = "held" if line.findings.held else "NOT HELD"
    print(f"{line.row.name} ({line.seconds:.0f} s): {held}: {line.findings}", file=sys.stderr, flush=True)


def print_table(lines: Sequence[Line], known: Collection[str]) -> None:
    """All rows, how many hold, and last, where the end of a long log shows it, which do not. known: names of those."""
    print("| | fault | promised | measured | held |\n|---|---|---|---|---|")
    for line in lines:
        row, held = line.row, "yes" if line.findings.held else "**no**"
        print(f"| {row.name} | {row.fault} | {row.promised} | {line.findings} | {held} |")
    missed = [line for line in lines if not line.findings.held]
    print(f"\n{len(lines) - len(missed)} of {len(lines)} rows held, in {sum(line.seconds for line in lines):.0f} s.")
    for line in missed:
        name = line.row.name
        print(f"{name} does not hold{', as is known' if name in known else ''}: {line.findings}")
