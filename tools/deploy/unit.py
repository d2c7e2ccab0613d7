"""Checks the systemd unit: python -m tools.deploy.unit.

`systemd-analyze verify` and `security` read it without a running systemd: it is well-formed, and exposes at most what
MAX_EXPOSURE allows. Without systemd-analyze it is skipped, and the line says so; in CI that is a failure.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.contract import ROOT

UNIT = ROOT / "deploy/systemd/call-request-gateway.service"
MAX_EXPOSURE = 1.5
"""By systemd's own measure, from 0 to 10."""


def verified() -> str:
    """Returns what `verify` finds, empty when the unit is well-formed. Its program need not be installed here."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / UNIT.name
        copy.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(), flags=re.MULTILINE))
        command = ["systemd-analyze", "verify", str(copy)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.stderr + (f"exit code {ended.returncode}" if ended.returncode else "")


def exposure() -> float:
    """Returns what `security` says of it."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"Overall exposure level for .*: ([\d.]+)", ended.stdout)
    assert found is not None, ended.stdout
    return float(found[1])


def main() -> int:
    """Prints what was found; returns the exit code."""
    if shutil.which("systemd-analyze") is None:
        print("skipped: no systemd-analyze")
        return 1 if os.environ.get("CI") == "true" else 0
    if found := verified():
        print(found)
        return 1
    print(f"exposure {exposure()}, at most {MAX_EXPOSURE}")
    return 1 if exposure() > MAX_EXPOSURE else 0


if __name__ == "__main__":
    sys.exit(main())
