"""What the queries of the dashboards and of the runbook return."""

import re
import time
from collections.abc import Collection

from tools.deploy.dashboards.panels import Dashboard
from tools.deploy.dashboards.picture import Shown
from tools.deploy.runbook.page import sections

from .grafana_variables import grafana_sets
from .prometheus import Prometheus

AGO = 20
"""Seconds ago, instead of what the queries of the runbook compare with."""
_OFFSET = re.compile(r"offset \d+[smhd]")

Seen = list[tuple[Dashboard, list[list[Shown]]]]
"""Of each dashboard, and of each panel in order, what its queries returned."""


async def look(prometheus: Prometheus, boards: Collection[Dashboard], begun: float) -> Seen:
    """Runs each query of the dashboards from then to now."""
    ended = time.time()
    seen: Seen = []
    for board in boards:
        panels = []
        for panel in board.panels:
            shown = []
            for query in panel.queries:
                series = await prometheus.series(grafana_sets(query.expr), begun, ended)
                if not series:
                    print(f"{board.uid}: {panel.title}: nothing for {grafana_sets(query.expr)}")
                    shown.append(Shown(query.legend, {}, []))
                shown += [Shown(query.legend, labels, points) for labels, points in series]
            panels.append(shown)
        seen.append((board, panels))
    return seen


def is_whole(seen: Seen) -> bool:
    """Whether each query returned something."""
    series = [each for _, panels in seen for shown in panels for each in shown]
    empty = sum(not each.points for each in series)
    print(f"dashboards: {len(series)} series, {empty} queries without a result")
    return not empty


async def try_runbook(prometheus: Prometheus, begun: float) -> bool:
    """Runs each query of the runbook from then to now. Returns whether each returned something."""
    ended, queries, empty = time.time(), 0, 0
    for section in sections():
        for expr in section.queries:
            queries += 1
            # This Prometheus has no yesterday.
            if not await prometheus.series(_OFFSET.sub(f"offset {AGO}s", expr), begun, ended):
                empty += 1
                print(f"runbook, {section.alert}: nothing for {expr}")
    print(f"runbook: {queries} queries, {empty} without a result")
    return not empty
