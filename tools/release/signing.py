"""Signs with cosign and a key of one's own, and verifies: no service is asked, so there is no transparency log."""

import subprocess
import tempfile
from pathlib import Path

from tools.contract import ROOT

COSIGN = ROOT / "build/bin/cosign"
TYPE = "slsaprovenance1"
"""Cosign's name of SLSA's provenance, version 1."""


class UnusableKeyError(Exception):
    """Nothing can be signed with that key; the text says why."""


def require_key(key: Path, password: str) -> None:
    """Raises UnusableKeyError for a key that is not there, is none, or has another password."""
    try:
        _cosign("public-key", f"--key={key}", password=password)
    except subprocess.CalledProcessError as error:
        why = str(error.stderr).strip().splitlines()[-1]
        raise UnusableKeyError(f"{key}: {why}; its password is COSIGN_PASSWORD") from None
    except FileNotFoundError:
        raise UnusableKeyError(f"no {COSIGN}: tools/go/install release") from None


def generate_key(folder: Path, password: str) -> None:
    """Writes cosign.key, encrypted with that password, and cosign.pub."""
    _cosign("generate-key-pair", cwd=folder, password=password)


def sign(file: Path, key: Path, password: str) -> Path:
    """Signs a file; returns the bundle beside it, with the signature."""
    bundle = file.with_name(f"{file.name}.sigstore.json")
    _signed("sign-blob", bundle, key, password, str(file))
    return bundle


def attest(statement: Path, key: Path, password: str) -> Path:
    """Signs a statement; returns the bundle beside it, with the statement and its signature."""
    bundle = statement.with_name(f"{statement.stem}.sigstore.json")
    _signed("attest-blob", bundle, key, password, "--statement", str(statement))
    return bundle


def _signed(command: str, bundle: Path, key: Path, password: str, *what: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # Empty ones, so that none is fetched from sigstore's public services.
        services = {"--signing-config": Path(folder) / "services.json", "--trusted-root": Path(folder) / "roots.json"}
        _cosign("signing-config", "create", "--out", str(services["--signing-config"]))
        _cosign("trusted-root", "create", "--out", str(services["--trusted-root"]))
        options = [f"{name}={path}" for name, path in services.items()]
        _cosign(command, f"--key={key}", f"--bundle={bundle}", "--yes", *options, *what, password=password)
    bundle.chmod(0o644)  # cosign keeps it to us, and it is there for everybody


def verify_file(file: Path, key: Path) -> str | None:
    """Returns None when the bundle beside the file has a signature of it by that public key, else what cosign says."""
    bundle = file.with_name(f"{file.name}.sigstore.json")
    return _verified("verify-blob", f"--bundle={bundle}", f"--key={key}", str(file))


def verify_provenance(file: Path, bundle: Path, key: Path) -> str | None:
    """Returns None when the bundle is signed by that public key and has the file among its subjects."""
    arguments = (f"--bundle={bundle}", f"--key={key}", f"--type={TYPE}", str(file))
    return _verified("verify-blob-attestation", *arguments)


def _verified(command: str, *arguments: str) -> str | None:
    try:
        _cosign(command, "--insecure-ignore-tlog=true", *arguments)
    except subprocess.CalledProcessError as error:
        return str(error.stderr).strip().splitlines()[-1]
    return None


def _cosign(*arguments: str, cwd: Path | None = None, password: str = "") -> None:
    environment = {"COSIGN_PASSWORD": password, "HOME": "/nonexistent", "PATH": "/usr/bin:/bin"}
    command: list[str | Path] = [COSIGN, *arguments]
    subprocess.run(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
