"""Servers as processes of their own: the gateway, the floor, the vendor."""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from testkit.server_process import accepts, free_ports, serving


@contextmanager
def gateway(core: int, vendor_port: int) -> Iterator[tuple[int, int]]:
    """A gateway as a user starts it, in front of that vendor. Yields its port and its process id."""
    (port,) = free_ports(1)
    settings = {
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
    with _running([*_pinned(core), "server", "serve"], port, settings) as pid:
        yield port, pid


@contextmanager
def floor(core: int) -> Iterator[tuple[int, int]]:
    """A gRPC server with a constant answer. Yields its port and its process id."""
    (port,) = free_ports(1)
    with _running([*_pinned(core), "measure.profiling.floor", str(port)], port) as pid:
        yield port, pid


@contextmanager
def vendor(status: str) -> Iterator[int]:
    """A vendor that holds every call request in that status. Yields its port."""
    (port,) = free_ports(1)
    with _running([sys.executable, "-m", "testkit.quick_vendor", str(port), "--status", status], port):
        yield port


def _pinned(core: int) -> list[str]:
    return [sys.executable, "-m", "measure.profiling.pinned", str(core), sys.executable, "-m"]


@contextmanager
def _running(command: list[str], port: int, settings: Mapping[str, str] = {}) -> Iterator[int]:
    """Runs a server until the block is left. Its output goes to a file, as a user's would. Raises DidNotStartError."""
    with (
        tempfile.TemporaryDirectory(prefix="profile-") as folder,
        serving(command, os.environ | settings, Path(folder, "log"), lambda: accepts(port)) as process,
    ):
        yield process.pid
