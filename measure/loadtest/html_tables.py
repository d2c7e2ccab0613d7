"""The report's tables: all figures beside those of the baseline, and the thresholds."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from .figures import change, duration, number
from .results import Calls, Run
from .scenarios import SCENARIOS
from .thresholds import MEASURES, Verdict

_MATTERS = 0.1
"""A change by less than this part is written, and not coloured: runs on one machine differ by as much."""


@dataclass(frozen=True, slots=True)
class _Figures:
    """What a row shows: calls, and what is known of whole scenarios only; not of a part of one."""

    calls: Calls
    vendor_calls: float | None = None
    cpu: float | None = None
    is_part: bool = False

    @classmethod
    def of(cls, run: Run | None, scenario: str) -> "_Figures | None":
        measured = None if run is None else run.scenarios.get(scenario)
        return None if measured is None else cls(measured.total, measured.vendor_calls_per_call, measured.cpu_per_call)

    @classmethod
    def of_part(cls, run: Run | None, scenario: str, part: str) -> "_Figures | None":
        calls = None if run is None else run.calls(scenario, part)
        return None if calls is None else cls(calls, is_part=True)


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    of: Callable[[_Figures], float | None]
    written: Callable[[float | None], str]
    more_is_better: bool = False


_COLUMNS = (
    _Column("calls/s", lambda row: row.calls.per_second, number, more_is_better=True),
    _Column("median", lambda row: row.calls.median, duration),
    _Column("99 %", lambda row: row.calls.p99, duration),
    _Column("errors", lambda row: row.calls.failed, number),
    _Column("vendor calls a call", lambda row: row.vendor_calls, number),
    _Column("CPU a call", lambda row: row.cpu, duration),
)


def comparison(run: Run, baseline: Run | None) -> str:
    """A row for each scenario, and one for each part of it."""
    head = "".join(f"<th>{column.title}</th>" for column in _COLUMNS)
    rows = "".join(_rows(run, baseline))
    return f'<table class="figures"><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _rows(run: Run, baseline: Run | None) -> Iterator[str]:
    for scenario in SCENARIOS:
        if now := _Figures.of(run, scenario.name):
            yield _row(scenario.title, now, _Figures.of(baseline, scenario.name))
        for part in scenario.parts if len(scenario.parts) > 1 else ():
            if now := _Figures.of_part(run, scenario.name, part.name):
                yield _row(part.title, now, _Figures.of_part(baseline, scenario.name, part.name))


def _row(title: str, now: _Figures, before: _Figures | None) -> str:
    cells = "".join(f'<td data-of="{column.title}">{_cell(column, now, before)}</td>' for column in _COLUMNS)
    class_ = ' class="part"' if now.is_part else ""
    return f"<tr{class_}><th>{escape(title)}</th>{cells}</tr>"


def _cell(column: _Column, now: _Figures, before: _Figures | None) -> str:
    value, then = column.of(now), None if before is None else column.of(before)
    if now.is_part and value is None:
        return ""
    changed = change(value, then)
    if changed is None or value is None or then is None:
        return column.written(value)
    better = (value > then) == column.more_is_better
    state = "same" if abs(value / then - 1) < _MATTERS else "better" if better else "worse"
    return f'{column.written(value)} <small class="{state}" title="was {column.written(then)}">{changed}</small>'


def judged(verdicts: Sequence[Verdict]) -> str:
    """A row for each scenario, a column for each measure; in a cell what was measured, and what is allowed."""
    names = [name for name in MEASURES if any(verdict.threshold.measure == name for verdict in verdicts)]
    head = "".join(f"<th>{MEASURES[name].title}</th>" for name in names)
    rows = ""
    for scenario in SCENARIOS:
        its = [verdict for verdict in verdicts if verdict.threshold.scenario == scenario.name]
        by_measure = {name: [verdict for verdict in its if verdict.threshold.measure == name] for name in names}
        cells = "".join(f'<td data-of="{MEASURES[name].title}">{_judged(by_measure[name])}</td>' for name in names)
        rows += f"<tr><th>{escape(scenario.title)}</th>{cells}</tr>" if its else ""
    return f'<table class="figures"><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table>'


_STATES = {True: ("passed", "✓"), False: ("missed", "✗"), None: ("unknown", "?")}


def _judged(verdicts: list[Verdict]) -> str:
    """One measure of one scenario; more than one threshold may bound it."""
    bounds = "".join(
        f'<small class="{_STATES[verdict.passed][0]}">{verdict.threshold.bound} {_STATES[verdict.passed][1]}</small>'
        for verdict in verdicts
    )
    return f"{verdicts[0].measured_text} {bounds}" if verdicts else ""
