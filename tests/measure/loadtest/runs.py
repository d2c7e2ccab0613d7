"""A run of the load tests with made-up figures, and its report."""

from typing import Any

from measure.loadtest.report import page
from measure.loadtest.results import Calls, Circumstances, Measured, Moment, Point, Run
from measure.loadtest.scenarios import CONCURRENCIES, SCENARIOS, SWEPT
from measure.loadtest.thresholds import FILE, judge, read_thresholds


def calls(scale: float, number_of_calls: int = 200) -> Calls:
    return Calls.of([(scale * (1 + each / 50), "OK") for each in range(number_of_calls)], 2.0)


def measured(scenario: Any, scale: float) -> Measured:
    parts = {part.name: calls(scale * (1 + index)) for index, part in enumerate(scenario.parts)}
    course = tuple(Moment(at / 2, 0.5, 50.0 * (1 + at // 2), 6.0) for at in range(10)) if len(parts) > 1 else ()
    total = calls(scale, 200 * len(parts))
    return Measured(total, parts if len(parts) > 1 else {}, served=200, vendor_calls=20, cpu=0.1, course=course)


def example_run(scale: float = 0.001, **changed: Any) -> Run:
    points = tuple(
        Point(concurrency, 1000 / scale / (1 + concurrency), scale, scale * 3) for concurrency in CONCURRENCIES
    )
    about = Circumstances(
        "2026-11-22T12:00:00+00:00", "0.1.0", "abc1234", 1.0, "the embedded sandbox", 0.05, ("a", "b")
    )
    usual: dict[str, Any] = {
        "circumstances": about,
        "scenarios": {scenario.name: measured(scenario, scale) for scenario in SCENARIOS},
        "sweep": dict.fromkeys(SWEPT, points),
    }
    return Run(**(usual | changed))


def page_of(run: Run, baseline: Run | None = None) -> str:
    return page(run, judge(read_thresholds(FILE), run.scenarios), baseline)


GOOD = Calls(calls=1000, seconds=10.0, errors={}, median=0.001, p99=0.05, latencies={-60: 1000})


def hot(total: Calls = GOOD, served: float | None = 1000.0, vendor_calls: float | None = 50.0) -> dict[str, Measured]:
    return {"hot": Measured(total, served=served, vendor_calls=vendor_calls)}
