"""The checks in a JUnit report, whatever framework wrote it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from xml.etree import ElementTree as ET

CHECKS = (
    "reads_a_typed_outcome",
    "shows_unrecognized_values",
    "cancels_once_and_again",
    "tells_rejections_apart",
    "decodes_error_details",
    "decides_for_every_reason",
    "keeps_its_deadline",
    "sends_its_identity",
    "retries_reads_by_service_config",
    "sends_a_cancel_once",
    "watches_health",
    "meets_the_unknown",
    "follows_to_the_end",
    "follows_through_reconnects",
    "follows_through_silence",
    "follows_a_flawed_gateway",
    "reads_many_at_once",
)


class Verdict(IntEnum):
    """The worse, the greater."""

    PASSED = 0
    SKIPPED = 1
    FAILED = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of a check. why: a line, unless it passed."""

    verdict: Verdict
    why: str = ""


MISSING = Finding(Verdict.FAILED, "missing")


def read_report(path: Path) -> dict[str, Finding]:
    """A finding for each check: the worst of its cases, MISSING without any or without a report."""
    cases = list(_cases(path))
    return {
        check: max((found for name, found in cases if name == check), key=lambda found: found.verdict, default=MISSING)
        for check in CHECKS
    }


def check_of(case: str) -> str:
    """The name of the check that a test case of that name belongs to, as the package describes."""
    own = re.sub(r"[\[(/].*", "", case.rpartition(" > ")[2]).rpartition(".")[2]
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\s-]", "_", own.strip())
    return words.lower().removeprefix("test_")


def _cases(path: Path) -> Iterator[tuple[str, Finding]]:
    try:
        root = ET.parse(path).getroot()  # noqa: S314 (our own tests wrote it)
    except (FileNotFoundError, ET.ParseError):
        return
    for case in root.iter("testcase"):
        yield check_of(case.get("name", "")), _finding(case)


def _finding(case: ET.Element) -> Finding:
    for verdict, tags in ((Verdict.FAILED, ("failure", "error")), (Verdict.SKIPPED, ("skipped",))):
        for tag in tags:
            if (element := case.find(tag)) is not None:
                lines = f"{element.get('message') or ''}\n{element.text or ''}".strip().splitlines()
                return Finding(verdict, lines[0].strip() if lines else tag)
    return Finding(Verdict.PASSED)
