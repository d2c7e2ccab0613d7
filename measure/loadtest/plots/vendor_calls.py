"""Requests to the vendor against calls served: a line for each scenario, between the two."""

import math
from dataclasses import dataclass

from ..figures import number
from .scale import Log
from .svg import Drawing, room

_NARROW = 500
_LEFT, _RIGHT = 12, 14
"""Pixels between a dot and its label."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A scenario: calls served and requests to the vendor."""

    title: str
    kind: str
    served: float
    vendor_calls: float


def plot(rows: list[Ratio], width: float) -> str:
    """The drawing of all rows, over one logarithmic axis."""
    narrow = width < _NARROW
    gutter, height, right = (0, 84, 0) if narrow else (130, 62, 140)
    top = 30
    most = max([10, *(value for row in rows for value in (row.served, row.vendor_calls))])
    left = max((room(_asked(row)) for row in rows), default=0) + _LEFT
    x = Log(1, most, gutter + left, width - right - max((room(_served(row)) for row in rows), default=0) - _RIGHT)
    drawing = Drawing(width, top + height * len(rows), "Requests to the vendor against calls served, by scenario")
    taken = -math.inf
    for tick in x.ticks():
        drawing.line(x(tick), top - 8, x(tick), top + height * len(rows), "grid")
        half = room(number(tick)) / 2
        if x(tick) - half > taken:
            drawing.text(x(tick), top - 14, number(tick), "tick", "middle")
            taken = x(tick) + half + 8
    if not narrow:
        drawing.text(width, top - 14, "one request for", "tick", "end")
    for index, row in enumerate(rows):
        y = top + height * index + (56 if narrow else 32)
        vendor_calls, served = x(row.vendor_calls), x(row.served)
        drawing.text(0, y - 28 if narrow else y + 5, row.title, f"name {row.kind}")
        drawing.line(vendor_calls, y, served, y, f"bond {row.kind}")
        drawing.dot(served, y, 8, f"dot {row.kind}", f"{row.title}: {number(row.served)} calls served")
        drawing.dot(vendor_calls, y, 4, "dot vendor", f"{row.title}: {number(row.vendor_calls)} requests to the vendor")
        drawing.text(vendor_calls - _LEFT, y + 4, _asked(row), "tick", "end")
        drawing.text(served + _RIGHT, y + 4, _served(row), "tick strong")
        if row.vendor_calls:
            calls = round(row.served / row.vendor_calls, 1 if row.served < 10 * row.vendor_calls else 0)
            ratio = f"{'one for ' if narrow else ''}{number(calls)} {'call' if calls == 1 else 'calls'}"
            drawing.text(width, y - 28 if narrow else y + 6, ratio, "ratio", "end")
    return str(drawing)


def _asked(row: Ratio) -> str:
    return f"{number(row.vendor_calls)} to the vendor"


def _served(row: Ratio) -> str:
    return f"{number(row.served)} served"
