"""Thresholds: read strictly, and missed exactly beyond their limits."""

import dataclasses
import re
from pathlib import Path

import pytest

from measure.loadtest.results import Calls
from measure.loadtest.scenarios import SCENARIOS
from measure.loadtest.thresholds import FILE, MEASURES, Threshold, WrongThresholdsError, judge, read_thresholds
from tests.measure.loadtest.runs import GOOD, hot

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "loadtest.md"


@pytest.mark.parametrize(
    ("measure", "at_most", "limit", "passed"),
    [
        pytest.param("errors_share", True, 0.0, True, id="no error, none allowed"),
        pytest.param("p99_ms", True, 50.0, True, id="at the limit"),
        pytest.param("p99_ms", True, 49.9, False, id="beyond the limit"),
        pytest.param("median_ms", True, 1.0, True, id="median, in milliseconds"),
        pytest.param("calls_per_second", False, 100.0, True, id="as many as needed"),
        pytest.param("calls_per_second", False, 100.1, False, id="fewer than needed"),
        pytest.param("vendor_calls_per_call", True, 0.05, True, id="the vendor as often as allowed"),
        pytest.param("vendor_calls_per_call", True, 0.049, False, id="the vendor more often"),
        pytest.param("vendor_calls_per_call", False, 1.0, False, id="the vendor less often than it must be"),
    ],
)
def test_a_threshold_is_missed_beyond_its_limit_only(measure: str, at_most: bool, limit: float, passed: bool) -> None:
    """At most and at least both include the limit."""
    (verdict,) = judge([Threshold("hot", measure, at_most, limit)], hot())
    assert verdict.passed is passed


def test_one_error_misses_a_threshold_of_none() -> None:
    """The share is of all calls."""
    total = dataclasses.replace(GOOD, errors={"Unavailable": 1})
    (verdict,) = judge([Threshold("hot", "errors_share", True, 0.0)], hot(total))
    assert (verdict.value, verdict.passed) == (0.001, False)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("at_most", [True, False])
def test_a_scenario_without_calls_misses_every_threshold(measure: str, at_most: bool) -> None:
    """A gateway that answered nobody was not fast."""
    nothing = Calls.of([], 1.0)
    (verdict,) = judge([Threshold("hot", measure, at_most, 0.0)], hot(nothing, served=0, vendor_calls=0))
    assert verdict.passed is False


def test_what_is_not_known_is_neither_passed_nor_missed() -> None:
    """A gateway elsewhere has its metrics elsewhere; a scenario that was left out has no verdict at all."""
    thresholds = [Threshold("hot", "vendor_calls_per_call", True, 0.05), Threshold("cancel", "errors_share", True, 0)]
    (verdict,) = judge(thresholds, hot(served=None, vendor_calls=None))
    assert verdict.passed is None


def test_every_scenario_has_thresholds_that_allow_no_error() -> None:
    """Ratios are strict on every machine: no errors, polls that hardly reach the vendor, reads passed through once."""
    bounds = {(each.scenario, each.measure, each.at_most): each.limit for each in read_thresholds(FILE)}
    for scenario in SCENARIOS:
        assert bounds[scenario.name, "errors_share", True] == 0
        assert (scenario.name, "p99_ms", True) in bounds
        assert (scenario.name, "calls_per_second", False) in bounds
    assert bounds["hot", "vendor_calls_per_call", True] <= 0.05
    assert bounds["passed-through", "vendor_calls_per_call", True] == 1
    assert bounds["passed-through", "vendor_calls_per_call", False] == 1


def test_every_measure_is_on_the_page() -> None:
    """docs/loadtest.md and the head of thresholds.toml name what can be bounded."""
    for path in (PAGE, FILE):
        assert set(MEASURES) <= set(re.findall(r"\w+", path.read_text())), path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("[cold]\nerrors_share_most = 0", "[cold]", id="no such scenario"),
        pytest.param("[hot]\nerrors_most = 0", "errors_most", id="no such measure"),
        pytest.param("[hot]\nerrors_share = 0", "errors_share", id="neither most nor least"),
        pytest.param("[hot]\nerrors_share_max = 0", "errors_share_max", id="another word for most"),
        pytest.param("[hot]\nerrors_share_most = '0'", "number", id="no number"),
        pytest.param("[hot]\nerrors_share_most = true", "number", id="a truth"),
        pytest.param("hot = 1", "[hot]", id="no table"),
        pytest.param("[hot", "thresholds.toml", id="no TOML"),
    ],
)
def test_a_threshold_that_would_bound_nothing_is_refused(text: str, message: str, tmp_path: Path) -> None:
    """A slip in the file must not make a threshold vanish."""
    path = tmp_path / "thresholds.toml"
    path.write_text(text)
    with pytest.raises(WrongThresholdsError) as refused:
        read_thresholds(path)
    assert message in str(refused.value)
