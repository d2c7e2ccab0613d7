"""Reads deploy/alerts/alerts.yaml, the one source of all alerts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tools.contract import ROOT

FOLDER = Path("deploy/alerts")
SOURCE = FOLDER / "alerts.yaml"

FLOOR = "(1 / 60)"
"""A rate of one a minute: with less traffic, a ratio of the objectives is taken of so much. One failed call in a quiet
night is no outage, and no traffic is no division by 0."""

Series = dict[str, str]
"""Values, a minute apart in promtool's notation, by their series without the job."""


class Cases(NamedTuple):
    """Series for promtool, and when they are looked at."""

    at: str
    fires: Series
    silent: Series
    restart: Series


@dataclass(frozen=True, slots=True)
class Objective:
    """errors, total: rates over `$window`. objective: percent over 30 days. row: a case of the fault suite."""

    name: str
    alert: str
    objective: float
    what: str
    summary: str
    row: str
    errors: str
    total: str
    cases: Cases


@dataclass(frozen=True, slots=True)
class Alert:
    """hold: how long the expression holds before it fires, such as `5m`; empty: it fires at once."""

    name: str
    severity: str
    hold: str
    summary: str
    row: str
    expr: str
    cases: Cases


@dataclass(frozen=True, slots=True)
class Source:
    """job: the matcher of the gateway's targets. runbook: the page of the sections named as the alerts.

    runbook_url: the address at which that page is published; empty: at none.
    """

    job: str
    runbook: str
    runbook_url: str
    objectives: tuple[Objective, ...]
    alerts: tuple[Alert, ...]

    @property
    def rows(self) -> dict[str, str]:
        """The row of the fault suite that causes each alert."""
        return {each.alert: each.row for each in self.objectives} | {each.name: each.row for each in self.alerts}

    def annotations(self, alert: str, summary: str) -> dict[str, str]:
        """Those of an alert: its summary, and where its section is."""
        name, page = ("runbook_url", self.runbook_url) if self.runbook_url else ("runbook", self.runbook)
        return {"summary": summary, name: f"{page}#{alert.lower()}"}


def read(path: Path = ROOT / SOURCE) -> Source:
    """Reads the source. Raises KeyError, TypeError for one that is not whole."""
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    job = document["job"]

    def whole(expr: str) -> str:
        return expr.replace("$job", job).replace("$floor", FLOOR).strip()

    def cases(row: dict[str, Any]) -> Cases:
        return Cases(*(row.pop(name) for name in Cases._fields))

    objectives = tuple(
        Objective(errors=whole(row.pop("errors")), total=whole(row.pop("total")), cases=cases(row), **row)
        for row in document["slos"]
    )
    alerts = tuple(
        Alert(hold=row.pop("for", ""), expr=whole(row.pop("expr")), cases=cases(row), **row)
        for row in document["alerts"]
    )
    return Source(job, document["runbook"], document["runbook_url"], objectives, alerts)
