"""What the rendered chart says about a rollout."""

import json
import subprocess
from dataclasses import dataclass
from typing import Any

import yaml

from testkit.server_process import ROOT

CHART = ROOT / "deploy" / "chart"


@dataclass(frozen=True, slots=True)
class Probe:
    """An HTTP probe: its path, and seconds and numbers as in the chart."""

    path: str
    period: float
    timeout: float
    failures: int


@dataclass(frozen=True, slots=True)
class Timings:
    """A Deployment's timings, in seconds, and the environment of its container."""

    replicas: int
    min_ready: float
    max_surge: int
    max_unavailable: int
    termination_grace: float
    startup: Probe
    readiness: Probe
    environment: dict[str, str]


def timings(*values: str) -> Timings:
    """Renders the chart with these values (`a.b=1`). Raises CalledProcessError."""
    sets = [part for each in values for part in ("--set", each)]
    command = (str(ROOT / "build" / "bin" / "helm"), "template", "calls", str(CHART))
    shown = ("--show-only", "templates/deployment.yaml")
    rendered = subprocess.run([*command, *shown, *sets], stdout=subprocess.PIPE, check=True, text=True).stdout
    return read(yaml.safe_load(rendered)["spec"])


def read(spec: dict[str, Any]) -> Timings:
    """The timings of a Deployment's spec."""
    pod, update = spec["template"]["spec"], spec["strategy"]["rollingUpdate"]
    (container,) = pod["containers"]
    assert "lifecycle" not in container, json.dumps(container["lifecycle"])  # it would take a part of the grace
    return Timings(
        replicas=spec["replicas"],
        min_ready=spec["minReadySeconds"],
        max_surge=update["maxSurge"],
        max_unavailable=update["maxUnavailable"],
        termination_grace=pod["terminationGracePeriodSeconds"],
        startup=_probe(container["startupProbe"]),
        readiness=_probe(container["readinessProbe"]),
        environment={each["name"]: each["value"] for each in container["env"]},
    )


def _probe(probe: dict[str, Any]) -> Probe:
    return Probe(probe["httpGet"]["path"], probe["periodSeconds"], probe["timeoutSeconds"], probe["failureThreshold"])
