"""Reads deploy/alerts/alerts.yaml, the one source of all alerts."""

import re
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

_LABEL = re.compile(r"sum by \((\w+)\)")

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
    """errors, total: rates over `$window`. objective: percent over 30 days. row: a case of the fault suite.

    says: its description in the case under which it fires.
    """

    name: str
    alert: str
    objective: float
    what: str
    summary: str
    row: str
    errors: str
    total: str
    says: str
    cases: Cases
    causes: str = ""
    """Rates by their only label, in which `%[1]q` is the job; empty: there is nothing that tells causes apart."""

    @property
    def description(self) -> str:
        """How it is now: an objective fires on after its cause is gone. For Prometheus' templates, which may query."""
        share = f'slo:sli_error:ratio_rate5m{{job=%[1]q,sloth_slo="{self.name}"}}'
        text = (
            f"In the last 5 minutes {{{{ with printf `{share}` $labels.job | query }}}}"
            "{{ . | first | value | humanizePercentage }}{{ else }}0%{{ end }} were bad"
        )
        if label := _LABEL.match(self.causes):
            most = f"printf `topk(1, {self.causes} > 0)` $labels.job | query"
            text += f'{{{{ with {most} }}}}, most of them {{{{ . | first | label "{label[1]}" }}}}{{{{ end }}}}'
        return f"{text}; {100 - self.objective:.3g}% may be."


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

    def annotations(self, alert: str, summary: str, description: str = "") -> dict[str, str]:
        """Those of an alert: its summary, how it is now, if it says so, and where its section is."""
        name, page = ("runbook_url", self.runbook_url) if self.runbook_url else ("runbook", self.runbook)
        texts = {"description": description} if description else {}
        return {**texts, "summary": summary, name: f"{page}#{alert.lower()}"}


def read(path: Path = ROOT / SOURCE) -> Source:
    """Reads the source. Raises KeyError, TypeError for one that is not whole."""
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    job = document["job"]

    def whole(expr: str) -> str:
        return expr.replace("$job", job).replace("$here", "job=%[1]q").replace("$floor", FLOOR).strip()

    def cases(row: dict[str, Any]) -> Cases:
        return Cases(*(row.pop(name) for name in Cases._fields))

    objectives = tuple(
        Objective(
            errors=whole(row.pop("errors")),
            total=whole(row.pop("total")),
            causes=whole(row.pop("causes", "")),
            cases=cases(row),
            **row,
        )
        for row in document["slos"]
    )
    alerts = tuple(
        Alert(hold=row.pop("for", ""), expr=whole(row.pop("expr")), cases=cases(row), **row)
        for row in document["alerts"]
    )
    return Source(job, document["runbook"], document["runbook_url"], objectives, alerts)
