"""A container of an image, by runc: as locked down as docs/container.md says, in the machine's own network."""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tools.release.image import buildah

STOPPED = 40.0
"""Seconds to wait for an end: GATEWAY_GRACE and a margin."""


class Container:
    """A container that was created; `start` lets it run."""

    def __init__(self, name: str, bundle: Path) -> None:
        self._name = name
        self.log = bundle / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._bundle = bundle
        self._pid = bundle / "pid"

    def start(self) -> None:
        """Starts its first process; its output goes to `log`."""
        with self.log.open("wb") as log:
            command = ["runc", "run", "--bundle", str(self._bundle), "--pid-file", str(self._pid), self._name]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def kill(self, number: signal.Signals) -> None:
        """Sends a signal to its first process, at once."""
        os.kill(int(self._pid.read_text()), number)

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Runs a command in it, as its user."""
        return subprocess.run(["runc", "exec", self._name, *command], capture_output=True, text=True, check=False)

    def wait(self) -> int:
        """Waits for its end; returns the exit code."""
        assert self._process is not None
        return self._process.wait(STOPPED)

    def wait_until_it_runs(self, name: str) -> None:
        """Waits until its first process runs the program of that name, without a pause. Raises AssertionError."""
        end = time.monotonic() + STOPPED
        comm = Path("/nowhere")
        while True:
            with suppress(FileNotFoundError, ValueError):
                comm = Path(f"/proc/{int(self._pid.read_text())}/comm")
            with suppress(OSError):
                if comm.read_text().startswith(name):
                    return
            assert time.monotonic() < end, f"{name} was not run"


@contextmanager
def container(identity: str, environment: Mapping[str, str]) -> Iterator[Container]:
    """Creates a container of the image with that environment beside the image's; removes it at the end."""
    working = buildah("from", "--pull-never", identity)
    try:
        root = buildah("mount", working)
        config = json.loads(buildah("inspect", working))["OCIv1"]["config"]
        with tempfile.TemporaryDirectory() as folder:
            bundle = Path(folder)
            subprocess.run(["runc", "spec"], cwd=bundle, check=True)
            spec = json.loads((bundle / "config.json").read_bytes())
            (bundle / "config.json").write_text(json.dumps(_locked_down(spec, config, root, environment)))
            made = Container(bundle.name, bundle)
            try:
                yield made
            finally:
                with suppress(subprocess.CalledProcessError):
                    subprocess.run(["runc", "delete", "--force", bundle.name], check=True, capture_output=True)
    finally:
        buildah("rm", working)


def _locked_down(
    spec: dict[str, Any], config: Mapping[str, Any], root: str, environment: Mapping[str, str]
) -> dict[str, Any]:
    user, group = map(int, config["User"].split(":"))
    none: dict[str, list[str]] = {each: [] for each in ("bounding", "effective", "permitted", "ambient", "inheritable")}
    spec["process"] |= {
        "terminal": False,
        "user": {"uid": user, "gid": group},
        "args": [*config["Entrypoint"], *config["Cmd"]],
        "env": [*config["Env"], *(f"{name}={value}" for name, value in environment.items())],
        "cwd": config["WorkingDir"],
        "capabilities": none,
        "noNewPrivileges": True,
    }
    spec["root"] = {"path": root, "readonly": True}
    spec["linux"]["namespaces"] = [each for each in spec["linux"]["namespaces"] if each["type"] != "network"]
    return spec
