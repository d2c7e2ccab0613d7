"""Verifies a release: python -m tools.release.verify FOLDER --key cosign.pub.

Its sums and its provenance are signed by the key; the sums hold for all files, and no file is without; the provenance
is about these files. Exit code 1 and a line for each that does not hold. docs/releasing.md has the same by hand.
"""

import argparse
import base64
import json
import sys
from pathlib import Path

from tools.release import signing
from tools.release.provenance import sha256

SUMS = "SHA256SUMS"
PROVENANCE = "provenance"
ABOUT = (SUMS, f"{SUMS}.sigstore.json", f"{PROVENANCE}.json", f"{PROVENANCE}.sigstore.json")
"""The files about the others, which have no sum."""


def sums_of(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file of a release, by its path in the folder, in their order."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: sha256(found[name]) for name in sorted(found) if name not in ABOUT}


def written(sums: dict[str, str]) -> str:
    """A line for each, as `sha256sum --check` reads them."""
    return "".join(f"{digest}  {name}\n" for name, digest in sums.items())


def problems(folder: Path, key: Path) -> list[str]:
    """Returns a line for each thing that does not hold."""
    present = sums_of(folder)
    found = [f"{name}: {what}" for name, what in _differences(present, _listed(folder)).items()]
    if said := signing.verify_file(folder / SUMS, key):
        found.append(f"{SUMS}: {said}")
    bundle = folder / f"{PROVENANCE}.sigstore.json"
    if said := signing.verify_provenance(folder / next(iter(present)), bundle, key):
        found.append(f"{PROVENANCE}: {said}")
    elif _subjects(bundle) != present:
        found.append(f"{PROVENANCE}: is about other files")
    return found


def _listed(folder: Path) -> dict[str, str]:
    lines = (folder / SUMS).read_text().splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _differences(present: dict[str, str], listed: dict[str, str]) -> dict[str, str]:
    found = {name: f"not in {SUMS}" for name in present if name not in listed}
    found |= {name: "missing" for name in listed if name not in present}
    return found | {name: "changed" for name in present if listed.get(name, present[name]) != present[name]}


def _subjects(bundle: Path) -> dict[str, str]:
    payload = json.loads(base64.b64decode(json.loads(bundle.read_bytes())["dsseEnvelope"]["payload"]))
    return {subject["name"]: subject["digest"]["sha256"] for subject in payload["subject"]}


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
