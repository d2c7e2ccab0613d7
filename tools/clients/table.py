"""The table: which check held in which language, and why not."""

from collections.abc import Mapping, Sequence

from tools.clients.reports import CHECKS, MISSING, Finding, Verdict

WHOLE = "its check as a whole"
"""The row of `check`'s exit code: the build, the types, and the tests of the client's own."""


def render(columns: Mapping[str, Mapping[str, Finding]]) -> str:
    """The table in Markdown: checks as rows, languages as columns, the reasons below it."""
    reasons: list[str] = []
    rows = [["", *columns]] + [
        [check, *(_cell(language, column[check], reasons) for language, column in columns.items())]
        for check in (*CHECKS, WHOLE)
    ]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    rows.insert(1, ["-" * width for width in widths])
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    return "\n".join([*lines, *(["", *_numbered(reasons)] if reasons else [])])


def held(columns: Mapping[str, Mapping[str, Finding]], *, skipping: bool) -> bool:
    """Whether nothing failed, and unless skipping is allowed nothing was skipped."""
    worst = max((found.verdict for column in columns.values() for found in column.values()), default=Verdict.PASSED)
    return worst <= (Verdict.SKIPPED if skipping else Verdict.PASSED)


def _cell(language: str, found: Finding, reasons: list[str]) -> str:
    if found.verdict == Verdict.PASSED:
        return "✓"
    if found == MISSING:
        return "✗ missing"
    reason = f"{language}: {found.why}"
    if reason not in reasons:
        reasons.append(reason)
    return f"{'✗' if found.verdict == Verdict.FAILED else 'skipped'} [{reasons.index(reason) + 1}]"


def _numbered(reasons: Sequence[str]) -> list[str]:
    return [f"[{number}] {reason}" for number, reason in enumerate(reasons, 1)]
