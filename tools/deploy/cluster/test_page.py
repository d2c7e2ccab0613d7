"""The commands of docs/kubernetes.md, as they stand there, one after the other."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from testkit.certificate_authority import Authority
from testkit.server_process import ROOT

from .api_server import BIN, HELM, ApiServer

PAGE = (ROOT / "docs" / "kubernetes.md").read_text()
NAME = "calls-call-request-gateway"


def blocks(kind: str) -> list[str]:
    """The page's blocks of that kind, whose language it is."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(server: ApiServer, tmp_path: Path) -> Iterator[Path]:
    """Where a reader of the page would be: with the chart, the values and a certificate."""
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    (values,) = (each for each in blocks("yaml") if each.startswith("# values.yaml"))
    (tmp_path / "values.yaml").write_text(values)
    Authority().issue(x509.DNSName("gateway.example")).write(tmp_path / "tls.crt", tmp_path / "tls.key")
    yield tmp_path
    server.run(HELM, "uninstall", "calls", "--namespace", "gateway")
    server.kubectl("delete", "namespace", "gateway", "--wait=false")


def test_they_succeed(server: ApiServer, folder: Path) -> None:
    """From an empty cluster to one that scales by itself."""
    commands = blocks("sh")
    assert len(commands) == 6
    for each in commands:
        ended = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", each],
            cwd=folder,
            env=server.environment | {"PATH": f"{BIN}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ended.returncode == 0, each + ended.stdout + ended.stderr
    spec = server.get("deployment", NAME, "--namespace", "gateway")["spec"]
    assert spec["replicas"] == 4
    (container,) = spec["template"]["spec"]["containers"]
    assert {"name": "GATEWAY_VENDOR_URL", "value": "https://vendor.example"} in container["env"]
    assert server.get("hpa", NAME, "--namespace", "gateway")


def test_its_other_values_are_taken(server: ApiServer, folder: Path) -> None:
    """Those that a paragraph shows, beside the whole file."""
    for number, each in enumerate(blocks("yaml")):
        (folder / f"{number}.yaml").write_text(each)
        server.helm(
            *("template", "calls", ROOT / "deploy" / "chart"),
            *("--values", folder / "values.yaml", "--values", folder / f"{number}.yaml"),
        )
