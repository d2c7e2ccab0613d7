"""The fault suite itself: its rows are told apart and documented, and one that does not hold ends it with 1."""

import re
from pathlib import Path

import pytest

from faults import http2
from faults.__main__ import ROWS
from faults.row import Findings

PAGE = Path(__file__).parents[1] / "docs" / "faults.md"


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
