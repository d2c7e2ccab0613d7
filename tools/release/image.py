"""The image as an archive in OCI's layout, built by buildah: the same bytes for the same files and the same base.

Root is not asked for by buildah, but by `deploy/image/local-base` and by the chroot that builds without a container
engine. Nothing of the machine's own containers is touched: storage is a folder in build/.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.contract import ROOT

DEFAULT_BASE = "docker.io/library/python:3.13-slim-bookworm"
LOCAL = "local"
"""As a base: the stand-in that deploy/image/local-base makes, for machines that reach no registry of images."""
STORAGE = ROOT / "build" / "containers"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "call-request-gateway"
BUILDAH = ("buildah", "--storage-driver", "vfs", "--root", str(STORAGE / "storage"), "--runroot", str(STORAGE / "run"))
_STAND_IN = "localhost/python-stand-in"
_CA = Path(os.environ.get("PIP_CERT", "/nowhere"))


class NoImageError(Exception):
    """An image cannot be built here; the text has what is missing."""


def buildah(*arguments: str | Path) -> str:
    """Runs it; returns what it prints, without the last line's end. Raises CalledProcessError."""
    STORAGE.mkdir(parents=True, exist_ok=True)
    ended = subprocess.run([*BUILDAH, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return ended.stdout.strip()


def require_buildah() -> None:
    """Installs Debian's packages where root may. Raises NoImageError."""
    if os.geteuid() != 0:
        raise NoImageError("not root: buildah's chroot and a base by debootstrap need it")
    missing = [name for name in ("buildah", "runc", "debootstrap") if shutil.which(name) is None]
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise NoImageError(f"no {', '.join(missing)}, and no apt-get to install it with")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *missing]):
        subprocess.run(["apt-get", *command], check=True, env=environment, stdout=subprocess.DEVNULL)


def prepare_base(base: str) -> tuple[str, str]:
    """Returns the name for the build argument BASE, and the image's digest, in hex. Raises NoImageError."""
    if base != LOCAL:
        buildah("pull", "--quiet", base)
        digest = buildah("inspect", "--type", "image", "--format", "{{.FromImageDigest}}", base)
        return base, digest.removeprefix("sha256:")
    prefix = _python_prefix()
    script = ROOT / "deploy/image/local-base"
    key = hashlib.sha256(script.read_bytes() + str(prefix).encode()).hexdigest()[:16]
    archive = CACHE / f"python-{key}.tar"
    if not archive.exists():
        subprocess.run([script, archive], check=True, env=os.environ | {"PYTHON_PREFIX": str(prefix)})
    identity = buildah("pull", "--quiet", f"oci-archive:{archive}")
    buildah("tag", identity, _STAND_IN)
    return _STAND_IN, identity.removeprefix("sha256:")


def _python_prefix() -> Path:
    """The newest Python of pyenv's from 3.12 on, or the one that runs this. Raises NoImageError for Debian's own."""
    versions = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    found = [path.parents[1] for minor in (13, 12) for path in sorted(versions.glob(f"3.{minor}.*/bin/python3"))]
    prefix = found[0] if found else Path(sys.base_prefix)
    if prefix == Path("/usr"):
        raise NoImageError("a base by itself needs a Python outside /usr: pass --base python:3.13-slim-bookworm")
    return prefix


def build(context: Path, base: str, version: str, revision: str, epoch: int) -> str:
    """Builds the image of the Dockerfile there, always anew; returns its id."""
    with tempfile.TemporaryDirectory() as folder:
        identity = Path(folder) / "id"
        arguments = [f"--build-arg={name}={value}" for name, value in _arguments(base, version, revision).items()]
        secrets = [f"--secret=id=ca.pem,src={_CA}"] if _CA.is_file() else []
        options = [
            "--isolation=chroot",
            "--format=docker",
            "--no-cache",
            f"--timestamp={epoch}",
            f"--iidfile={identity}",
        ]
        command = [*BUILDAH, "build", *options, *arguments, *secrets, str(context)]
        subprocess.run(command, check=True, stdout=sys.stderr)
        return identity.read_text().strip()


def _arguments(base: str, version: str, revision: str) -> dict[str, str]:
    return {"BASE": base, "VERSION": version, "REVISION": revision}


def layers(identity: str) -> list[str]:
    """The digests of the image's layers, uncompressed."""
    described = json.loads(buildah("inspect", "--type", "image", identity))
    found: list[str] = described["OCIv1"]["rootfs"]["diff_ids"]
    return found


def write_layout(identity: str, name: str, folder: Path) -> None:
    """Writes the image there in OCI's layout, by that name. OCI's format has no HEALTHCHECK."""
    buildah("push", "--quiet", "--format", "oci", identity, f"oci:{folder}:{name}")


def remove(identity: str) -> None:
    """Removes the image, and the layers that it alone has."""
    buildah("rmi", "--force", identity)
