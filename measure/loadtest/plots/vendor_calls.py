"""Requests to the vendor against calls served: a line for each scenario, between the two."""

import math
from dataclasses import dataclass

from ..figures import number
from .scale import Log
from .svg import Drawing

_NARROW = 500
_LABEL = 84


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
    gutter, height, right = (0, 84, 10) if narrow else (168, 62, 130)
    top = 30
    most = max([10, *(value for row in rows for value in (row.served, row.vendor_calls))])
    x = Log(1, most, gutter + _LABEL, width - right - _LABEL)
    drawing = Drawing(width, top + height * len(rows), "Requests to the vendor against calls served, by scenario")
    for tick in x.ticks():
        drawing.line(x(tick), top - 8, x(tick), top + height * len(rows), "grid")
        if not narrow or round(math.log10(tick)) % 2 == 0:  # more have no room
            drawing.text(x(tick), top - 14, number(tick), "tick", "middle")
    if not narrow:
        drawing.text(width, top - 14, "one request for", "tick", "end")
    for index, row in enumerate(rows):
        y = top + height * index + (56 if narrow else 32)
        vendor_calls, served = x(row.vendor_calls), x(row.served)
        drawing.text(0, y - 28 if narrow else y + 5, row.title, f"name {row.kind}")
        drawing.line(vendor_calls, y, served, y, f"bond {row.kind}")
        drawing.dot(served, y, 8, f"dot {row.kind}", f"{row.title}: {number(row.served)} calls served")
        drawing.dot(vendor_calls, y, 4, "dot vendor", f"{row.title}: {number(row.vendor_calls)} requests to the vendor")
        drawing.text(vendor_calls - 12, y + 4, f"{number(row.vendor_calls)} to the vendor", "tick", "end")
        drawing.text(served + 14, y + 4, f"{number(row.served)} served", "tick strong")
        if row.vendor_calls:
            calls = round(row.served / row.vendor_calls, 1 if row.served < 10 * row.vendor_calls else 0)
            ratio = f"{'one for ' if narrow else ''}{number(calls)} {'call' if calls == 1 else 'calls'}"
            drawing.text(width, y - 28 if narrow else y + 6, ratio, "ratio", "end")
    return str(drawing)
