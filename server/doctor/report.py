"""The findings as lines for a person, or as JSON."""

import json
from collections.abc import AsyncIterator

from ..process.standard_streams import write_stdout
from .finding import Finding

_WIDTHS = 8, 16


async def report(findings: AsyncIterator[Finding], *, as_json: bool, only_failed: bool = False) -> int:
    """Writes each finding to standard output; returns the exit code: 1 when a check has failed.

    as_json: one document at the end, `{"ok": …, "findings": [{"check", "state", "text"}]}`; else a line for each as it
    comes, and a last one that counts them. only_failed: lines only for checks that have failed, and the last one.
    """
    found = []
    async for finding in findings:
        found.append(finding)
        if not as_json and (finding.state == "failed" or not only_failed):
            write_stdout(f"{_line(finding)}\n")
    failed = sum(finding.state == "failed" for finding in found)
    if as_json:
        listed = [{"check": each.check, "state": each.state, "text": each.text} for each in found]
        write_stdout(json.dumps({"ok": not failed, "findings": listed}, indent=2, ensure_ascii=False) + "\n")
    else:
        counts = [(sum(each.state == state for each in found), state) for state in ("ok", "failed", "skipped")]
        write_stdout(", ".join(f"{number} {state}" for number, state in counts) + "\n")
    return 1 if failed else 0


def _line(finding: Finding) -> str:
    state = "FAILED" if finding.state == "failed" else finding.state
    return f"{state:{_WIDTHS[0]}} {finding.check:{_WIDTHS[1]}} {finding.text}".rstrip()
