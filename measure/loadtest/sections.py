"""The report's sections: a finding as its heading, a line about it, and a plot or a table."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from html import escape

from . import findings
from .figures import duration
from .html_tables import comparison, judged
from .plots import course, latencies, sweep, vendor_calls
from .results import Run
from .scenarios import SCENARIOS, SWEPT
from .thresholds import Verdict

_WIDE, _PANEL, _NARROW = 880, 432, 350
"""Widths of the plots: each is drawn for a desk and for a telephone, so that its text is as large on both."""


def sections(run: Run, verdicts: Sequence[Verdict], baseline: Run | None) -> Iterator[str]:
    """All of them, in their order. Those that have nothing to show are left out."""
    yield _latencies(run, baseline)
    if run.sweep:
        yield _sweep(run, baseline)
    if any(measured.vendor_calls is not None for measured in run.scenarios.values()):
        yield _asked(run)
    yield from _courses(run)
    about = findings.comparable(run, baseline) if baseline else "There is no baseline: --save-baseline writes one."
    yield _section("This run beside the baseline" if baseline else "All figures", about, comparison(run, baseline))
    yield _section("Thresholds", "What must hold, from measure/loadtest/thresholds.toml.", judged(verdicts))


def _latencies(run: Run, baseline: Run | None) -> str:
    rows = [
        latencies.Waits(
            part.title,
            scenario.title.lower() if len(scenario.parts) > 1 else "",
            part.kind,
            calls,
            baseline.calls(scenario.name, part.name) if baseline else None,
        )
        for scenario in SCENARIOS
        for part in scenario.parts
        if (calls := run.calls(scenario.name, part.name)) is not None
    ]
    about = "Each column is the share of calls that took so long. The axis is logarithmic."
    return _section(
        findings.waiting(run), about, _both(lambda width: latencies.plot(rows, width)), baseline is not None
    )


def _sweep(run: Run, baseline: Run | None) -> str:
    parts = {part.name: part for scenario in SCENARIOS for part in scenario.parts}
    curves = [
        sweep.Curve(
            parts[name].title, parts[name].kind, run.sweep[name], baseline.sweep.get(name, ()) if baseline else ()
        )
        for name in SWEPT
        if run.sweep.get(name)
    ]
    limit = run.circumstances.vendor_latency
    panels = _figure("Calls a second", lambda width: sweep.throughput(curves, width, limit), _PANEL)
    panels += _figure("Latency, the median and up to 99 %", lambda width: sweep.latency(curves, width), _PANEL)
    about = "Each caller waits for an answer before it calls again."
    if limit:
        about += f" The thin line: {duration(limit)} a call, and nothing else."
    return _section(findings.throughput(run), about, f'<div class="panels">{panels}</div>', baseline is not None)


def _asked(run: Run) -> str:
    rows = [
        vendor_calls.Ratio(scenario.title, scenario.parts[0].kind, measured.served, measured.vendor_calls)
        for scenario in SCENARIOS
        if (measured := run.scenarios.get(scenario.name)) is not None
        and measured.served is not None
        and measured.vendor_calls is not None
    ]
    about = "Calls that the gateway served, and requests for results and cancels that it sent for them."
    return _section(findings.vendor_calls(run), about, _both(lambda width: vendor_calls.plot(rows, width)))


def _courses(run: Run) -> Iterator[str]:
    """For scenarios whose load changes."""
    for scenario in SCENARIOS:
        measured = run.scenarios.get(scenario.name)
        if measured is not None and len(scenario.parts) > 1 and measured.course:
            about = f"{scenario.title}: {scenario.stands_for}."
            plots = _figure("Calls a second", partial(course.plot, measured.course))
            yield _section(findings.course(measured), about, plots)


def _section(heading: str, about: str, inside: str, compared: bool = False) -> str:
    legend = ' <span class="legend">the baseline</span>' if compared else ""
    return f"<section><h2>{escape(heading)}</h2><p>{escape(about)}{legend}</p>{inside}</section>"


def _figure(caption: str, plot: Callable[[float], str], wide: float = _WIDE) -> str:
    return f"<figure><figcaption>{escape(caption)}</figcaption>{_both(plot, wide)}</figure>"


def _both(plot: Callable[[float], str], wide: float = _WIDE) -> str:
    return f'<div class="wide">{plot(wide)}</div><div class="narrow">{plot(_NARROW)}</div>'
