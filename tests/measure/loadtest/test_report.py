"""The report: self-contained, with every figure in its place."""

import dataclasses
import html
import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest

from measure.loadtest.report import page
from measure.loadtest.results import Calls, Measured
from measure.loadtest.scenarios import CONCURRENCIES, SCENARIOS, SWEPT
from measure.loadtest.thresholds import Threshold, judge
from tests.measure.loadtest.runs import example_run, hot, page_of

PARTS = [part for scenario in SCENARIOS for part in scenario.parts]


def _drawings(text: str) -> Iterator[tuple[str, float, str]]:
    """Each drawing: what it description it shows, its width, and its elements."""
    for width, description, inside in re.findall(r'<svg [^>]*width="(\d+)"[^>]*aria-label="([^"]+)">(.*?)</svg>', text):
        yield description, float(width), inside


def test_the_report_needs_nothing_but_itself() -> None:
    """No address of any kind is in it: no script, style, font or picture comes from elsewhere."""
    text = page_of(example_run(), example_run(0.002))
    assert not re.findall(r"https?:|//\w|\bsrc=|\bhref=|<link|<script|<iframe|@import|url\(", text)


def test_every_plot_has_data_at_both_widths() -> None:
    """What was measured is drawn, for a desk and for a telephone."""
    run = example_run()
    buckets = sum(len(calls.latencies) for scenario in run.scenarios.values() for calls in _runs_of(scenario))
    expected = {
        "Histograms of latencies, over a logarithmic axis": ("<rect", buckets),
        "Calls a second against concurrency": ("<circle", len(SWEPT) * len(CONCURRENCIES)),
        "Latency against concurrency, median and 99th percentile": ("<circle", len(SWEPT) * len(CONCURRENCIES)),
        "Requests to the vendor against calls served, by scenario": ("<circle", 2 * len(SCENARIOS)),
        "Calls served and requests to the vendor a second, over time": ("<rect", 2 * 10),
    }
    found = [
        (description, inside.count(expected[description][0])) for description, _, inside in _drawings(page_of(run))
    ]
    assert sorted(found) == sorted([(description, times) for description, (_, times) in expected.items()] * 2)


def _runs_of(measured: Measured) -> list[Calls]:
    return list(measured.parts.values()) or [measured.total]


@pytest.mark.parametrize("scale", [1e-5, 0.1, 30.0])
def test_every_mark_is_within_its_drawing(scale: float) -> None:
    """No column, dot or corner of a line is lost outside, neither of this run nor of the baseline."""
    for description, width, inside in _drawings(page_of(example_run(), example_run(scale))):
        corners = re.findall(r"[ML](-?[\d.]+) ", "".join(re.findall(r' d="(.+?)"', inside)))
        found = [float(value) for value in re.findall(r' c?x="(-?[\d.]+)"', inside) + corners]
        assert found, description
        assert min(found) >= 0, description
        assert max(found) <= width, description


_SHAPES = {"tick": (12.5, 0.55), "name": (14, 0.63), "ratio": (20, 0.55)}
"""Of the report's texts by class: height in pixels, and the width of a character in heights, as DejaVu Sans has it."""


def _texts(inside: str) -> Iterator[tuple[str, float, float, float, float]]:
    """Each text of a drawing, with its left, its right, its upper and its lower edge."""
    element = r'<text x="(-?[\d.]+)" y="(-?[\d.]+)" class="(\w+)[^"]*" text-anchor="(\w+)">(.*?)</text>'
    for left, base, name, anchor, text in re.findall(element, inside):
        size, share = _SHAPES[name]
        width = len(html.unescape(text)) * size * share
        begin = float(left) - {"start": 0, "middle": width / 2, "end": width}[anchor]
        yield text, begin, begin + width, float(base) - size * 0.7, float(base)


@pytest.mark.parametrize("scale", [0.001, 0.02, 0.1, 30.0])
@pytest.mark.parametrize("served", [200.0, 10_966.0, 999_999.0])
@pytest.mark.parametrize("asked", [0.0, 18.0])
def test_no_text_is_cut_or_lies_over_another(scale: float, served: float, asked: float) -> None:
    """At both widths, whatever was measured."""
    run = example_run(scale)
    scenarios = {
        name: dataclasses.replace(measured, served=served, vendor_calls=asked)
        for name, measured in run.scenarios.items()
    }
    text = page_of(dataclasses.replace(run, scenarios=scenarios), example_run(0.001))
    for description, width, inside in _drawings(text):
        texts = list(_texts(inside))
        assert len(texts) == inside.count("<text")
        assert [each for each in texts if each[1] < -1 or each[2] > width + 1] == [], description
        over = [
            (one[0], other[0])
            for one, other in itertools.combinations(texts, 2)
            if one[1] < other[2] and other[1] < one[2] and one[3] < other[4] and other[3] < one[4]
        ]
        assert over == [], description


def test_every_mark_has_its_figure_as_a_tooltip() -> None:
    """Columns and dots have their figures as titles, so that none has to be guessed."""
    for description, _, inside in _drawings(page_of(example_run())):
        for mark in re.findall(r"<(?:rect|circle) [^>]*>(.*?)</", inside):
            assert re.match(r"<title>.*\d", mark), description


def test_the_baseline_is_drawn_and_named_beside_this_run() -> None:
    """Dashed lines in the plots, changes in the table, and from when it is; without one, none of it."""
    alone, beside = page_of(example_run()), page_of(example_run(), example_run(0.002))
    assert 'class="baseline"' not in alone
    assert beside.count('class="baseline"') == 2 * (len(PARTS) + 2 * len(SWEPT))
    assert "The baseline is of 2026-11-22, at abc1234" in beside
    assert "−50\u00a0%" in beside
    assert "−50\u00a0%" not in alone


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        pytest.param({"machine": ("another",)}, "another machine", id="machine"),
        pytest.param({"length": 0.2}, "at length 0.2 where this one has 1", id="length"),
    ],
)
def test_a_baseline_that_cannot_be_compared_is_marked(changed: dict[str, Any], message: str) -> None:
    """Times of another machine, or of a shorter run, are no change of the gateway's."""
    baseline = example_run(circumstances=dataclasses.replace(example_run().circumstances, **changed))
    assert message in page_of(example_run(), baseline)


def test_the_report_names_missed_thresholds() -> None:
    """The heading counts them, and each has its line with what was measured and what is allowed."""
    run = example_run(scenarios=hot())
    missed = [Threshold("hot", "p99_ms", True, 0.5), Threshold("hot", "errors_share", True, 0)]
    text = page(run, judge(missed, run.scenarios), None)
    assert '<h1 class="missed">1 of 2 thresholds missed</h1>' in text
    assert "<li>Hot polling: 99th percentile is 50 ms, must be ≤ 0.5 ms</li>" in text.replace("\u00a0", " ")
    assert '<h1 class="passed">All thresholds hold</h1>' in page(run, judge(missed[1:], run.scenarios), None)


def test_a_run_of_little_has_a_report_too() -> None:
    """A gateway elsewhere may have no counts, and some scenarios may have been left out, or have had no answer."""
    nothing = Measured(Calls.of([], 1.0))
    scenarios = {
        "hot": nothing,
        "mixed-day": dataclasses.replace(example_run().scenarios["mixed-day"], served=None, vendor_calls=None),
    }
    text = page_of(example_run(scenarios=scenarios, sweep={}, left_out=("Cancels <are> left out.",)))
    assert "Cancels &lt;are&gt; left out." in text
    assert "against concurrency" not in text
    assert len(list(_drawings(text))) == 4


def test_every_class_of_the_page_has_a_style() -> None:
    """A mark whose class the style sheet does not know would be drawn black and filled."""
    text = page_of(example_run(), example_run(0.002))
    used = {
        name
        for names in re.findall(r'<(?:path|circle|rect|line|text)[^>]* class="([^"]+)"', text)
        for name in names.split()
    }
    assert used
    assert {name for name in used if not re.search(rf"\.{name}\b", text)} == set()
