"""The pages' tables of quirks are what the code has, and a new quirk is complete or named by the check."""

from pathlib import Path

import pytest

from sandbox.seed_quirks import QUIRKS
from server.vendor_api.quirks import Quirk
from tools.quirk_tables import METRICS, RECORDED, SANDBOX, forgotten, pages

ROOT = Path(__file__).parents[2]
NUMBERS = [quirk.value for quirk in Quirk]
PAYLOADS = [path.name for path in (ROOT / RECORDED).glob("*.json")]
SEEDS = [row.id for row in QUIRKS]


def test_the_pages_have_the_codes_tables() -> None:
    """Each quirk with its sentence in docs/metrics.md, each id with its sentence in docs/sandbox.md."""
    metrics, sandbox = (ROOT / METRICS).read_text(), (ROOT / SANDBOX).read_text()
    assert pages(metrics, sandbox) == {METRICS: metrics, SANDBOX: sandbox}


def test_a_row_that_is_missing_changed_or_left_over_is_written_anew() -> None:
    """Whatever stands in the table, the code's rows take its place; all around it stays."""
    metrics, sandbox = (ROOT / METRICS).read_text(), (ROOT / SANDBOX).read_text()
    first = f"| Q01 | {Quirk.MISSPELT_STATUS_KEY.sentence} |\n"
    assert first in metrics
    for stale in (metrics.replace(first, ""), metrics.replace(first, "| Q01 | x |\n| Q99 | y |\n")):
        assert stale != metrics
        assert pages(stale, sandbox)[METRICS] == metrics
    numbers = f"`Q01` to `{list(Quirk)[-1].value}`"
    assert numbers in metrics
    assert pages(metrics.replace(numbers, "`Q01` to `Q02`"), sandbox)[METRICS] == metrics


def test_every_quirk_is_complete() -> None:
    """A payload and a call request of the sandbox for each."""
    assert forgotten(NUMBERS, PAYLOADS, SEEDS) == []


@pytest.mark.parametrize(
    ("payloads", "seeds", "what"),
    [
        pytest.param(["Q99-new.json"], [], "sandbox/seed_quirks.py", id="no call request"),
        pytest.param([], ["q99New0000000001"], f"{RECORDED}/Q99-*.json", id="no payload"),
    ],
)
def test_what_was_forgotten_of_a_quirk_is_named(payloads: list[str], seeds: list[str], what: str) -> None:
    """By its number and the place where it belongs."""
    (line,) = forgotten([*NUMBERS, "Q99"], [*PAYLOADS, *payloads], [*SEEDS, *seeds])
    assert line.startswith("Q99 ")
    assert what in line
