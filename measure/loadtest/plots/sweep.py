"""Throughput against concurrency, and the latency beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..figures import duration, number
from ..results import Point
from .scale import Linear, Log
from .svg import Drawing

_HEIGHT, _TOP, _BOTTOM, _LEFT, _RIGHT = 310, 16, 50, 56, 142
_APART = 36
"""Pixels between the names of two curves."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A configuration over all concurrencies, and the same of the baseline."""

    title: str
    kind: str
    points: Sequence[Point]
    baseline: Sequence[Point]


def throughput(curves: list[Curve], width: float, vendor_latency: float | None) -> str:
    """Calls a second. vendor_latency: seconds, for what a call that waits for the vendor can come to at best."""
    drawing, x = _frame(curves, width, "Calls a second against concurrency")
    most = max((point.per_second for curve in curves for point in (*curve.points, *curve.baseline)), default=0) or 1
    y = Linear(most * 1.08, _HEIGHT - _BOTTOM, _TOP)
    for tick in y.ticks():
        drawing.line(_LEFT, y(tick), width - _RIGHT, y(tick), "grid")
        drawing.text(_LEFT - 8, y(tick) + 4, number(tick), "tick", "end")
    if vendor_latency:
        _at_best(drawing, x, y, vendor_latency)
    labels = []
    for curve in curves:
        _line(drawing, curve.baseline, lambda point: point.per_second, x, y, "baseline")
        _line(drawing, curve.points, lambda point: point.per_second, x, y, f"line {curve.kind}")
        for point in curve.points:
            label = f"{curve.title}, {point.concurrency} at once: {number(point.per_second)} calls/s"
            drawing.dot(x(point.concurrency), y(point.per_second), 4, f"dot {curve.kind}", label)
        last = curve.points[-1]
        labels.append((y(last.per_second), curve.title, f"{number(last.per_second)}/s", curve.kind))
    _label(drawing, width - _RIGHT + 10, labels)
    return str(drawing)


def latency(curves: list[Curve], width: float) -> str:
    """Medians as lines, and up to the 99th percentile as a band."""
    drawing, x = _frame(curves, width, "Latency against concurrency, median and 99th percentile")
    found = [
        value
        for curve in curves
        for point in (*curve.points, *curve.baseline)
        for value in (point.median, point.p99)
        if value is not None
    ] or [0.001, 0.01]
    y = Log(min(found) / 1.3, max(found) * 1.3, _HEIGHT - _BOTTOM, _TOP)
    for tick in y.ticks():
        drawing.line(_LEFT, y(tick), width - _RIGHT, y(tick), "grid")
        drawing.text(_LEFT - 8, y(tick) + 4, duration(tick), "tick", "end")
    labels = []
    for curve in curves:
        measured = [point for point in curve.points if point.median is not None and point.p99 is not None]
        upper = [(x(point.concurrency), y(point.p99 or 0)) for point in measured]
        lower = [(x(point.concurrency), y(point.median or 0)) for point in measured]
        drawing.path([*upper, *reversed(lower)], f"band {curve.kind}", close=True)
        _line(drawing, curve.baseline, lambda point: point.median, x, y, "baseline")
        drawing.path(lower, f"line {curve.kind}")
        for point in measured:
            label = f"{curve.title}, {point.concurrency} at once: half within {duration(point.median)}"
            label += f", 99 % within {duration(point.p99)}"
            drawing.dot(x(point.concurrency), y(point.median or 0), 4, f"dot {curve.kind}", label)
        if measured:
            labels.append((lower[-1][1], curve.title, duration(measured[-1].median), curve.kind))
    _label(drawing, width - _RIGHT + 10, labels)
    return str(drawing)


def _frame(curves: list[Curve], width: float, description: str) -> tuple[Drawing, Log]:
    concurrencies = sorted({point.concurrency for curve in curves for point in curve.points}) or [1, 2]
    drawing = Drawing(width, _HEIGHT, description)
    x = Log(concurrencies[0], max(concurrencies[-1], concurrencies[0] * 2), _LEFT + 10, width - _RIGHT)
    for concurrency in concurrencies:
        drawing.text(x(concurrency), _HEIGHT - _BOTTOM + 20, str(concurrency), "tick", "middle")
    drawing.text(width - _RIGHT, _HEIGHT - 4, "calls at once", "tick", "end")
    return drawing, x


def _at_best(drawing: Drawing, x: Log, y: Linear, vendor_latency: float) -> None:
    """A line of what callers who each wait for the vendor could reach; it ends where the plot does."""
    points = []
    for step in range(int(x.start), int(x.end) + 1, 2):
        concurrency = x.low * (x.high / x.low) ** ((step - x.start) / (x.end - x.start))
        if concurrency / vendor_latency > y.high:
            break
        points.append((float(step), y(concurrency / vendor_latency)))
    if len(points) > 1:
        drawing.path(points, "best")


def _line(
    drawing: Drawing,
    points: Sequence[Point],
    value: Callable[[Point], float | None],
    x: Log,
    y: Callable[[float], float],
    class_: str,
) -> None:
    drawn = [(x(point.concurrency), y(at)) for point in points if (at := value(point)) is not None]
    if drawn:
        drawing.path(drawn, class_)


def _label(drawing: Drawing, left: float, labels: list[tuple[float, str, str, str]]) -> None:
    """Names the curves where they end, none over another or below the axis."""
    levels: list[float] = []
    for y, *_ in sorted(labels):
        levels.append(max(y, levels[-1] + _APART if levels else _TOP + 6))
    most = _HEIGHT - _BOTTOM - 12.0
    for index in reversed(range(len(levels))):
        levels[index] = min(levels[index], most)
        most = levels[index] - _APART
    for level, (_, title, value, kind) in zip(levels, sorted(labels), strict=True):
        drawing.text(left, level, title, f"name {kind}")
        drawing.text(left, level + 16, value, "tick")
