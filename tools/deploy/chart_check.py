"""Checks the chart without a cluster: python -m tools.deploy.chart_check.

With each of deploy/chart/ci/*-values.yaml: `helm lint`, `helm template`, YAML in which no key is repeated, as strict
readers want it, and kube-score, which may find no criticals.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from tools.contract import ROOT
from tools.deploy.chart import CHART

BIN = ROOT / "build" / "bin"
ASSIGNED = "container-security-context-user-group-id"
"""kube-score's check of users and groups, which a cluster that assigns them passes without the chart."""


def findings(values: Path) -> str:
    """What is wrong with the chart and these values; empty when nothing is."""
    run = _run("helm", "lint", "--strict", CHART, "--values", values)
    if run.returncode:
        return run.stdout + run.stderr
    rendered = _run("helm", "template", "calls", CHART, "--namespace", "gateway", "--values", values)
    if rendered.returncode:
        return rendered.stderr
    if repeated := list(repeated_keys(rendered.stdout)):
        return "\n".join(repeated)
    ignored = ("--ignore-test", ASSIGNED) if values.name.startswith("assigned-user") else ()
    run = _run("kube-score", "score", "--output-format", "ci", *ignored, "-", stdin=rendered.stdout)
    critical = [line for line in run.stdout.splitlines() if line.startswith("[CRITICAL]")]
    return "\n".join(critical) or ("" if "[OK]" in run.stdout else f"kube-score scored nothing: {run.stderr}")


def repeated_keys(documents: str) -> Iterator[str]:
    """A line for each key that an object of the YAML has twice: most readers take the last, some refuse it."""
    nodes = list(yaml.compose_all(documents, yaml.SafeLoader))
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            yield from (f"{key} is there twice" for key in sorted(set(keys)) if keys.count(key) > 1)
            nodes += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value


def _run(command: str, *arguments: str | Path, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
    words = [str(BIN / command), *map(str, arguments)]
    return subprocess.run(words, input=stdin, capture_output=True, text=True, check=False)


def main() -> int:
    failed = False
    for values in sorted((CHART / "ci").glob("*-values.yaml")):
        found = findings(values)
        print(f"{values.name}: {found or 'ok'}")
        failed |= bool(found)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
