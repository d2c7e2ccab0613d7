"""What the dashboards' queries return, and pictures of their panels."""

from collections.abc import Collection
from pathlib import Path

from tools.deploy.dashboards.panels import Dashboard
from tools.deploy.dashboards.picture import Shown, draw

from .prometheus import Prometheus

GRAFANA = {"$__rate_interval": "20s", "$__range": "2m", "[1d]": "[2m]", '=~"$job"': '=~".*"', '=~"$instance"': '=~".*"'}
"""What Grafana sets, and a shorter day."""


async def look(prometheus: Prometheus, boards: Collection[Dashboard], folder: Path, seconds: float) -> bool:
    """Runs each query over the last so many seconds, draws the panels into the folder, and returns whether each query
    has a result.
    """
    queries, empty = 0, 0
    for board in boards:
        shown: list[list[Shown]] = []
        for panel in board.panels:
            shown.append([])
            for query in panel.queries:
                series = await prometheus.series(_set(query.expr), seconds)
                queries += 1
                if not series:
                    empty += 1
                    print(f"{board.uid}: {panel.title}: nothing for {_set(query.expr)}")
                shown[-1] += [Shown(query.legend, labels, points) for labels, points in series]
        draw(board, shown, folder / f"{board.uid.removeprefix('call-request-gateway-')}.png")
    print(f"dashboards: {queries} queries, {empty} without a result")
    return not empty


def _set(expr: str) -> str:
    for name, value in GRAFANA.items():
        expr = expr.replace(name, value)
    return expr
