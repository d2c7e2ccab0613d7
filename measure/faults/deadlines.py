"""Whether answers arrive before their deadlines."""

from collections.abc import Sequence

from testkit.http2_connection import Ended

from .fault_case import Findings

LATE = 0.1
"""Seconds by which an answer may miss its deadline: the way there and back, and a busy machine."""


def within_deadline(findings: Findings, ended: Sequence[Ended], deadline: float) -> None:
    """Records how late the latest answer was."""
    late = max((each.seconds for each in ended), default=0.0) - deadline
    text = f"latest answer {late * 1000:.0f} ms after the deadline" if late > 0 else "all before the deadline"
    findings.record(text, late <= LATE)
