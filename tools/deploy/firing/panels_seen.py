"""What the dashboards' queries return, and pictures of their panels."""

import time
from collections.abc import Collection
from pathlib import Path

from tools.deploy.dashboards.panels import Dashboard
from tools.deploy.dashboards.picture import Shown, draw
from tools.deploy.runbook.page import sections

from .prometheus import Prometheus

GRAFANA = {"$__rate_interval": "20s", "$__range": "2m", "[1d]": "[2m]", '=~"$job"': '=~".*"', '=~"$instance"': '=~".*"'}
"""What Grafana sets, and a shorter day."""


async def look(prometheus: Prometheus, boards: Collection[Dashboard], folder: Path, begun: float) -> bool:
    """Runs each query from then to now, and draws the panels into the folder. Returns whether each has a result."""
    ended = time.time()
    queries, empty = 0, 0
    for board in boards:
        shown: list[list[Shown]] = []
        for panel in board.panels:
            shown.append([])
            for query in panel.queries:
                series = await prometheus.series(_set(query.expr), begun, ended)
                queries += 1
                if not series:
                    empty += 1
                    print(f"{board.uid}: {panel.title}: nothing for {_set(query.expr)}")
                shown[-1] += [Shown(query.legend, labels, points) for labels, points in series]
        draw(board, shown, folder / f"{board.uid.removeprefix('call-request-gateway-')}.png")
    print(f"dashboards: {queries} queries, {empty} without a result")
    unknown = 0
    for section in sections():
        for expr in section.queries:
            if not await prometheus.series(_set(expr), begun, ended):
                unknown += 1
                print(f"runbook, {section.alert}: nothing for {expr}")
    print(f"runbook: {sum(len(section.queries) for section in sections())} queries, {unknown} without a result")
    return not empty and not unknown


def _set(expr: str) -> str:
    for name, value in GRAFANA.items():
        expr = expr.replace(name, value)
    return expr
