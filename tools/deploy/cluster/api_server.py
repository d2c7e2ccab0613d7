"""A Kubernetes API server on loopback, with an etcd, certificates and a namespace of its own.

Neither controllers nor kubelets run: a Deployment stays as it was applied, and no pod is made of it.
"""

import base64
import ipaddress
import json
import secrets
import ssl
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from cryptography import x509

from testkit.certificate_authority import Authority
from testkit.server_process import ROOT, clean_environment, free_ports, serving

BIN = ROOT / "build" / "bin"
HELM, KUBECTL = BIN / "helm", BIN / "kubectl"
NAMESPACE = "restricted"
_API_TYPES = "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1;sigs.k8s.io/gateway-api/apis/v1"


class ApiServer:
    """A running API server; helm and kubectl reach it through `environment`."""

    def __init__(self, url: str, ca: bytes, token: str, folder: Path) -> None:
        self.environment = clean_environment() | {
            "KUBECONFIG": str(folder / "kubeconfig"),
            "HOME": str(folder),
            "NO_COLOR": "1",
            **{f"HELM_{name}_HOME": str(folder / f"helm-{name.lower()}") for name in ("CACHE", "CONFIG", "DATA")},
        }
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [
                {
                    "name": "test",
                    "cluster": {"server": url, "certificate-authority-data": base64.b64encode(ca).decode()},
                }
            ],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": NAMESPACE}}],
        }
        (folder / "kubeconfig").write_text(json.dumps(config))

    def run(self, *command: str | Path, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Runs a command against this server; its exit code is the caller's to look at."""
        return subprocess.run(
            [str(each) for each in command],
            cwd=ROOT,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def helm(self, *arguments: str | Path) -> str:
        """Runs helm and returns its output. Raises AssertionError with its errors."""
        return _succeeded(self.run(HELM, *arguments))

    def kubectl(self, *arguments: str | Path, stdin: str | None = None) -> str:
        """Runs kubectl and returns its output. Raises AssertionError with its errors."""
        return _succeeded(self.run(KUBECTL, *arguments, stdin=stdin))

    def get(self, *arguments: str) -> dict[str, Any]:
        """An object, or a list of them, as the server has it."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "--output", "json"))
        return found


def _succeeded(ended: "subprocess.CompletedProcess[str]") -> str:
    assert ended.returncode == 0, f"{' '.join(ended.args)}\n{ended.stdout}{ended.stderr}"
    return ended.stdout


@contextmanager
def api_server() -> Iterator[ApiServer]:
    """Starts etcd and the API server, with the definitions of PodMonitor, PrometheusRule and GRPCRoute."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cluster-")))
        client, peer, port = free_ports(3)
        stack.enter_context(_etcd(folder, client, peer))
        server = stack.enter_context(_kubernetes(folder, client, port))
        server.kubectl("create", "namespace", NAMESPACE)
        # What would refuse a pod that is not restricted; warn and audit would only say so.
        server.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
        _define_types(server, folder)
        yield server


@contextmanager
def _etcd(folder: Path, client: int, peer: int) -> Iterator[None]:
    command = (
        BIN / "etcd",
        f"--data-dir={folder / 'etcd'}",
        "--unsafe-no-fsync",
        f"--listen-client-urls=http://127.0.0.1:{client}",
        f"--advertise-client-urls=http://127.0.0.1:{client}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=default=http://127.0.0.1:{peer}",
    )

    def is_ready() -> bool:
        return _answers(f"http://127.0.0.1:{client}/health")

    with serving(command, clean_environment(), folder / "etcd.log", is_ready):
        yield


@contextmanager
def _kubernetes(folder: Path, etcd: int, port: int) -> Iterator[ApiServer]:
    authority, token = Authority(), secrets.token_hex(16)
    own = authority.issue(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    own.write(folder / "server.crt", folder / "server.key")
    (folder / "ca.crt").write_bytes(authority.pem)
    (folder / "tokens.csv").write_text(f'{token},tests,tests,"system:masters"\n')
    command = (
        BIN / "kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={folder / 'server.crt'}",
        f"--tls-private-key-file={folder / 'server.key'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.0.0.0/24",
        f"--service-account-issuer=https://127.0.0.1:{port}",
        f"--service-account-key-file={folder / 'server.crt'}",
        f"--service-account-signing-key-file={folder / 'server.key'}",
        "--endpoint-reconciler-type=none",
    )
    tls = ssl.create_default_context(cadata=authority.pem.decode())

    def is_ready() -> bool:
        return _answers(f"https://127.0.0.1:{port}/readyz", tls, token)

    with serving(command, clean_environment(), folder / "apiserver.log", is_ready):
        yield ApiServer(f"https://127.0.0.1:{port}", authority.pem, token, folder)


def _answers(url: str, tls: ssl.SSLContext | None = None, token: str = "") -> bool:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 (our own)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls))
    try:
        with direct.open(request, timeout=2):
            return True
    except OSError:
        return False


def _define_types(server: ApiServer, folder: Path) -> None:
    subprocess.run(
        [BIN / "controller-gen", "crd:maxDescLen=0", f"paths={_API_TYPES}", f"output:crd:dir={folder / 'crds'}"],
        cwd=ROOT / "tools" / "go" / "crds",
        check=True,
        timeout=120,
    )
    names = ("monitoring.coreos.com_podmonitors", "monitoring.coreos.com_prometheusrules")
    files = [folder / "crds" / f"{name}.yaml" for name in (*names, "gateway.networking.k8s.io_grpcroutes")]
    for file in files:
        # A group of Kubernetes' own demands to know who approved it.
        approval = "metadata:\n  annotations:\n    api-approved.kubernetes.io: unapproved, for tests"
        file.write_text(file.read_text().replace("metadata:\n  annotations:", approval, 1))
        server.kubectl("create", "--filename", file)
    for kind in ("podmonitors.monitoring.coreos.com", "prometheusrules.monitoring.coreos.com"):
        server.kubectl("wait", "--for=condition=Established", f"crd/{kind}", "--timeout=30s")
    server.kubectl("wait", "--for=condition=Established", "crd/grpcroutes.gateway.networking.k8s.io", "--timeout=30s")
