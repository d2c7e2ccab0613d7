"""The tables in the terminal: what was measured, and what became of the thresholds."""

from collections.abc import Iterable, Sequence

from .figures import duration, number
from .results import Run
from .scenarios import SCENARIOS
from .thresholds import MEASURES, Verdict

_WORDS = {True: "passed", False: "MISSED", None: "not measured"}


def figures_table(run: Run) -> str:
    """A line for each scenario, and one for each part of it."""
    rows = [("", "calls", "calls/s", "median", "p99", "errors", "vendor calls/call", "CPU/call")]
    for scenario in SCENARIOS:
        measured = run.scenarios.get(scenario.name)
        if measured is None:
            continue
        all_of_it = (number(measured.vendor_calls_per_call), duration(measured.cpu_per_call))
        for name, calls in [(scenario.name, measured.total), *measured.parts.items()]:
            rows.append(
                (
                    name if name == scenario.name else f"  {name}",
                    number(calls.calls),
                    number(calls.per_second),
                    duration(calls.median),
                    duration(calls.p99),
                    _errors(calls.errors),
                    *(all_of_it if name == scenario.name else ("", "")),
                )
            )
    return _aligned(rows)


def thresholds_table(verdicts: Sequence[Verdict]) -> str:
    """A line for each threshold, and how many were missed."""
    rows = [("threshold", "", "measured", "allowed", "")]
    for verdict in verdicts:
        threshold = verdict.threshold
        title = MEASURES[threshold.measure].title
        rows.append((threshold.scenario, title, verdict.measured_text, threshold.bound, _WORDS[verdict.passed]))
    missed = sum(verdict.passed is False for verdict in verdicts)
    return f"{_aligned(rows)}\n\n{missed} of {len(verdicts)} thresholds missed"


def _errors(errors: dict[str, int]) -> str:
    return ", ".join(f"{times} {code}" for code, times in errors.items()) or "0"


def _aligned(rows: Iterable[Sequence[str]]) -> str:
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
