"""The rules of the objectives, by sloth: a burn rate over two windows each, as in Google's SRE workbook."""

import hashlib
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

from tools.contract import ROOT

from .source import Source

SLOTH = ROOT / "build" / "bin" / "sloth"
SERVICE = "call-request-gateway"


def specification(source: Source) -> str:
    """What sloth is to make rules of, as YAML."""
    slos = [
        {
            "name": each.name,
            "objective": each.objective,
            "description": each.what,
            "sli": {
                "events": {
                    "error_query": each.errors.replace("$window", "{{.window}}"),
                    "total_query": each.total.replace("$window", "{{.window}}"),
                }
            },
            "alerting": {
                "name": each.alert,
                "annotations": source.annotations(each.alert, each.summary, each.description),
                "page_alert": {"labels": {"severity": "page"}},
                "ticket_alert": {"labels": {"severity": "ticket"}},
            },
        }
        for each in source.objectives
    ]
    return yaml.safe_dump({"version": "prometheus/v1", "service": SERVICE, "slos": slos}, sort_keys=False, width=10_000)


def digest(text: str) -> str:
    """Of a specification: rules that were made of it need not be made again."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def groups(text: str) -> list[dict[str, Any]]:
    """The groups of rules that sloth makes of a specification. Builds sloth when it is missing."""
    subprocess.run((ROOT / "tools/go/install", "sloth"), cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "slos.yaml", Path(folder) / "rules.yaml"
        given.write_text(text)
        command = (SLOTH, "generate", "--input", given, "--out", made, "--default-slo-period", "30d")
        subprocess.run(command, check=True, capture_output=True)
        made_groups: list[dict[str, Any]] = yaml.safe_load(made.read_text())["groups"]
    for group in made_groups:
        for rule in group["rules"]:
            rule["expr"] = rule["expr"].strip()
            if rule.get("annotations", {}).pop("title", None):  # sloth's own summary, which tells less
                rule["annotations"] = dict(sorted(rule["annotations"].items()))
    return made_groups
