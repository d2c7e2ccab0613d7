"""The report: one HTML file that needs nothing else, neither a network nor a script."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from . import findings
from .results import Run
from .sections import sections
from .thresholds import Verdict

_STYLE = Path(__file__).parent / "report.css"


def write_report(path: Path, run: Run, verdicts: Sequence[Verdict], baseline: Run | None) -> None:
    """Writes the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(run, verdicts, baseline))


def page(run: Run, verdicts: Sequence[Verdict], baseline: Run | None) -> str:
    """The whole page. baseline: an earlier run to compare with."""
    heading = findings.verdict(verdicts)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>Load test: {escape(heading)}</title>\n<style>\n{_STYLE.read_text()}</style></head>\n<body><main>\n"
        + "\n".join([_header(run, verdicts, heading), *sections(run, verdicts, baseline), _footer(run)])
        + "\n</main></body></html>\n"
    )


def _header(run: Run, verdicts: Sequence[Verdict], heading: str) -> str:
    about = run.circumstances
    when = about.made_at.replace("T", " ").partition("+")[0]
    over = " · ".join(filter(None, ["call-request-gateway", about.version, about.commit, f"{when} UTC"]))
    state = "missed" if any(verdict.passed is False for verdict in verdicts) else "passed"
    facts = "".join(
        f"<div><dt>{escape(what)}</dt><dd>{escape(value)}<small>{escape(more)}</small></dd></div>"
        for what, value, more in findings.facts(run)
    )
    missed = "".join(f"<li>{escape(line)}</li>" for line in findings.misses(verdicts))
    missed = f'<ul class="misses">{missed}</ul>' if missed else ""
    return (
        f'<header><p class="over">{escape(over)}</p><h1 class="{state}">{escape(heading)}</h1>'
        f'<p class="lead">{escape(findings.calls(run))} {escape(findings.against(run))}</p>'
        f"{missed}"
        f'<dl class="facts">{facts}</dl></header>'
    )


def _footer(run: Run) -> str:
    about = run.circumstances
    length = "at full length" if about.length == 1 else f"at length {about.length:g}"
    shared = "ghz and the gateway shared:" if about.version else "ghz had, the gateway was elsewhere:"
    lines = [
        f"Measured {length}, on a machine that {shared} {', '.join(about.machine)}.",
        *run.left_out,
        "Made by python -m measure.loadtest; how to read it: docs/loadtest.md.",
    ]
    return "<footer>" + "".join(f"<p>{escape(line)}</p>" for line in lines) + "</footer>"
