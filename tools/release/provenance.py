"""How the files of a release were made: an in-toto statement with SLSA's provenance, version 1.

It reaches SLSA's Build L1, no more: who builds writes it, on a machine of their own.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tools.contract import ROOT
from tools.release.source import Source

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:call-request-gateway:make-release:1"
"""docs/releasing.md describes it."""
_LOCKS = ("requirements/image.txt", "requirements/dev.txt")


def provenance(source: Source, sums: Mapping[str, str], base: Mapping[str, str], started: datetime) -> dict[str, Any]:
    """The statement. sums: SHA-256 by file. base: the digest of the image it was built on, by its name."""
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": each}} for name, each in sums.items()],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"version": source.version, "revision": source.revision, "base": sorted(base)},
                "internalParameters": {"SOURCE_DATE_EPOCH": source.epoch, "tools": _tools()},
                "resolvedDependencies": [
                    {"name": "source", "digest": {"gitCommit": source.revision}},
                    *({"name": name, "digest": {"sha256": digest}} for name, digest in base.items()),
                    *({"name": name, "digest": {"sha256": sha256(ROOT / name)}} for name in _LOCKS),
                ],
            },
            "runDetails": {
                "builder": {"id": os.environ.get("RELEASE_BUILDER", "urn:call-request-gateway:builder:workstation")},
                "metadata": {"startedOn": _time(started), "finishedOn": _time(datetime.now(UTC))},
            },
        },
    }


def sha256(path: Path) -> str:
    """The digest of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_statement(statement: Mapping[str, Any], into: Path) -> None:
    """Writes it as JSON."""
    into.write_text(json.dumps(statement, indent=2) + "\n")


def _tools() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("buildah",):
        if shutil.which(name):
            found[name] = subprocess.run([name, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return found


def _time(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
