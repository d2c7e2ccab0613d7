"""The containers of the rendered chart, as a kubelet would start them: their environment, their mounted files."""

import base64
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509

from testkit.certificate_authority import Authority
from testkit.server_process import ROOT

from .api_server import HELM, NAMESPACE

CHART = ROOT / "deploy" / "chart"
EXAMPLES = sorted((CHART / "ci").glob("*-values.yaml"))
"""Values for each way to run it."""

MOUNTED = "/run/gateway"

_KEYS = base64.b64encode(bytes(range(32))).decode()
_SECRETS = {
    "gateway_vendor_client_id": "desk",
    "gateway_vendor_client_secret": "secret",
    "gateway_vendor_proxy": "http://127.0.0.1:9",
    "gateway_state_url": "rediss://127.0.0.1:9",
    "gateway_state_keys": _KEYS,
    "gateway_webhook_secrets": f"whsec_{_KEYS}",
}


def rendered(*arguments: str | Path) -> list[dict[str, Any]]:
    """The chart's objects with these arguments of `helm template`."""
    command = (str(HELM), "template", "calls", str(CHART), "--namespace", NAMESPACE, *map(str, arguments))
    ended = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return [each for each in yaml.safe_load_all(ended.stdout) if each]


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a Deployment, with the pod that it is in."""

    spec: dict[str, Any]
    pod: dict[str, Any]
    objects: list[dict[str, Any]]

    def environment(self) -> dict[str, str]:
        """Its variables; those from elsewhere in the cluster are 7."""
        return {each["name"]: each.get("value", "7") for each in self.spec.get("env", [])}

    def mount(self, folder: Path) -> None:
        """Writes the files of its volumes, each below `folder` as it is below MOUNTED."""
        authority = Authority()
        issued = authority.issue(x509.DNSName("gateway.example"))
        files = _SECRETS | {
            "tls.crt": issued.certificate.decode(),
            "tls.key": issued.key.decode(),
            "ca.crt": authority.pem.decode(),
            "callers.toml": self._callers(),
        }
        volumes = {each["name"]: each for each in self.pod.get("volumes", [])}
        for mount in self.spec.get("volumeMounts", []):
            into = folder / Path(mount["mountPath"]).relative_to(MOUNTED)
            into.mkdir()
            for path in _paths(volumes[mount["name"]]):
                (into / path).write_text(files[path])

    def _callers(self) -> str:
        found = [each["data"] for each in self.objects if each["kind"] == "ConfigMap"]
        own = [each["callers.toml"] for each in found if "callers.toml" in each]
        return own[0] if own else '[[caller]]\nname = "desk"\ntoken_sha256 = "' + "0" * 64 + '"\nmay = ["read"]\n'


def containers(objects: list[dict[str, Any]]) -> dict[str, Container]:
    """Those of all Deployments, by name."""
    pods = [each["spec"]["template"]["spec"] for each in objects if each["kind"] == "Deployment"]
    return {spec["name"]: Container(spec, pod, objects) for pod in pods for spec in pod["containers"]}


def _paths(volume: dict[str, Any]) -> list[str]:
    """The files of a volume, all of them named one by one."""
    if "projected" in volume:
        return [path for source in volume["projected"]["sources"] for path in _paths(source)]
    source = volume.get("secret") or volume.get("configMap")
    assert source, json.dumps(volume)
    return [item["path"] for item in source["items"]]
