"""The report of a run: progress, the table with all figures, and the cases that do not hold."""

import os
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from .fault_case import FaultCase, Findings


@dataclass(frozen=True, slots=True)
class Measured:
    """A case that was measured. seconds: of all its tries together."""

    case: FaultCase
    findings: Findings
    seconds: float


def print_progress(measured: Measured) -> None:
    """Prints one line for a case on stderr as soon as it is measured; with its figures when it does not hold."""
    result = "holds" if measured.findings.held else f"DOES NOT HOLD: {measured.findings}"
    if lacking := measured.case.lacking():
        result = f"not measured here: {lacking}"
    print(f"{measured.case.name} ({measured.seconds:.0f} s): {result}", file=sys.stderr, flush=True)


def table(measured: Sequence[Measured]) -> str:
    """All cases with their figures, in Markdown."""
    lines = [
        f"| {each.case.name} | {each.case.fault} | {each.case.promise} | {each.findings} "
        f"| {'yes' if each.findings.held else '**no**'} |"
        for each in measured
    ]
    return "\n".join(["| | fault | promise | measured | held |", "|---|---|---|---|---|", *lines, ""])


def page(measured: Sequence[Measured], command: str, today: str) -> str:
    """The table below its date (as 2026-11-26), the command and the machine."""
    return f"# Faults, measured\n\n`{command}` on {today}, {os.cpu_count()} cores.\n\n{table(measured)}"


def summary(measured: Sequence[Measured], known: Collection[str]) -> str:
    """How many cases hold, and, last, each one that does not. known: names of those that are known not to."""
    failed = [each for each in measured if not each.findings.held]
    seconds = sum(each.seconds for each in measured)
    lines = [f"{len(measured) - len(failed)} of {len(measured)} cases hold, in {seconds:.0f} s."]
    for each in failed:
        name = each.case.name
        lines.append(f"{name} does not hold{', as is known' if name in known else ''}: {each.findings}")
    return "\n".join(lines)
