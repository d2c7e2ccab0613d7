"""Checks the chart without a cluster: python -m tools.deploy.chart_check.

With each of deploy/chart/ci/*-values.yaml: `helm lint`, `helm template`, and kube-score, which may find no criticals.
"""

import subprocess
import sys
from pathlib import Path

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
    ignored = ("--ignore-test", ASSIGNED) if values.name.startswith("assigned-user") else ()
    run = _run("kube-score", "score", "--output-format", "ci", *ignored, "-", stdin=rendered.stdout)
    critical = [line for line in run.stdout.splitlines() if line.startswith("[CRITICAL]")]
    return "\n".join(critical) or ("" if "[OK]" in run.stdout else f"kube-score scored nothing: {run.stderr}")


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
