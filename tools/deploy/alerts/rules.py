"""Prometheus' rules: those of the objectives, and one for each cause."""

import re
from typing import Any

import yaml

from . import sloth
from .source import FOLDER, SOURCE, Source

RULES, OPERATOR_RULES = FOLDER / "rules.yaml", FOLDER / "prometheusrule.yaml"

Groups = list[dict[str, Any]]


def cause_group(source: Source) -> dict[str, Any]:
    """The group of the alerts that are about causes."""
    rules = []
    for each in source.alerts:
        rule: dict[str, Any] = {"alert": each.name, "expr": each.expr}
        if each.hold:
            rule["for"] = each.hold
        rule["labels"] = {"severity": each.severity}
        rule["annotations"] = source.annotations(each.name, each.summary)
        rules.append(rule)
    return {"name": "call-request-gateway-causes", "rules": rules}


def objective_groups(specification: str, rules_before: str, *, anew: bool = False) -> Groups:
    """The groups of the objectives. They are taken from the rules that exist if those were made of the same
    specification, so that sloth is needed only when it has changed, or when they are to be made anew.
    """
    if not anew and _head(specification) in rules_before:
        return [each for each in yaml.safe_load(rules_before)["groups"] if each["name"].startswith("sloth-")]
    return sloth.groups(specification)


def as_rules(specification: str, groups: Groups) -> str:
    """The file for Prometheus."""
    return _head(specification) + _dump({"groups": groups})


def as_operator_rules(groups: Groups) -> str:
    """The same as a resource of the Prometheus operator."""
    metadata = {"name": "call-request-gateway", "labels": {"app.kubernetes.io/name": "call-request-gateway"}}
    resource = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": metadata}
    return f"# From {SOURCE} by `make generate`.\n" + _dump({**resource, "spec": {"groups": groups}})


def _head(specification: str) -> str:
    return f"# From {SOURCE} by `make generate`; its objectives, {sloth.digest(specification)}, by sloth.\n"


def _dump(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such, and repeats what is repeated."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)

_DURATION = re.compile(r"(?<=\[)(\d+)([smhdw])(?=\])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def faster(groups: Groups, factor: int, day: float = _SECONDS["d"]) -> Groups:
    """The same rules with each time divided by the factor, to see them fire in seconds.

    These are windows, `for`, and the floor of traffic. day: the seconds of a day until a certificate's end.
    """

    def divided(number: str, unit: str) -> str:
        return f"{round(int(number) * _SECONDS[unit] * 1000 / factor)}ms"

    found = []
    for group in groups:
        rules = []
        for rule in group["rules"]:
            expr = _DURATION.sub(lambda match: divided(*match.groups()), rule["expr"])
            expr = expr.replace("(1 / 60)", f"({factor} / 60)").replace("* 86400", f"* {day:g}")
            changed = rule | {"expr": expr}
            if "annotations" in rule:  # their texts may query
                changed["annotations"] = {
                    name: _DURATION.sub(lambda match: divided(*match.groups()), text)
                    for name, text in rule["annotations"].items()
                }
            if "for" in rule:
                changed["for"] = divided(rule["for"][:-1], rule["for"][-1])
            rules.append(changed)
        found.append({"name": group["name"], "rules": rules})
    return found
