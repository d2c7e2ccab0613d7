"""deploy/compose.yaml: what it says of the gateway holds, and nothing of it is reachable from elsewhere."""

import re
from typing import Any

import pytest
import yaml

from server.settings import PREFIX, Settings
from tools.contract import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
GATEWAY = SERVICES["gateway"]
SERVICE = [pytest.param(each, id=name) for name, each in SERVICES.items()]


@pytest.mark.parametrize("service", SERVICE)
def test_each_service_is_locked_down(service: dict[str, Any]) -> None:
    """Read-only, without capabilities, and without a way to get some."""
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("service", SERVICE)
def test_ports_are_published_on_loopback_only(service: dict[str, Any]) -> None:
    """It allows plaintext and the sandbox: nobody else may reach them."""
    assert [port for port in service.get("ports", []) if not port.startswith("127.0.0.1:")] == []


def test_the_gateways_environment_is_of_settings() -> None:
    """A name that is no setting changes nothing."""
    names = {name.removeprefix(PREFIX).lower() for name in GATEWAY["environment"]}
    assert names - set(Settings.model_fields) == set()


def test_the_gateway_has_its_whole_grace_to_end() -> None:
    """Compose kills after 10 s unless it is told otherwise."""
    assert float(GATEWAY["stop_grace_period"].removesuffix("s")) > Settings.model_fields["grace"].default


def test_the_probe_is_the_dockerfiles() -> None:
    """An image in OCI's format has none of its own."""
    words = re.search(r"^HEALTHCHECK .*\n\s+CMD \[(.*)\]$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert words is not None
    assert ["CMD", *re.findall(r'"([^"]+)"', words[1])] == GATEWAY["healthcheck"]["test"]


def test_prometheus_scrapes_the_gateway_by_the_name_that_the_alerts_know() -> None:
    """The rules select `job`; the address is the gateway's in the network of the services."""
    config = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    (selector,) = set(re.findall(r'job=~"([^"]+)"', (ROOT / "deploy/alerts/rules.yaml").read_text()))
    assert re.fullmatch(selector, job["job_name"])
    assert job["static_configs"] == [{"targets": ["gateway:9464"]}]


def test_prometheus_is_the_version_that_the_alerts_are_tested_with() -> None:
    """`make deploy-check` builds one: v0.316.0 of the Go module is 3.16.0."""
    module = re.search(r"prometheus/prometheus v0\.(\d)(\d+)\.(\d+)", (ROOT / "tools/go/alerts/go.mod").read_text())
    assert module is not None
    assert SERVICES["prometheus"]["image"].endswith(f":v{module[1]}.{int(module[2])}.{module[3]}")
