"""The alerts: what they ask for exists, each has its section of the runbook and its fault; times are divided."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from measure.faults.suite import CASES
from server.app import Gateway
from testkit.gateway import metrics_of
from tests.observability.test_metrics import samples
from tools.contract import ROOT
from tools.deploy.alerts import promtool_tests, sloth
from tools.deploy.alerts.rules import RULES, cause_group, faster
from tools.deploy.alerts.source import read
from tools.deploy.dashboards.boards import FILES
from tools.deploy.firing.faults import FAULTS
from tools.deploy.runbook.page import PARTS, sections

SOURCE = read()
GROUPS: list[dict[str, Any]] = yaml.safe_load((ROOT / RULES).read_text())["groups"]
RULE_LIST = [rule for group in GROUPS for rule in group["rules"]]
PAGE = (ROOT / "docs/metrics.md").read_text()
MADE_BY_PROMETHEUS = {"up", "ALERTS"}
NOT_FROM_THE_START = re.compile(
    r"state_up|file_reload|certificate_expiry|caller_rate_limited|workers_|by_caller|process_"
)
"""Series that a gateway without workers, files, an engine and callers does not have."""

SELECTOR = re.compile(r"([a-z_:][a-z0-9_:]*)\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)(=~|!=|=)"([^"]*)"')


def expressions() -> list[Any]:
    """Every expression of rules and panels, with what it belongs to."""
    rules = [(rule.get("alert") or rule["record"], rule["expr"]) for rule in RULE_LIST]
    panels = [
        (f"{board.uid} {panel.title}", query.expr)
        for board in FILES.values()
        for panel in board.panels
        for query in panel.queries
    ]
    return list(dict.fromkeys([*rules, *panels]))


def selectors(expr: str) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """The names and matchers of the series that an expression asks for, but for those that rules record."""
    for name, matchers in SELECTOR.findall(expr):
        if ":" not in name and name not in MADE_BY_PROMETHEUS:
            yield name, MATCHER.findall(matchers)


def test_every_series_that_is_asked_for_is_on_the_page_of_metrics() -> None:
    """The page has all that a gateway exposes, and nothing else: another test holds that."""
    known = set(re.findall(r"^\| `(\w+)` \| (?:counter|gauge|histogram) \|", PAGE, re.MULTILINE))
    known |= {f"{name}_{part}" for name in known for part in ("bucket", "count", "sum")}
    asked = {name for _, expr in expressions() for name, _ in selectors(expr)}
    assert asked - known == set()


async def test_every_value_that_is_asked_for_has_a_series_from_the_start(gateway: Gateway) -> None:
    """A misspelt reason, outcome or bound of a histogram matches nothing, and the alert never fires."""
    series = [(name, dict(labels)) for name, labels in samples(await metrics_of(gateway))]
    missing = []
    for where, expr in expressions():
        for name, matchers in selectors(expr):
            if NOT_FROM_THE_START.match(name) or "rate_limited" in name or "by_caller" in name:
                continue
            for label, operator, value in matchers:
                if label in ("job", "instance"):
                    continue
                values = {labels.get(label, "") for each, labels in series if each == name}
                wanted = value.split("|") if operator == "=~" else [value]
                missing += [
                    (where, name, label, each) for each in wanted if not any(re.fullmatch(each, has) for has in values)
                ]
    assert missing == []


def test_every_expression_is_about_gateways_alone() -> None:
    """Names such as build_info are others', too: each selector has the matcher of the job."""
    bare = re.compile(
        r"\b(?:up|ALERTS|[a-z_]+_(?:total|seconds|count|bucket|bytes|fds)|watchers|calls_in_flight|state_up)\b(?!\{)"
    )
    rules = [rule["expr"] for rule in RULE_LIST]
    assert [expr for expr in rules if bare.search(re.sub(r'"[^"]*"', "", expr))] == []
    without = [
        expr for expr in rules for name, _ in SELECTOR.findall(expr) if ":" not in name and SOURCE.job not in expr
    ]
    assert without == []


def test_every_alert_has_its_section_in_the_runbook_and_no_section_is_without() -> None:
    """Meaning, Impact, Diagnosis, Mitigation, in this order; in the order of the list of alerts."""
    introduction, *rest = sections()
    assert [section.alert for section in rest] == list(SOURCE.rows)
    assert [section.alert for section in rest if section.parts != list(PARTS)] == []
    assert introduction.parts == []


def test_every_rule_links_to_its_section() -> None:
    """In the repository: the page is published nowhere, and an address that leads nowhere is worse than none."""
    alerts = [rule for rule in RULE_LIST if "alert" in rule]
    assert {rule["alert"] for rule in alerts} == set(SOURCE.rows)
    for rule in alerts:
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
        assert rule["annotations"]["summary"]
        assert "runbook_url" not in rule["annotations"]
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_every_rule_links_to_where_the_runbook_is_published() -> None:
    """By the address that a code host makes of the heading; alerts of causes and of objectives do."""
    published = replace(SOURCE, runbook_url="https://wiki.example.com/runbook")
    rules = cause_group(published)["rules"]
    slos = yaml.safe_load(sloth.specification(published))["slos"]
    annotations = [each["annotations"] for each in (*rules, *(slo["alerting"] for slo in slos))]
    assert {each["runbook_url"] for each in annotations} == {
        f"https://wiki.example.com/runbook#{alert.lower()}" for alert in SOURCE.rows
    }
    assert not any("runbook" in each for each in annotations)


def test_every_alert_is_caused_by_a_case_of_the_fault_suite_which_is_played() -> None:
    """The real check plays that case, and the alert is among those that it raises."""
    assert set(SOURCE.rows.values()) <= {case.name for case in CASES}
    played = {(fault.row, alert) for fault in FAULTS for alert in fault.alerts}
    assert [(alert, row) for alert, row in SOURCE.rows.items() if (row, alert) not in played] == []
    assert {alert for _, alert in played} == set(SOURCE.rows)
    assert len({fault.job for fault in FAULTS}) == len(FAULTS)


def test_every_alert_has_a_case_in_each_test_of_promtool() -> None:
    """One under which it fires, one beside it, one with a restart."""
    document = yaml.safe_load(promtool_tests.tests(SOURCE))
    assert [test["name"] for test in document["tests"]] == ["fires", "is silent", "survives a restart"]
    for test in document["tests"]:
        asked = [re.findall(r'alertname="(\w+)"', each["expr"])[0] for each in test["promql_expr_test"]]
        assert asked == list(SOURCE.rows)
        jobs = {re.findall(r'job="call-request-gateway-(\w+)"', each["series"])[0] for each in test["input_series"]}
        assert jobs == set(SOURCE.rows)


def test_the_operator_s_rules_are_the_same() -> None:
    """In a resource of its own kind."""
    resource = yaml.safe_load((ROOT / RULES).with_name("prometheusrule.yaml").read_text())
    assert (resource["apiVersion"], resource["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert resource["spec"]["groups"] == GROUPS


@pytest.mark.parametrize(
    ("rule", "divided"),
    [
        pytest.param({"expr": "rate(a[5m]) > 5"}, {"expr": "rate(a[10000ms]) > 5"}, id="a window"),
        pytest.param({"expr": "a[1h] + a[30d]"}, {"expr": "a[120000ms] + a[86400000ms]"}, id="hours and days"),
        pytest.param({"expr": "a", "for": "2m"}, {"expr": "a", "for": "4000ms"}, id="how long it must hold"),
        pytest.param(
            {"expr": "clamp_min(rate(a[5m]), (1 / 60))"},
            {"expr": "clamp_min(rate(a[10000ms]), (30 / 60))"},
            id="the floor of traffic",
        ),
        pytest.param({"expr": "a - time() < 2 * 86400"}, {"expr": "a - time() < 2 * 86400"}, id="no date"),
    ],
)
def test_times_are_divided_and_nothing_else(rule: dict[str, str], divided: dict[str, str]) -> None:
    """What is played in seconds is otherwise what fires in hours."""
    assert faster([{"name": "some", "rules": [rule]}], 30) == [{"name": "some", "rules": [divided]}]


def test_a_day_of_a_certificate_can_be_shorter() -> None:
    """To see one end in minutes."""
    rule = {"expr": "a - time() < 14 * 86400 and a - time() >= 2 * 86400"}
    [group] = faster([{"name": "some", "rules": [rule]}], 30, day=30)
    assert group["rules"] == [{"expr": "a - time() < 14 * 30 and a - time() >= 2 * 30"}]


def test_no_time_of_the_rules_escapes_the_division() -> None:
    """Every range ends up in milliseconds."""
    text = yaml.safe_dump(faster(GROUPS, 30))
    assert re.findall(r"\[\d+[smhdw]\]", text) == []
    assert len(re.findall(r"\[\d+ms\]", text)) > 60


@pytest.mark.parametrize("path", [pytest.param(path, id=path.name) for path in FILES])
def test_a_dashboard_fits_its_grid_and_names_its_panels_once(path: Path) -> None:
    """Sections fill whole rows of 24 columns or fewer; two panels of one title cannot be told apart."""
    board = FILES[path]
    titles = [panel.title for panel in board.panels]
    assert len(set(titles)) == len(titles)
    assert all(0 < panel.width <= 24 and panel.queries for panel in board.panels)
    assert all(query.legend or panel.kind == "number" for panel in board.panels for query in panel.queries)
