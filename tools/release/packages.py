"""What a release has beside the image: the gateway's wheel and source archive, the contract's packages, the chart."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.contract import ROOT, releases
from tools.release.archive import write_tar

HELM = ROOT / "build/bin/helm"


def build_python(tree: Path, epoch: int, out: Path) -> None:
    """Writes the source archive, and the wheel that is built of it: so who has the one can make the other."""
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(epoch)}
    hatchling = [sys.executable, "-m", "hatchling", "build", "--directory", str(out), "--target"]
    subprocess.run([*hatchling, "sdist"], cwd=tree, env=environment, check=True, stdout=sys.stderr)
    (archive,) = out.glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["tar", "--extract", "--strip-components=1", "--file", archive], cwd=folder, check=True)
        subprocess.run([*hatchling, "wheel"], cwd=folder, env=environment, check=True, stdout=sys.stderr)


def build_stubs(tree: Path, languages: Sequence[str], out: Path) -> None:
    """Writes the packages of the contract there, and the descriptor set as it was released.

    Of the exported tree, which has the same modes whatever the umask of the clone: archives have them, too.
    """
    (tree / ".venv").symlink_to(ROOT / ".venv")
    (tree / "build").symlink_to(ROOT / "build")
    command = [sys.executable, "-m", "tools.stubs", "--out", str(out), *languages]
    subprocess.run(command, cwd=tree, check=True, stdout=sys.stderr, umask=0o022)
    shutil.copy(releases()[-1], out)
    (out / "SHA256SUMS").unlink()  # the release's own has all of them
    for index in out.rglob("maven-metadata.xml*"):
        index.unlink()  # it has the time of the build, and repositories write their own


def build_chart(tree: Path, epoch: int, out: Path) -> bool:
    """Packages the chart; returns whether there is one, and a helm to do it."""
    chart = tree / "deploy/chart"
    if not chart.is_dir() or not HELM.exists():
        return False
    with tempfile.TemporaryDirectory() as folder:
        command: list[str | Path] = [HELM, "package", chart, "--destination", folder]
        subprocess.run(command, check=True, stdout=sys.stderr)
        (packed,) = Path(folder).glob("*.tgz")
        unpacked = Path(folder) / "unpacked"
        unpacked.mkdir()
        subprocess.run(["tar", "--extract", "--file", packed], cwd=unpacked, check=True)
        write_tar(unpacked, epoch, out / packed.name)  # helm writes the files' times
    return True
