"""Draws docs/scale.svg: vendor calls and replicas against open call requests."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from .scenario import MODES
from .sizes import Size

_COLOURS = dict(zip(MODES, ("#bf8700", "#0969da", "#1a7f37"), strict=True))
_GREY = "#818b98"  # to be read on white and on black
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "scale",
    "font.family": "sans-serif",
    "text.color": _GREY,
    "axes.edgecolor": _GREY,
    "axes.labelcolor": _GREY,
    "xtick.color": _GREY,
    "ytick.color": _GREY,
}


def draw(sizes: Sequence[Size], file: Path) -> None:
    """Writes the plot; the same sizes make the same file."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        calls, replicas = figure.subplots(1, 2)
        for axes, title in ((calls, "Calls to the vendor a second"), (replicas, "Replicas needed")):
            axes.set_title(title, fontsize=11)
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xlabel("open call requests")
            axes.grid(visible=True, alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)
        for mode in MODES:
            ours = [each for each in sizes if each.scenario.mode == mode]
            style = {"color": _COLOURS[mode], "marker": "o", "label": mode}
            calls.plot([each.scenario.open for each in ours], [each.vendor_calls / 86_400 for each in ours], **style)
            enough = [each for each in ours if each.replicas is not None]
            replicas.plot([each.scenario.open for each in enough], [each.replicas for each in enough], **style)
        calls.legend(frameon=False)
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
