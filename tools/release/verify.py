"""Verifies a release: python -m tools.release.verify FOLDER --key cosign.pub.

Its sums and its provenance are signed by the key; the sums hold for all files, and no file is without; the provenance
is about these files, and its unsigned copy is the same. Exit code 1 and a line for each that does not hold.
docs/releasing.md has the same by hand.
"""

import argparse
import base64
import json
import sys
from pathlib import Path
from typing import Any

from tools.release import signing
from tools.release.provenance import sha256

SUMS = "SHA256SUMS"
PROVENANCE = "provenance"
ABOUT = (SUMS, f"{SUMS}.sigstore.json", f"{PROVENANCE}.json", f"{PROVENANCE}.sigstore.json")
"""The files about the others, which have no sum."""


def sums_of(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file of a release, by its path in the folder, in their order."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if _is_regular(path)}
    return {name: sha256(found[name]) for name in sorted(found) if name not in ABOUT}


def _is_regular(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def written(sums: dict[str, str]) -> str:
    """A line for each, as `sha256sum --check` reads them."""
    return "".join(f"{digest}  {name}\n" for name, digest in sums.items())


def problems(folder: Path, key: Path) -> list[str]:
    """Returns a line for each thing that does not hold."""
    if missing := [f"{name}: missing" for name in ABOUT if not _is_regular(folder / name)]:
        return missing
    present, listed = sums_of(folder), _listed(folder)
    found = [f"{name}: {what}" for name, what in _differences(present, listed).items()]
    found += [f"{path.relative_to(folder)}: neither a file nor a folder" for path in _others(folder)]
    if said := signing.verify_file(folder / SUMS, key):
        found.append(f"{SUMS}: {said}")
    unchanged = [name for name in present if present[name] == listed.get(name)]
    return found + (_problems_of_provenance(folder, unchanged[0], present, key) if unchanged else [])


def _problems_of_provenance(folder: Path, unchanged: str, present: dict[str, str], key: Path) -> list[str]:
    bundle = folder / f"{PROVENANCE}.sigstore.json"
    if said := signing.verify_provenance(folder / unchanged, bundle, key):
        return [f"{PROVENANCE}.sigstore.json: {said}"]
    signed, copy = _signed(bundle), (folder / f"{PROVENANCE}.json").read_bytes()
    found = [] if _subjects(signed) == present else [f"{PROVENANCE}.sigstore.json: is about other files"]
    return found if _is_json_of(copy, signed) else [*found, f"{PROVENANCE}.json: is not what was signed"]


def _others(folder: Path) -> list[Path]:
    """Links, pipes and the like, which no release has."""
    return [path for path in sorted(folder.rglob("*")) if path.is_symlink() or not (path.is_file() or path.is_dir())]


def _listed(folder: Path) -> dict[str, str]:
    lines = (folder / SUMS).read_text(errors="replace").splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _differences(present: dict[str, str], listed: dict[str, str]) -> dict[str, str]:
    found = {name: f"not in {SUMS}" for name in present if name not in listed}
    found |= {name: "missing" for name in listed if name not in present}
    return found | {name: "changed" for name in present if listed.get(name, present[name]) != present[name]}


def _signed(bundle: Path) -> dict[str, Any]:
    """The statement in a bundle whose signature holds."""
    statement: dict[str, Any] = json.loads(base64.b64decode(json.loads(bundle.read_bytes())["dsseEnvelope"]["payload"]))
    return statement


def _subjects(statement: dict[str, Any]) -> dict[str, str]:
    return {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}


def _is_json_of(text: bytes, value: object) -> bool:
    try:
        return bool(json.loads(text) == value)
    except ValueError:
        return False


def main() -> int:
    """Prints what does not hold; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.release.verify", description="Verifies a release.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--key", type=Path, required=True, help="the public key, from elsewhere than the release")
    options = parser.parse_args()
    found = problems(options.folder, options.key)
    print(*found or ["verified: signatures, sums and provenance"], sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
