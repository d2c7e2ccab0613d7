"""The image's bill of materials, by CycloneDX: what is in its layers, not what was meant to be.

Python's packages by their own metadata, Debian's by dpkg's list, and Python itself.
"""

import email
import json
import re
import tarfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tools.release.source import Source

_KEPT = re.compile(r"(.*\.dist-info/METADATA|var/lib/dpkg/status|etc/os-release|usr/lib/os-release)$")
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/")
Component = dict[str, Any]


def bill_of_materials(layout: Path, source: Source) -> str:
    """The JSON for the only image in a folder of OCI's layout: the same text for the same image."""
    manifest, digest = _manifest(layout)
    files = read_layers(layers_of(layout, manifest))
    config = json.loads(_blob(layout, manifest["config"]["digest"]).read_bytes())
    environment = dict(each.split("=", 1) for each in config["config"]["Env"])
    found = [*_python(environment), *_python_packages(files), *_debian_packages(files)]
    image = {
        "type": "container",
        "bom-ref": "image",
        "name": "call-request-gateway",
        "version": source.version,
        "licenses": [{"license": {"id": "Apache-2.0"}}],
        "hashes": [{"alg": "SHA-256", "content": digest.removeprefix("sha256:")}],
    }
    bill = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, digest)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(source.epoch, UTC).isoformat(),
            "component": image,
        },
        "components": found,
        "dependencies": [{"ref": "image", "dependsOn": [each["bom-ref"] for each in found]}],
    }
    return json.dumps(bill, indent=2) + "\n"


def _manifest(layout: Path) -> tuple[dict[str, Any], str]:
    (entry,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    return json.loads(_blob(layout, entry["digest"]).read_bytes()), entry["digest"]


def _blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/")


def layers_of(layout: Path, manifest: Mapping[str, Any]) -> list[Path]:
    """The archives of an image's layers, the lowest first."""
    return [_blob(layout, layer["digest"]) for layer in manifest["layers"]]


def read_layers(archives: Iterable[Path]) -> dict[str, str]:
    """The text of the files that name packages, by path, as the uppermost layer has them."""
    files: dict[str, str] = {}
    for path in archives:
        with tarfile.open(path) as layer:
            for entry in layer:
                name = entry.name.removeprefix("./")
                if "/.wh." in f"/{name}":
                    gone = name.replace(".wh..wh..opq", "").replace(".wh.", "").rstrip("/")
                    files = {each: text for each, text in files.items() if not f"{each}/".startswith(f"{gone}/")}
                elif entry.isfile() and _KEPT.match(name) and (content := layer.extractfile(entry)):
                    files[name] = content.read().decode()
    return files


def _python(environment: Mapping[str, str]) -> Iterator[Component]:
    if number := environment.get("PYTHON_VERSION"):
        cpe = f"cpe:2.3:a:python:python:{number}:*:*:*:*:*:*:*"
        yield _component("application", "python", number, f"pkg:generic/python@{number}") | {"cpe": cpe}


def _python_packages(files: Mapping[str, str]) -> Iterator[Component]:
    for path in sorted(path for path in files if path.endswith("METADATA")):
        metadata = email.message_from_string(files[path])
        name = re.sub(r"[-_.]+", "-", metadata["Name"]).lower()
        made = _component("library", name, metadata["Version"], f"pkg:pypi/{name}@{metadata['Version']}")
        if expression := metadata["License-Expression"]:
            made["licenses"] = [{"expression": expression}]
        yield made


def _debian_packages(files: Mapping[str, str]) -> Iterator[Component]:
    system = next((text for path, text in files.items() if path.endswith("os-release")), "")
    release = re.search(r'^VERSION_ID="?([\d.]+)', system, re.MULTILINE)
    distribution = f"&distro=debian-{release[1]}" if release else ""
    for stanza in files.get("var/lib/dpkg/status", "").split("\n\n"):
        package = email.message_from_string(stanza.lstrip())
        if "installed" in package.get("Status", "").split():
            name, number, machine = package["Package"], package["Version"], package["Architecture"]
            escaped = number.replace(":", "%3A").replace("+", "%2B").replace("~", "~")
            url = f"pkg:deb/debian/{name.replace('+', '%2B')}@{escaped}?arch={machine}{distribution}"
            yield _component("library", name, number, url)


def _component(kind: str, name: str, number: str, url: str) -> Component:
    return {"type": kind, "bom-ref": url, "name": name, "version": number, "purl": url}
