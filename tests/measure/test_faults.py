"""The fault suite itself: its rows are told apart and documented, and one that does not hold ends it with 1."""

import re
from pathlib import Path

import pytest

from measure.faults import __main__ as suite
from measure.faults.__main__ import MISSED, ONCE, ROWS, TRIES
from measure.faults.row import FaultCase, Findings, Form
from testkit import http2

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"


def test_every_row_has_its_line_on_the_page() -> None:
    """docs/faults.md shows the last measurement of each row and of no other."""
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert re.findall(r"^\| ([a-z0-9-]+) \| .* \| (?:yes|\*\*no\*\*) \|$", PAGE.read_text(), re.MULTILINE) == [
        *names,
        "soak",
    ]


@pytest.mark.parametrize(
    ("figures", "held"),
    [
        pytest.param([], False, id="nothing measured"),
        pytest.param([("a", True), ("b", True)], True, id="all as promised"),
        pytest.param([("a", True), ("b", False)], False, id="one that is not"),
    ],
)
def test_a_row_holds_when_every_figure_does(figures: list[tuple[str, bool]], held: bool) -> None:
    """A row that measured nothing does not hold either."""
    findings = Findings()
    for figure in figures:
        findings.saw(*figure)
    assert findings.held is held


@pytest.mark.parametrize(
    ("name", "holds_at", "tries", "ends_well"),
    [
        pytest.param("outage", 1, 1, True, id="holds"),
        pytest.param("outage", TRIES, TRIES, True, id="holds at last"),
        pytest.param("outage", None, TRIES, False, id="never holds"),
        pytest.param(min(ONCE), 2, 1, False, id="must hold at once"),
        pytest.param(min(MISSED), None, 1, True, id="is known not to hold"),
    ],
)
async def test_a_run_ends_with_1_when_a_row_does_not_hold(
    name: str, holds_at: int | None, tries: int, ends_well: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its last line names that row and what was measured, so that the end of a log is enough."""
    tried = 0

    async def measure(form: Form, findings: Findings) -> None:
        nonlocal tried
        tried += 1
        findings.saw("+9 MB", tried == holds_at)

    assert await suite.run([FaultCase(name, "", "", measure)], Form()) is ends_well
    assert tried == tries
    last = capsys.readouterr().out.splitlines()[-1]
    if tried == holds_at:
        assert last.startswith("1 of 1 rows held")
    else:
        assert re.fullmatch(f"{name} does not hold(, as is known)?: NOT \\+9 MB", last)


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
