"""The fault suite itself: its promises are documented, and a case that does not hold ends it with 1."""

import asyncio
import re
from pathlib import Path

import pytest

from measure.faults.fault_case import FaultCase, Findings, Form
from measure.faults.report import Measured, page, summary
from measure.faults.soak import soak_case
from measure.faults.suite import CASES, KNOWN_FAILURES, MAX_TRIES, MEASURED_ONCE, run, succeeded
from testkit import http2

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"


def test_docs_faults_lists_each_promise_once() -> None:
    """docs/faults.md has the line of each case and no other, in any order: `python -m measure.faults --promises`."""
    lines = [case.line for case in (*CASES, soak_case(600))]
    assert len({case.name for case in CASES}) == len(CASES)
    assert sorted(re.findall(r"^\| [a-z0-9-]+ \| .*$", PAGE.read_text(), re.MULTILINE)) == sorted(lines)


def test_what_is_known_not_to_hold_is_explained() -> None:
    """docs/faults.md has the cause of each of KNOWN_FAILURES, and each is a case."""
    assert {case.name for case in CASES} >= KNOWN_FAILURES
    assert set(re.findall(r"^- \*\*([a-z0-9-]+)\*\*: ", PAGE.read_text(), re.MULTILINE)) == KNOWN_FAILURES


@pytest.mark.parametrize(
    ("figures", "held"),
    [
        pytest.param([], False, id="nothing measured"),
        pytest.param([("a", True), ("b", True)], True, id="all as promised"),
        pytest.param([("a", True), ("b", False)], False, id="one that is not"),
    ],
)
def test_a_case_holds_when_every_figure_does(figures: list[tuple[str, bool]], held: bool) -> None:
    """A case that measured nothing does not hold."""
    findings = Findings()
    for figure in figures:
        findings.record(*figure)
    assert findings.held is held


@pytest.mark.parametrize(
    ("name", "holds_at", "tries", "succeeds"),
    [
        pytest.param("outage", 1, 1, True, id="holds"),
        pytest.param("outage", MAX_TRIES, MAX_TRIES, True, id="holds-at-last"),
        pytest.param("outage", None, MAX_TRIES, False, id="never-holds"),
        pytest.param(min(MEASURED_ONCE), 2, 1, False, id="must-hold-at-once"),
        *(pytest.param(name, None, 1, True, id=f"{name}-is-known-to-fail") for name in sorted(KNOWN_FAILURES)),
    ],
)
async def test_a_run_fails_when_a_case_does_not_hold(
    name: str, holds_at: int | None, tries: int, succeeds: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last line of the summary has the case and its figures, so that the end of a log is enough."""
    tried = 0

    async def measure(form: Form, findings: Findings) -> None:
        nonlocal tried
        tried += 1
        findings.record("+9 MB", tried == holds_at)

    measured = await run([FaultCase(name, "", "", measure)], Form())
    assert succeeded(measured) is succeeds
    assert tried == tries
    assert len(capsys.readouterr().err.splitlines()) == tries
    last = summary(measured, KNOWN_FAILURES).splitlines()[-1]
    if tried == holds_at:
        assert last.startswith("1 of 1 cases hold")
    else:
        assert re.fullmatch(f"{name} does not hold(, as is known)?: NOT \\+9 MB", last)


async def test_cases_at_once_are_reported_in_their_order_and_tried_again_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What does not hold beside others may hold by itself; then it holds."""
    under_way = most = 0

    async def measure(form: Form, findings: Findings) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.05)
        findings.record("alone", under_way == 1)
        under_way -= 1

    names = ["outage", "limping", "swallowed"]
    measured = await run([FaultCase(name, "", "", measure) for name in names], Form(), 3)
    assert most == 3
    assert [each.case.name for each in measured] == names
    assert succeeded(measured)


def test_the_report_has_the_figures_the_date_and_the_command() -> None:
    """build/faults.md is written by the run: measured figures stand nowhere else."""
    findings = Findings([("3 OK", True), ("+9 MB", False)])
    case = FaultCase("outage", "vendor down", "all succeed", soak_case(1).measure)
    text = page([Measured(case, findings, 1.0)], "python -m measure.faults", "2026-11-26")
    assert "`python -m measure.faults` on 2026-11-26" in text
    assert text.splitlines()[-1] == "| outage | vendor down | all succeed | 3 OK; NOT +9 MB | **no** |"


@pytest.mark.parametrize("length", [0, 1, 126, 127, 128, 254, 255, 300, 70_000])
def test_values_of_any_length_are_read_back_from_a_header_block(length: int) -> None:
    """Details of a status are longer than what fits into one byte of HPACK."""
    block = http2.call_headers("/a/b", 1.5, ("x-first", b"y" * length), ("grpc-status", b"14"))
    assert http2.value_of(block, b"x-first") == b"y" * length
    assert http2.value_of(block, b"grpc-status") == b"14"
    assert http2.value_of(block, b"x-other") is None


def test_frames_are_taken_whole_and_the_rest_is_kept() -> None:
    """Bytes come in pieces that know nothing of frames."""
    sent = http2.frame(http2.PING, 1, 0, b"12345678") + http2.frame(http2.DATA, 0, 5, b"")
    received = bytearray(sent[:-1])
    assert list(http2.frames(received)) == [(http2.PING, 1, 0, b"12345678")]
    received += sent[-1:]
    assert list(http2.frames(received)) == [(http2.DATA, 0, 5, b"")]
    assert not received
