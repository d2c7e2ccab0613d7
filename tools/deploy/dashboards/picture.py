"""Draws the panels of a dashboard, roughly as Grafana does, from what its queries returned."""

import re
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image

from .panels import Dashboard, Panel

GRID = 24
COLUMN, LINES_HEIGHT, NUMBER_HEIGHT, SECTION_HEIGHT, TITLE_HEIGHT = 0.58, 2.1, 0.9, 0.4, 0.5
"""Inches: the width of one of 24 columns, and the heights of what stands one below the other."""
COLOURS = 48
LONG_NAME = 22

Points = list[tuple[float, float]]


class Shown(NamedTuple):
    """A series that a query returned. legend: of the query, with `{{label}}`."""

    legend: str
    labels: dict[str, str]
    points: Points

    @property
    def name(self) -> str:
        """What stands below the panel."""
        shown = re.sub(r"\{\{(\w+)\}\}", lambda match: self.labels.get(match[1], ""), self.legend)
        return re.sub(r"^call-request-gateway-", "", shown)


def draw(board: Dashboard, shown: list[list[Shown]], path: Path) -> None:
    """Writes a PNG. shown: of each panel in order."""
    mpl.rcParams.update({"font.size": 7, "axes.titlesize": 8, "axes.titleweight": "bold", "axes.titlelocation": "left"})
    moments = [moment for series in shown for each in series for moment, _ in each.points]
    begun, ended = min(moments, default=0.0), max(moments, default=1.0)
    rows = _rows(board)
    height = TITLE_HEIGHT + sum(_height(row) for row in rows)
    figure = Figure(figsize=(GRID * COLUMN, height), dpi=80)
    figure.text(0.01, 1 - 0.25 / height, board.title, fontsize=11, fontweight="bold", va="center")
    series, top = iter(shown), 1 - TITLE_HEIGHT / height
    for row in rows:
        share = _height(row) / height
        if isinstance(row, str):
            figure.text(0.01, top - share * 0.6, row, fontsize=9, color="#57606a", va="center")
        else:
            left = 0
            for panel in row:
                place = (left / GRID + 0.035, top - share * 0.68, panel.width / GRID - 0.05, share * 0.54)
                _panel(figure.add_axes(place), panel, next(series), begun, ended)
                left += panel.width
        top -= share
    written = BytesIO()
    figure.savefig(written, format="png")
    Image.open(written).convert("RGB").quantize(COLOURS).save(path, optimize=True)


def _rows(board: Dashboard) -> list[str | list[Panel]]:
    """Titles of sections, and the panels that stand side by side."""
    rows: list[str | list[Panel]] = []
    for section in board.sections:
        rows.append(section.title)
        row: list[Panel] = []
        for panel in section.panels:
            if sum(each.width for each in row) + panel.width > GRID:
                rows.append(row)
                row = []
            row.append(panel)
        rows.append(row)
    return rows


def _height(row: str | list[Panel]) -> float:
    if isinstance(row, str):
        return SECTION_HEIGHT
    return NUMBER_HEIGHT if all(panel.kind == "number" for panel in row) else LINES_HEIGHT


def _panel(axes: Any, panel: Panel, shown: list[Shown], begun: float, ended: float) -> None:
    axes.set_title(panel.title)
    if panel.kind == "number":
        axes.axis("off")
        value = _with_unit(shown[0].points[-1][1], panel.unit) if shown else "no data"
        axes.text(0, 0.35, value, fontsize=15, color="#0969da", va="center", transform=axes.transAxes)
        return
    axes.grid(visible=True, linewidth=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    shown = sorted(shown, key=lambda each: -max(value for _, value in each.points))
    if panel.kind == "stacked" and shown:
        moments = sorted({moment for each in shown for moment, _ in each.points})
        values = [[dict(each.points).get(moment, 0.0) for moment in moments] for each in shown]
        axes.stackplot([moment - begun for moment in moments], values, labels=[each.name for each in shown])
    else:
        for each in shown:
            since = [moment - begun for moment, _ in each.points]
            axes.plot(since, [value for _, value in each.points], label=each.name, linewidth=1)
    axes.set_xlim(0, ended - begun)
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    axes.yaxis.set_major_formatter(lambda value, _: _with_unit(value, panel.unit))
    _name(axes, panel, shown)


def _name(axes: Any, panel: Panel, shown: list[Shown]) -> None:
    """Names the series below the panel, as many as fit, those that are always 0 aside."""
    handles, names = axes.get_legend_handles_labels()
    flat = {each.name for each in shown if not any(value for _, value in each.points)}
    named = [(handle, name) for handle, name in zip(handles, names, strict=True) if name and name not in flat]
    columns = panel.width // 4 if max((len(name) for _, name in named), default=0) < LONG_NAME else 2
    named = named[: 2 * columns]
    if named:
        axes.legend(
            *zip(*named, strict=True),
            loc="upper left",
            bbox_to_anchor=(-0.03, -0.14),
            ncols=columns,
            fontsize=5.5,
            frameon=False,
            columnspacing=1,
        )


def _with_unit(value: float, unit: str) -> str:
    if unit == "percentunit":
        return f"{value * 100:.4g} %"
    if unit == "bytes":
        return f"{value / 1e6:.0f} MB"
    if unit == "s" and value < 1:
        return f"{value * 1000:.3g} ms"
    digits = f"{value:,.0f}".replace(",", " ") if abs(value) >= 100 else f"{value:.3g}"
    return digits + {"s": " s", "reqps": "/s", "d": " d"}.get(unit, "")
