"""What an operator looks at: alerts, dashboards as text, and a shell beside a replica."""

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from server.state.connecting import parse_state_url
from tools.deploy.dashboards.boards import FILES
from tools.deploy.firing.grafana_variables import grafana_sets
from tools.deploy.firing.prometheus import Prometheus
from tools.deploy.runbook.page import adapted

from .folder import PROGRAMS
from .replica import environment_of

SHOWN_SERIES = 12
PAST_SECONDS = 120


async def alerts(prometheus: Prometheus) -> str:
    """Those that fire, are about to, or no longer do, with what they say and where the runbook has them."""
    found = (await prometheus.alerts())["alerts"]
    lines = [_now()]
    for each in sorted(found, key=lambda alert: str(alert["activeAt"])):
        labels, texts = each["labels"], each["annotations"]
        lines += [
            f"{each['state']:8} {named(labels)} since {each['activeAt'][11:19]}",
            *(f"         {texts[name]}" for name in ("summary", "description", "runbook") if name in texts),
        ]
    past = await prometheus.query(
        f'count by (alertname, severity) (max_over_time(ALERTS{{alertstate="firing"}}[{PAST_SECONDS}s]))'
    )
    over = {named(labels) for labels, _ in past} - {named(each["labels"]) for each in found}
    lines += [f"over     {name}, which fired in the last {PAST_SECONDS // 60} minutes" for name in sorted(over)]
    return "\n".join(lines if len(lines) > 1 else [*lines, "no alert"])


def named(labels: Mapping[str, str]) -> str:
    """An alert with its severity: a page may be over while the ticket of its name fires on."""
    return f"{labels['alertname']} ({labels.get('severity', '')})"


async def boards(prometheus: Prometheus, wanted: str) -> str:
    """Each panel of the dashboards whose name has this text, with what its queries return now."""
    lines = [_now()]
    for board in FILES.values():
        if wanted not in board.uid:
            continue
        lines.append(f"\n== {board.title}: {board.note}")
        for section in board.sections:
            lines.append(f"\n-- {section.title}")
            for panel in section.panels:
                lines.append(f"{panel.title} [{panel.unit}]{': ' + panel.note if panel.note else ''}")
                for query in panel.queries:
                    lines += _shown(await prometheus.query(grafana_sets(query.expr)), query.legend)
    return "\n".join(lines)


def _now() -> str:
    return time.strftime("%H:%M:%S UTC", time.gmtime())


def _shown(found: list[tuple[dict[str, str], float]], legend: str) -> list[str]:
    rows = []
    for labels, value in sorted(found, key=lambda each: -each[1])[:SHOWN_SERIES]:
        name = legend
        for label, text in labels.items():
            name = name.replace("{{" + label + "}}", text)
        rows.append(f"    {value:12.4g}  {name}")
    return rows or ["               -"]


def run_at(replica: Path, command: str) -> int:
    """Runs a command of the runbook beside a replica, and prints its output. Returns its exit code."""
    environment = environment_of(replica)
    process = (replica / "pid").read_text().strip()
    state = parse_state_url(environment["GATEWAY_STATE_URL"])
    sentinel, port = state.nodes[0]
    here = adapted(command, environment["GATEWAY_METRICS_LISTEN"], port)
    if here != command:
        print(f"+ {here}", flush=True)
    known = {name: os.environ[name] for name in ("TERM",) if name in os.environ}
    path = f"{replica.parent / PROGRAMS}{os.pathsep}{environment['PATH']}"
    beside = {"PID": process, "SENTINEL": sentinel, "SERVICE": state.service, "PATH": path}
    return subprocess.run(["bash", "-c", here], cwd=replica, env=environment | known | beside, check=False).returncode
