"""Histograms, quantiles, scales and the writing of figures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from measure.loadtest.figures import change, duration, number
from measure.loadtest.histogram import bucket_of, edge, histogram, quantile
from measure.loadtest.plots.scale import Linear, Log
from measure.loadtest.results import Calls

LATENCIES = st.floats(min_value=1e-5, max_value=100)


@given(LATENCIES)
def test_a_latency_lies_in_its_bucket(latency: float) -> None:
    """A bucket begins at its edge and ends where the next begins."""
    bucket = bucket_of(latency)
    assert edge(bucket) * (1 - 1e-9) <= latency < edge(bucket + 1) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(1.0, 0), (0.999, -1), (10.0, 20), (0.001, -60), (0.0, -120)], ids=lambda value: f"{value}"
)
def test_an_edge_belongs_to_the_bucket_that_begins_there(seconds: float, bucket: int) -> None:
    """Bucket 0 begins at one second, 20 make a decade, and there is one for what took no time."""
    assert bucket_of(seconds) == bucket


@given(st.lists(LATENCIES))
def test_a_histogram_has_every_latency_once(latencies: list[float]) -> None:
    """No latency is lost or counted twice, and no bucket is empty."""
    found = histogram(latencies)
    assert sum(found.values()) == len(latencies)
    assert list(found) == sorted({bucket_of(latency) for latency in latencies})


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        pytest.param([], 0.5, None, id="none of none"),
        pytest.param([7.0], 0.99, 7.0, id="of one"),
        pytest.param([1.0, 2.0], 0.5, 1.0, id="the half that half do not exceed"),
        pytest.param([float(value) for value in range(1, 101)], 0.99, 99.0, id="99 of 100"),
        pytest.param([float(value) for value in range(1, 102)], 0.99, 100.0, id="99 % of 101"),
        pytest.param([1.0, 2.0, 3.0], 0.0, 1.0, id="the least"),
    ],
)
def test_a_quantile_is_the_least_value_that_so_many_do_not_exceed(
    values: list[float], share: float, expected: float | None
) -> None:
    """Nothing is interpolated: a quantile is a latency that a call had."""
    assert quantile(values, share) == expected


def test_calls_that_failed_are_no_throughput() -> None:
    """Calls a second are those that ended with OK; latencies are of all."""
    calls = Calls.of([(0.1, "OK"), (0.2, "OK"), (0.3, "Unavailable"), (0.4, "Unavailable"), (0.5, "NotFound")], 2.0)
    assert (calls.calls, calls.failed, calls.errors) == (5, 3, {"Unavailable": 2, "NotFound": 1})
    assert calls.per_second == 1.0
    assert (calls.median, calls.p99) == (0.3, 0.5)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (number(None), "–"),
        (number(41230.0), "41,230"),
        (number(0.00138), "0.00138"),
        (number(3.0), "3"),
        (number(52.66), "52.7"),
        (duration(None), "–"),
        (duration(0.0000854), "85 µs"),
        (duration(0.001), "1 ms"),
        (duration(0.0012449), "1.24 ms"),
        (duration(0.0531), "53.1 ms"),
        (duration(1.2), "1.2 s"),
        (change(88.0, 100.0), "−12 %"),
        (change(104.0, 100.0), "+4 %"),
        (change(100.1, 100.0), "±0 %"),
        (change(310.0, 100.0), "3.1 ×"),
        (change(1.0, None), None),
        (change(1.0, 0.0), None),
    ],
)
def test_figures_have_three_digits_and_the_unit_that_suits(written: str | None, expected: str | None) -> None:
    """A figure and its unit stay on one line; without a figure there is a dash."""
    assert written == (expected and expected.replace(" ", "\u00a0"))


@pytest.mark.parametrize(("value", "pixel"), [(1.0, 100.0), (10.0, 150.0), (100.0, 200.0), (0.01, 100.0)])
def test_a_logarithmic_scale_gives_each_decade_the_same_room(value: float, pixel: float) -> None:
    """Its ends are the range's, and what is below is at the lower end."""
    assert Log(1.0, 100.0, 100.0, 200.0)(value) == pytest.approx(pixel)


@pytest.mark.parametrize(
    ("ticks", "expected"),
    [
        (Log(0.0007, 0.2, 0, 1).ticks(), [0.001, 0.01, 0.1]),
        (Log(0.04, 0.6, 0, 1).ticks(), [0.05, 0.1, 0.2, 0.5]),
        (Linear(4300, 0, 1).ticks(), [0, 1000, 2000, 3000, 4000]),
        (Linear(25, 0, 1).ticks(), [0, 5, 10, 15, 20, 25]),
        (Linear(0.9, 0, 1).ticks(), [0, 0.2, 0.4, 0.6, 0.8]),
    ],
)
def test_axes_are_written_at_round_values(ticks: list[float], expected: list[float]) -> None:
    """Few values, all round and all within the range."""
    assert ticks == pytest.approx(expected)
