"""The course of a scenario: calls served and requests to the vendor in each moment."""

from collections.abc import Sequence

from ..figures import number
from ..results import Moment
from .scale import Linear
from .svg import Drawing

_HEIGHT, _TOP, _BOTTOM, _LEFT = 240, 20, 34, 56
_NARROW = 500


def plot(moments: Sequence[Moment], width: float) -> str:
    """Columns a moment wide: calls a second, and within them requests to the vendor."""
    right = 10 if width < _NARROW else 130
    drawing = Drawing(width, _HEIGHT, "Calls served and requests to the vendor a second, over time")
    end = max((moment.at + moment.lasted for moment in moments), default=1)
    x = Linear(end, _LEFT, width - right)
    most = max((moment.served / moment.lasted for moment in moments), default=0) or 1
    y = Linear(most * 1.08, _HEIGHT - _BOTTOM, _TOP)
    for tick in y.ticks(4):
        drawing.line(_LEFT, y(tick), width - right, y(tick), "grid")
        drawing.text(_LEFT - 8, y(tick) + 4, number(tick), "tick", "end")
    for tick in x.ticks():
        drawing.text(x(tick), _HEIGHT - _BOTTOM + 18, f"{number(tick)} s", "tick", "middle")
    for moment in moments:
        served, vendor_calls = moment.served / moment.lasted, moment.vendor_calls / moment.lasted
        left, wide = x(moment.at), x(moment.at + moment.lasted) - x(moment.at) - 1.5
        calls = f"{number(served)} calls/s served, {number(vendor_calls)} requests/s to the vendor"
        label = f"at {number(moment.at)} s: {calls}"
        drawing.bar(left, y(served), wide, y(0) - y(served), "fill polls soft", label)
        drawing.bar(left, y(vendor_calls), wide, y(0) - y(vendor_calls), "fill vendor", label)
    # On a telephone over the first columns, which are low; else to the right of the last.
    left, upper, lower = (_LEFT + 6, _TOP + 4, _TOP + 24) if width < _NARROW else (x.end + 10, y(most) + 8, y(0) - 4)
    drawing.text(left, upper, "calls served", "name polls")
    drawing.text(left, lower, "to the vendor", "name vendor")
    return str(drawing)
