"""Draws docs/performance.svg from the table in docs/performance.md: python -m tools.performance_plot [--check]."""

import re
import sys
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).resolve().parents[1] / "docs"
TABLE, PLOT = DOCS / "performance.md", DOCS / "performance.svg"

SCENARIO = "c hot polling, 50 ms"
NAMES = {
    "naive": "grpc.aio and httpx, as it comes",
    "vanguard": "vanguard-go, a transcoder",
    "envoy": "Envoy, a transcoder",
    "floor": "grpc.aio, a constant answer",
    "gateway": "this gateway",
}
WIDTH, ROW, LEFT, BAR = 760, 34, 250, 400
STYLE = """
  text { font: 14px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f; }
  .title { font-weight: 600; } .note { fill: #57606a; font-size: 12.5px; }
  .bar { fill: #afb8c1; } .ours { fill: #0969da; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .note { fill: #9198a1; } .bar { fill: #484f58; } .ours { fill: #58a6ff; }
  }
"""


class Measured(NamedTuple):
    """A target in the scenario. vendor: requests to the vendor for each call; the floor has none."""

    calls_per_second: float
    p99_ms: float
    vendor: float


def read(markdown: str) -> dict[str, Measured]:
    """The targets of the scenario in the table of the benchmark, by name."""
    lines = [line for line in markdown.splitlines() if line.startswith("| ")]
    header = next(re.split(r"\s*\|\s*", line.strip("| ")) for line in lines if line.startswith("| scenario"))
    found = {}
    for line in lines:
        if line.startswith(f"| {SCENARIO}"):
            row = dict(zip(header, re.split(r"\s*\|\s*", line.strip("| ")), strict=True))
            calls = float(row["calls/s (min–max)"].split()[0])
            found[row["target"]] = Measured(calls, float(row["p99 ms"]), float(row["vendor calls/call"]))
    return found


def draw(measured: dict[str, Measured]) -> str:
    """The bars, slowest first, each labelled with what it is and what it asked of the vendor."""
    targets = sorted(measured, key=lambda name: measured[name].calls_per_second)
    most = measured[targets[-1]].calls_per_second
    height = 78 + ROW * len(targets) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="t">',
        '<title id="t">Answers a second while 64 callers poll 100 call requests, on one core</title>',
        f"<style>{STYLE}</style>",
        '<text class="title" x="0" y="18">Answers a second on one core</text>',
        '<text class="note" x="0" y="38">64 callers poll 100 call requests, and the vendor takes 50 ms to answer.'
        "</text>",
        '<text class="note" x="0" y="56">Beside each bar: the 99th percentile, and requests to the vendor for 1 000 '
        "calls.</text>",
    ]
    for number, name in enumerate(targets):
        each, y = measured[name], 76 + number * ROW
        length = max(each.calls_per_second / most * BAR, 2)
        asked = "no vendor" if name == "floor" else f"{each.vendor * 1000:,.0f}".replace(",", " ")
        label = f"{each.calls_per_second:,.0f}".replace(",", " ")
        inside = length > 90
        style = "fill: #fff" if inside and name == "gateway" else ""
        x, anchor = (LEFT + length - 8, "end") if inside else (LEFT + length + 8, "start")
        after = LEFT + length + (8 if inside else 20 + 8 * len(label))
        parts += [
            f'<text x="{LEFT - 12}" y="{y + 18}" text-anchor="end">{NAMES[name]}</text>',
            f'<rect class="bar{" ours" if name == "gateway" else ""}" x="{LEFT}" y="{y}" width="{length:.1f}" '
            f'height="{ROW - 8}" rx="3"/>',
            f'<text x="{x:.1f}" y="{y + 18}" text-anchor="{anchor}" style="{style}">{label}</text>',
            f'<text class="note" x="{after:.1f}" y="{y + 18}">{each.p99_ms:.0f} ms · {asked}</text>',
        ]
    return "\n".join([*parts, "</svg>\n"])


def main() -> None:
    """Writes the plot; with --check it only compares, and exits with 1 when it is another."""
    plot = draw(read(TABLE.read_text()))
    if "--check" in sys.argv[1:]:
        if not PLOT.is_file() or PLOT.read_text() != plot:
            raise SystemExit(
                "docs/performance.svg is not that of docs/performance.md: run `python -m tools.performance_plot`"
            )
        return
    PLOT.write_text(plot)


if __name__ == "__main__":
    main()
