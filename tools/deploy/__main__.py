"""Runs the checks of what `deploy/` ships, one after the other, and prints a table.

`python -m tools.deploy [NAME ...]` runs the named ones, or all. What a check prints goes to build/deploy/NAME.log; its
end is shown when the check fails. Exit code 1 when one did.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
LOGS = ROOT / "build" / "deploy"
SHOWN_LINES = 40
MAX_TRIES = 2
"""How often a check is run until it passes: what else the machine does is not its fault."""
TIMEOUT = 1500.0
"""Seconds for a command; the first build of the tools takes the longest."""


class Check(NamedTuple):
    name: str
    """Also of its log."""
    what: str
    """It checks, in a line."""
    commands: tuple[tuple[str, ...], ...]
    """Run in this order, from the root; the first that fails ends the check."""


CHECKS: tuple[Check, ...] = (
    Check(
        "alerts",
        "each alert fires for its fault, not beside it, and not for a restart; sloth makes the same rules",
        (
            ("tools/go/install", "alerts", "sloth"),
            ("build/bin/promtool", "check", "rules", "deploy/alerts/rules.yaml"),
            ("build/bin/promtool", "test", "rules", "deploy/alerts/tests.yaml"),
            (sys.executable, "-m", "tools.deploy.alerts", "--anew"),
        ),
    ),
    Check(
        "runbook",
        "each command of the runbook does what it should, beside a gateway",
        ((sys.executable, "-m", "tools.deploy.runbook"),),
    ),
    Check(
        "firing",
        "real gateways under faults, a real Prometheus: exactly their alerts fire; dashboards' queries return data",
        (("tools/go/install", "alerts"), (sys.executable, "-m", "tools.deploy.firing")),
    ),
    Check(
        "chart",
        "helm lint, templates and refusals by helm-unittest, kube-score without criticals, for each ci/*-values.yaml",
        (
            ("tools/go/install", "chart", "score"),
            ("build/bin/helm-unittest", "--strict", "deploy/chart"),
            (sys.executable, "-m", "tools.deploy.chart_check"),
        ),
    ),
    Check(
        "cluster",
        "a real API server: install, upgrade, scale, rollback, Pod Security restricted, docs/kubernetes.md's commands",
        (
            ("tools/go/install", "chart", "cluster", "crds"),
            (sys.executable, "-m", "pytest", "-q", "--timeout", "300", "tools/deploy/cluster"),
        ),
    ),
    Check(
        "rollout",
        "two gateways replaced by the chart's timings under 200 calls/s and 500 watches: none lost",
        (("tools/go/install", "chart"), (sys.executable, "-m", "tools.deploy.rollout")),
    ),
    Check(
        "unit",
        "the systemd unit is well-formed, and exposes little",
        ((sys.executable, "-m", "tools.deploy.unit"),),
    ),
    Check(
        "compose",
        "Docker Compose's own parser reads deploy/compose.yaml, promtool the Prometheus in it",
        (
            ("tools/go/install", "compose", "alerts"),
            ("build/bin/compose-config", "deploy/compose.yaml"),
            ("build/bin/promtool", "check", "config", "--syntax-only", "deploy/prometheus.yml"),
        ),
    ),
    Check(
        "image",
        "built, and run read-only, without root and capabilities, by runc: start, probe, signals, workers",
        ((sys.executable, "-m", "tools.deploy.image"),),
    ),
    Check(
        "release",
        "two clean clones make the same files; signatures and provenance hold, and a changed byte is found",
        (("tools/go/install", "release", "chart"), (sys.executable, "-m", "tools.deploy.release")),
    ),
)


def run(check: Check) -> bool:
    """Returns whether every command of the check ended with 0."""
    with (LOGS / f"{check.name}.log").open("a") as log:
        for command in check.commands:
            log.write(f"$ {' '.join(command)}\n")
            log.flush()
            try:
                subprocess.run(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, check=True, timeout=TIMEOUT)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                log.write(f"{error}\n")
                return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.deploy", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *(check.name for check in CHECKS)], help="all, unless given")
    names = parser.parse_args().names
    LOGS.mkdir(parents=True, exist_ok=True)
    failed = []
    for check in CHECKS:
        if names and check.name not in names:
            continue
        started = time.monotonic()
        (LOGS / f"{check.name}.log").unlink(missing_ok=True)
        tries = next((number for number in range(1, MAX_TRIES + 1) if run(check)), None)
        result = "FAILED" if tries is None else "ok" if tries == 1 else "ok (2nd)"
        print(f"{check.name:14}{result:10}{time.monotonic() - started:6.0f} s  {check.what}", flush=True)
        if tries is None:
            failed.append(check.name)
    for name in failed:
        lines = (LOGS / f"{name}.log").read_text(errors="replace").splitlines()
        print(f"\n{name}, the end of build/deploy/{name}.log:", *lines[-SHOWN_LINES:], sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
