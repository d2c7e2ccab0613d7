"""Has sabledocs make the pages, and writes the one in Markdown."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tools.contract import ROOT, descriptor_set, version
from tools.reference.comments import annotate, oneof_comments
from tools.reference.markdown import markdown

HERE = Path(__file__).parent
ENVIRONMENT = ROOT / "build/sabledocs"
CONFIG = """
module-title = "Call request gateway"
input-descriptor-file = "contract.binpb"
output-dir = "site"
template-path = "templates"
hidden-packages = ["google.protobuf"]
member-ordering = "preserve"
enable-lunr-search = false
markdown-extensions = ["fenced_code", "md_in_html", "sane_lists"]
"""


class SiteError(Exception):
    """sabledocs could not be installed, or failed; the text has its output."""


def build(into: Path) -> None:
    """Writes the pages into an empty folder. Raises SiteError."""
    contract = FileDescriptorSet.FromString(descriptor_set())
    (into / "README.md").write_text(markdown(contract))
    annotate(contract, (ROOT / "docs/examples.md").read_text())
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "contract.binpb").write_bytes(contract.SerializeToString())
        (folder / "sabledocs.toml").write_text(CONFIG)
        shutil.copytree(HERE / "templates", folder / "templates")
        (folder / "templates/facts.html").write_text(_facts(contract))
        _run([str(_sabledocs())], folder)
        shutil.copytree(folder / "site", into, dirs_exist_ok=True)


def _facts(contract: FileDescriptorSet) -> str:
    """Variables of Jinja that the templates need and sabledocs does not set."""
    methods = [method for file in contract.file for service in file.service for method in service.method]
    facts = {
        "version": version(),
        "streaming": [method.name for method in methods if method.server_streaming],
        "oneofs": {name: comment for file in contract.file for name, comment in oneof_comments(file)},
    }
    return "".join(f"{{% set {name} = {value!r} %}}" for name, value in facts.items())


def _sabledocs() -> Path:
    """Its command, installed unless the pinned one is there."""
    requirements = HERE / "requirements.txt"
    stamp = ENVIRONMENT / f".{hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]}"
    if not stamp.exists():
        _run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(ENVIRONMENT)], ROOT)
        install = ["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(requirements)]
        _run([sys.executable, "-m", "pip", "--python", str(ENVIRONMENT / "bin/python"), *install], ROOT)
        stamp.touch()
    return ENVIRONMENT / "bin/sabledocs"


def _run(command: list[str], folder: Path) -> None:
    ended = subprocess.run(  # noqa: S603 (our own commands)
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if ended.returncode != 0:
        raise SiteError(f"{' '.join(command)}: exit code {ended.returncode}\n{ended.stdout}")
