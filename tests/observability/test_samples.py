"""Samples: what was counted, read by name and labels."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram

from server.observability.history import DAY, EVERY, RECENT, History
from server.observability.samples import Samples
from testkit import virtual_time

BOUNDS = (0.1, 1.0, 10.0)


def observed(*values: float) -> Samples:
    """The samples of a histogram that has observed these values."""
    registry = CollectorRegistry()
    histogram = Histogram("seconds", "Some.", ("kind",), buckets=BOUNDS, registry=registry)
    for value in values:
        histogram.labels("a").observe(value)
    return Samples.of(registry.collect())


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        pytest.param((), 0.5, None, id="nothing observed"),
        pytest.param((0.05,) * 4, 0.5, 0.05, id="in the midst of the first bucket"),
        pytest.param((0.5,) * 2 + (5.0,) * 2, 0.5, 1.0, id="at a bound"),
        pytest.param((0.5,) * 2 + (5.0,) * 2, 0.75, 5.5, id="between two bounds"),
        pytest.param((99.0,), 0.5, 10.0, id="above the last bound"),
    ],
)
def test_a_quantile_is_estimated_within_its_bucket(
    values: tuple[float, ...], share: float, expected: float | None
) -> None:
    """As Prometheus' histogram_quantile does it."""
    assert observed(*values).quantile(share, "seconds", kind="a") == expected


def test_a_counter_that_began_anew_counts_whole() -> None:
    """Never a negative number, as Prometheus' increase."""
    key = ("calls_total", ())
    assert Samples({key: 7}).since(Samples({key: 5})).total("calls_total") == 2
    assert Samples({key: 3}).since(Samples({key: 5})).total("calls_total") == 3


def test_the_last_day_and_the_last_minutes_are_what_was_counted_in_them() -> None:
    """After two days the day is a day and the minutes are minutes, and no more is kept than for a day."""

    async def lasts_two_days() -> None:
        registry = CollectorRegistry()
        counter = Counter("vendor_quirks", "Some.", ("quirk",), registry=registry)
        counter.labels("Q02")  # of which there is none
        history = History(lambda: Samples.of(registry.collect()))
        minutes = round(2 * DAY / EVERY)
        for _ in range(minutes):
            history.record()
            counter.labels("Q01").inc()
            await asyncio.sleep(EVERY)
        now = Samples.of(registry.collect())
        day, length = history.during(DAY, now)
        assert length == pytest.approx(DAY, abs=RECENT)
        assert day.by("quirk", "vendor_quirks_total") == {"Q01": length / EVERY, "Q02": 0}
        recent, length = history.during(RECENT, now)
        assert length == pytest.approx(RECENT, abs=EVERY)
        assert recent.total("vendor_quirks_total") == length / EVERY
        assert len(history) < DAY / RECENT + RECENT / EVERY + 4

    virtual_time.run(lasts_two_days())
