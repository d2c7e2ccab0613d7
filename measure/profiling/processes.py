"""Servers as processes of their own: the gateway, the floor, the vendor."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from measure.loadtest.gateway import DidNotStartError, end, free_ports

ROOT = Path(__file__).parents[2]
_MAX_START = 30.0


@contextmanager
def gateway(core: int, vendor_port: int) -> Iterator[tuple[int, int]]:
    """A gateway as a user starts it, in front of that vendor; gives its port and its process' id."""
    (port,) = free_ports(1)
    environment = {
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "GATEWAY_METRICS_LISTEN": "",
        "GATEWAY_VENDOR_URL": f"http://127.0.0.1:{vendor_port}",
        "GATEWAY_VENDOR_CLIENT_ID": "profile",
        "GATEWAY_VENDOR_CLIENT_SECRET": "profile",
        "GATEWAY_WORKERS": "1",
        "GATEWAY_LOG_FORMAT": "json",
        "GATEWAY_DRAIN_DELAY": "0",
        "GATEWAY_GRACE": "2",
    }
    with _running([*_pinned(core), "server", "serve"], port, environment) as pid:
        yield port, pid


@contextmanager
def floor(core: int) -> Iterator[tuple[int, int]]:
    """What gRPC alone costs; gives its port and its process' id."""
    (port,) = free_ports(1)
    with _running([*_pinned(core), "measure.profiling.floor", str(port)], port) as pid:
        yield port, pid


@contextmanager
def vendor(status: str) -> Iterator[int]:
    """A vendor that knows every call request in that status; gives its port."""
    (port,) = free_ports(1)
    with _running([sys.executable, "-m", "measure.profiling.vendor", str(port), status], port):
        yield port


def _pinned(core: int) -> list[str]:
    return [sys.executable, "-m", "measure.profiling.pinned", str(core), sys.executable, "-m"]


@contextmanager
def _running(command: list[str], port: int, environment: Mapping[str, str] = {}) -> Iterator[int]:
    """Runs a server until the block is left; its output goes to a file, as a user's would. Raises DidNotStartError."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603
            command, cwd=ROOT, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            deadline = time.monotonic() + _MAX_START
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise DidNotStartError(log.read()[-1000:].decode(errors="replace").strip() or "nothing said")
                time.sleep(0.02)
            yield process.pid
        finally:
            end(process)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
