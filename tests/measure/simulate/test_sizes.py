"""From counts to cores, memory and replicas; the tables and the parts of docs/scale.md."""

from dataclasses import replace
from pathlib import Path

import pytest

from measure.simulate import constants
from measure.simulate.check import Compared
from measure.simulate.counts import CALLS, PUBLICATIONS, VENDOR_CALLS, Counts
from measure.simulate.page import CHECKED, PAGE, SIMULATED, replaced
from measure.simulate.reality import Reality
from measure.simulate.scenario import POLL, WATCH, Scenario
from measure.simulate.sizes import BUSY, size
from measure.simulate.table import check_table, number, sizes_table

KNOWN = replace(constants.read(), call=100.0, idle=0.0, publication=10.0, memory=100_000.0, watch_memory=25.0)
DAY = Scenario(POLL, 1_000, seconds=120.0, warm_up=0.0)


def counts(**times: float) -> Counts:
    """Two minutes; all in the first one."""
    counted = Counts(0, 120)
    for kind, number_ in times.items():
        counted.count(kind.replace("_", " "), 1, number_)
    return counted


def test_the_busiest_minute_decides_how_many_replicas_there_must_be() -> None:
    """600 000 calls of 100 µs in a minute are a core; a replica uses 60 % of its own, and one more may be away."""
    found = size(DAY, counts(calls=600_000), KNOWN)
    assert found.busiest == pytest.approx(1.0)
    assert found.cores == pytest.approx(0.5)
    assert BUSY == 0.6
    assert found.replicas == 3


def test_what_others_publish_takes_its_share_of_each_replica() -> None:
    """30 000 a second of 10 µs each: half of what a replica may use is gone; 60 000: there is no number."""
    few, many = (size(DAY, counts(calls=600_000, publications=each * 60), KNOWN) for each in (30_000, 60_000))
    assert few.replicas == 5
    assert many.replicas is None


def test_watches_take_memory_and_places() -> None:
    """30 000 watches: three processes with GATEWAY_MAX_WATCHES as it is, and one to spare."""
    found = size(Scenario(WATCH, 15_000, seconds=120.0, warm_up=0.0), counts(), KNOWN)
    assert found.replicas == 4
    assert found.memory >= 30_000 * 25 / 1e6


def test_a_day_is_what_is_simulated_times_as_often() -> None:
    """1 000 calls to the vendor in two minutes: 720 000 a day."""
    counted = Counts(0, 120)
    counted.count(VENDOR_CALLS, 1, 1_000)
    counted.count(CALLS, 130)  # after the end
    counted.count(PUBLICATIONS, -1)  # before the begin
    found = size(DAY, counted, KNOWN)
    assert found.vendor_calls == pytest.approx(720_000)
    assert found.most_vendor_calls == pytest.approx(1_000 / 60)
    assert found.busiest == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(1_234_567.0, "1 230 000", id="millions"),
        pytest.param(999.6, "1 000", id="rounded up"),
        pytest.param(12.34, "12.3", id="tens"),
        pytest.param(0.01234, "0.0123", id="small"),
        pytest.param(0.0, "0", id="none"),
    ],
)
def test_a_number_has_three_digits(value: float, text: str) -> None:
    """A simulation knows no more."""
    assert number(value) == text


def test_a_table_has_a_line_for_each_size() -> None:
    """Each with as many cells as the head."""
    lines = sizes_table([size(DAY, counts(calls=1), KNOWN), size(DAY, counts(publications=1e9), KNOWN)]).splitlines()
    assert len(lines) == 4
    assert len({line.count("|") for line in lines}) == 1
    assert lines[3].endswith("| — |")


@pytest.mark.parametrize(
    ("counted", "held"),
    [
        pytest.param(Reality(100, 200, 0), True, id="the same"),
        pytest.param(Reality(88, 230, 0), True, id="within 15 %"),
        pytest.param(Reality(86, 200, 0), False, id="more vendor calls simulated"),
        pytest.param(Reality(100, 240, 0), False, id="fewer operations simulated"),
        pytest.param(Reality(0, 0, 0), False, id="nothing counted"),
    ],
)
def test_the_check_holds_within_15_per_cent(counted: Reality, held: bool) -> None:
    """Of both figures, in both directions."""
    compared = Compared(WATCH, Reality(100, 200, 0), counted)
    assert compared.held is held
    assert ("NOT all" in check_table([compared])) is not held


@pytest.mark.parametrize("part", [SIMULATED, CHECKED])
def test_the_page_has_its_parts(part: str) -> None:
    """They are written where they stood before; a page without them is not touched."""
    page = PAGE.read_text()
    again = replaced(page, part, "new text")
    assert "new text" in again
    assert replaced(again, part, "other text").count("other text") == 1
    with pytest.raises(ValueError, match="are needed"):
        replaced("no markers", part, "new text")


def test_constants_are_kept(tmp_path: Path) -> None:
    """As they were measured."""
    constants.write(KNOWN, tmp_path / "constants.json")
    assert constants.read(tmp_path / "constants.json") == KNOWN
