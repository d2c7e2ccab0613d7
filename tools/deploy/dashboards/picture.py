"""Draws the panels of a dashboard, roughly as Grafana does, from what its queries returned."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure

from .panels import Dashboard, Panel

GRID = 24
COLUMN, LINES_HEIGHT, NUMBER_HEIGHT, TITLE_HEIGHT = 0.58, 2.5, 1.1, 0.42
"""Inches: the width of one of 24 columns, and the heights of rows."""
MOST = 8
"""Names of series below a panel."""

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
    rows = _rows(board)
    height = sum(_height(row) for row in rows)
    figure = Figure(figsize=(GRID * COLUMN, height + 0.5), dpi=80)
    figure.suptitle(board.title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    series, top = iter(shown), 1 - 0.45 / (height + 0.5)
    for row in rows:
        share = _height(row) / (height + 0.5)
        if isinstance(row, str):
            figure.text(0.01, top - share * 0.8, row, fontsize=9, color="#57606a")
        else:
            left = 0
            for panel in row:
                axes = figure.add_axes(
                    (left / GRID + 0.03, top - share * 0.74, panel.width / GRID - 0.045, share * 0.56)
                )
                _panel(axes, panel, next(series))
                left += panel.width
        top -= share
    figure.savefig(path, metadata={"Software": None})


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
        return TITLE_HEIGHT
    return NUMBER_HEIGHT if all(panel.kind == "number" for panel in row) else LINES_HEIGHT


def _panel(axes: Any, panel: Panel, shown: list[Shown]) -> None:
    axes.set_title(panel.title)
    if panel.kind == "number":
        axes.axis("off")
        value = _with_unit(shown[0].points[-1][1], panel.unit) if shown else "no data"
        axes.text(0, 0.35, value, fontsize=15, color="#0969da", va="center")
        return
    begun = min((each.points[0][0] for each in shown), default=0.0)
    axes.grid(visible=True, linewidth=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if panel.kind == "stacked":
        moments = sorted({moment for each in shown for moment, _ in each.points})
        values = [[dict(each.points).get(moment, 0.0) for moment in moments] for each in shown]
        if moments:
            axes.stackplot([moment - begun for moment in moments], values, labels=[each.name for each in shown])
    else:
        for each in shown:
            axes.plot(
                [moment - begun for moment, _ in each.points],
                [value for _, value in each.points],
                label=each.name,
                lw=1,
            )
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    axes.yaxis.set_major_formatter(lambda value, _: _with_unit(value, panel.unit))
    handles, names = axes.get_legend_handles_labels()
    if any(names):
        axes.legend(
            handles[:MOST],
            names[:MOST],
            loc="upper left",
            bbox_to_anchor=(-0.03, -0.1),
            ncols=4,
            fontsize=5.5,
            frameon=False,
        )


def _with_unit(value: float, unit: str) -> str:
    if unit == "percentunit":
        return f"{value * 100:.4g} %"
    if unit == "bytes":
        return f"{value / 1e6:.0f} MB"
    if unit == "s" and value < 1:
        return f"{value * 1000:.3g} ms"
    return f"{value:.3g}" + {"s": " s", "reqps": "/s", "d": " d"}.get(unit, "")
