"""The list of alerts in docs/alerts.md."""

from pathlib import Path

from .source import Source

PAGE = Path("docs/alerts.md")
BEGIN, END = "<!-- From deploy/alerts/alerts.yaml by `make generate`. -->\n", "<!-- End of what is generated. -->\n"


def page(source: Source, before: str) -> str:
    """The page with its tables as they should be."""
    head, begin, rest = before.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE}: no place for the tables")
    return f"{head}{BEGIN}\n{_tables(source)}\n{END}{tail}"


def _tables(source: Source) -> str:
    lines = ["| objective | alert | of 100 | of |", "|---|---|---|---|"]
    lines += [f"| {each.name} | {_link(each.alert)} | {each.objective:g} | {each.what} |" for each in source.objectives]
    lines += ["", "| alert | | fires when | caused by |", "|---|---|---|---|"]
    lines += [
        f"| {_link(each.name)} | {each.severity} | `{_one_line(each.expr, source)}`{_for(each.hold)} | `{each.row}` |"
        for each in source.alerts
    ]
    return "\n".join(lines) + "\n"


def _link(alert: str) -> str:
    return f"[{alert}](runbook.md#{alert.lower()})"


def _for(hold: str) -> str:
    return f", for {hold}" if hold else ""


def _one_line(expr: str, source: Source) -> str:
    shown = " ".join(expr.split()).replace(source.job + ",", "").replace("{" + source.job + "}", "")
    return shown.replace("|", "\\|")
