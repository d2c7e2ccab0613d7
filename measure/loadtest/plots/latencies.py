"""How long callers wait: a histogram for each run of ghz, one above the other over one logarithmic axis."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..figures import duration, number
from ..histogram import edge
from ..results import Calls
from .scale import Log
from .svg import Drawing, room

_PEAK = 64
_NARROW = 500
_GAP = 12


@dataclass(frozen=True, slots=True)
class Waits:
    """A run: its name, the scenario that it is a part of, its colour, its calls, and those of the baseline."""

    title: str
    within: str
    kind: str
    calls: Calls
    baseline: Calls | None


def plot(rows: list[Waits], width: float) -> str:
    """The drawing of all rows. Rows without calls have a line and nothing on it."""
    gutter, height = (0, 134) if width < _NARROW else (150, 108)
    top = 30
    filled = [bucket for row in rows for calls in (row.calls, row.baseline) if calls for bucket in calls.latencies] or [
        0
    ]
    x = Log(edge(min(filled) - 1), edge(max(filled) + 3), gutter, width - 4)
    drawing = Drawing(width, top + height * len(rows), "Histograms of latencies, over a logarithmic axis")
    for tick in x.ticks():
        drawing.line(x(tick), top - 8, x(tick), top + height * len(rows), "grid")
        drawing.text(x(tick), top - 14, duration(tick), "tick", "middle" if x(tick) > 20 else "start")
    for index, row in enumerate(rows):
        base = top + height * (index + 1) - 26
        _name(drawing, row, base, width)
        _shape(drawing, row, x, base)
        drawing.line(gutter, base, width, base, "axis")
        _marks(drawing, row, x, base, width)
    return str(drawing)


def _name(drawing: Drawing, row: Waits, base: float, width: float) -> None:
    calls = f"{row.within + ', ' if row.within else ''}{number(row.calls.calls)} calls"
    if width < _NARROW:
        drawing.text(0, base - _PEAK - 14, row.title, f"name {row.kind}")
        drawing.text(width, base - _PEAK - 14, calls, "tick", "end")
    else:
        drawing.text(0, base - 20, row.title, f"name {row.kind}")
        drawing.text(0, base - 3, calls, "tick")


def _shape(drawing: Drawing, row: Waits, x: Log, base: float) -> None:
    """The bars, the outline of the baseline, and a tooltip for each bucket."""
    now, before = _shares(row.calls), _shares(row.baseline)
    tallest = max([*now.values(), *before.values()], default=1)
    for bucket, share in now.items():
        left, right = x(edge(bucket)), x(edge(bucket + 1))
        high = max(share / tallest * _PEAK, 1.2)
        label = f"{duration(edge(bucket))} to {duration(edge(bucket + 1))}: {number(row.calls.latencies[bucket])} calls"
        drawing.bar(left, base - high, max(right - left - 1, 1), high, f"fill {row.kind}", f"{label}, {share:.1%}")
    if before:
        outline = [(x(edge(min(before))), base)]
        for bucket in range(min(before), max(before) + 1):
            high = before.get(bucket, 0) / tallest * _PEAK
            outline += [(x(edge(bucket)), base - high), (x(edge(bucket + 1)), base - high)]
        drawing.path([*outline, (outline[-1][0], base)], "baseline")


def _marks(drawing: Drawing, row: Waits, x: Log, base: float, width: float) -> None:
    """The median and the 99th percentile, under the base line: to both sides, or together where there is no room."""
    if row.calls.median is None or row.calls.p99 is None:
        return
    median, p99 = x(row.calls.median), x(row.calls.p99)
    for mark in (median, p99):
        drawing.line(mark, base - 6, mark, base + 6, f"mark {row.kind}")
    half, most = f"half within {duration(row.calls.median)}", f"99\u00a0% within {duration(row.calls.p99)}"
    to_the_right = width - p99 > room(most)
    if width < _NARROW:
        drawing.text(0, base + 18, f"{half}, {most}", "tick")
    elif not to_the_right and p99 - median < room(most) + _GAP:
        drawing.text(p99, base + 18, f"{half}, {most}", "tick", "end")
    else:
        apart = max(_GAP - (p99 - median), 0) / 2
        drawing.text(median - apart, base + 18, half, "tick", "end")
        drawing.text(p99 + apart, base + 18, most, "tick", "start" if to_the_right else "end")


def _shares(calls: Calls | None) -> Mapping[int, float]:
    return {} if calls is None else {bucket: times / calls.calls for bucket, times in calls.latencies.items()}
