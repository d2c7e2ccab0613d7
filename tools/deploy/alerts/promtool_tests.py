"""Promtool's tests of the rules: each alert fires for its fault, is silent beside it, and survives a restart."""

import re
from typing import Any

import yaml

from .sloth import SERVICE
from .source import FOLDER, SOURCE, Cases, Objective, Series, Source

TESTS = FOLDER / "tests.yaml"

_SERIES = re.compile(r"(?P<name>[a-z_]+)(?:\{(?P<labels>.*)\})?")


def tests(source: Source) -> str:
    """A test for the series under which the alerts fire, one for those beside it, and one for restarts.

    Each alert has a job of its own there. How many alerts fire is tested; of the objectives, which ask Prometheus how
    it is now, also what they say.
    """
    cases = {each.alert: each.cases for each in source.objectives} | {each.name: each.cases for each in source.alerts}
    found = [
        _test("fires", {alert: each.fires for alert, each in cases.items()}, cases, [{"labels": "{}", "value": 1}]),
        _test("is silent", {alert: each.silent for alert, each in cases.items()}, cases, []),
        _test("survives a restart", {alert: each.restart for alert, each in cases.items()}, cases, []),
    ]
    found[0]["alert_rule_test"] = [_says(source, each) for each in source.objectives]
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "fuzzy_compare": True, "tests": found}
    return f"# From {SOURCE} by `make generate`, for `promtool test rules`.\n" + yaml.safe_dump(
        document, sort_keys=False, width=10_000, allow_unicode=True
    )


def _test(
    name: str, series: dict[str, Series], cases: dict[str, Cases], samples: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "name": name,
        "interval": "1m",
        "input_series": [
            {"series": _whole(each, alert), "values": values}
            for alert, given in series.items()
            for each, values in given.items()
        ],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{alert}",job="{_job(alert)}",alertstate="firing"}} > 0) > bool 0',
                "eval_time": each.at,
                "exp_samples": samples,
            }
            for alert, each in cases.items()
        ],
    }


def _says(source: Source, objective: Objective) -> dict[str, Any]:
    labels = {
        "job": _job(objective.alert),
        "sloth_id": f"{SERVICE}-{objective.name}",
        "sloth_service": SERVICE,
        "sloth_slo": objective.name,
    }
    annotations = source.annotations(objective.alert, objective.summary, objective.says)
    return {
        "alertname": objective.alert,
        "eval_time": objective.cases.at,
        "exp_alerts": [
            {"exp_labels": {**labels, "severity": severity, "sloth_severity": severity}, "exp_annotations": annotations}
            for severity in ("page", "ticket")
        ],
    }


def _job(alert: str) -> str:
    return f"call-request-gateway-{alert}"


def _whole(series: str, alert: str) -> str:
    """The series with the labels that Prometheus adds to what it scrapes."""
    match = _SERIES.fullmatch(series)
    if match is None:
        raise ValueError(f"no series: {series}")
    labels = match["labels"] or ""
    added = [
        f'job="{_job(alert)}"',
        *([] if "instance=" in labels else ['instance="a"']),
        *([labels] if labels else []),
    ]
    return f"{match['name']}{{{','.join(added)}}}"
