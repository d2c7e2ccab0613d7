"""A start that fails ends soon although no name server answers: names are resolved in threads that nothing ends."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.server_process import ROOT, gateway_environment

MAX_SECONDS = 50
"""Seconds in which a start must have failed; a thread that resolves a name waits for 60."""
VENDOR = {"VENDOR_URL": "https://vendor.example", "VENDOR_CLIENT_ID": "client", "VENDOR_CLIENT_SECRET": "s3cr3t"}


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[list[str]]:
    """What is put before a command, so that its names are asked of a server that never answers."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        pytest.skip("mount namespaces need root, and a container that allows them")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        pid = os.getpid()
        address = f"127.{pid >> 16 & 255}.{pid >> 8 & 255}.{pid & 255}"
        server.bind((address, 53))
        configuration = tmp_path / "resolv.conf"
        configuration.write_text(f"nameserver {address}\noptions timeout:30 attempts:2\n")
        mounted = f'mount --bind "{configuration}" /etc/resolv.conf && exec "$@"'
        yield ["unshare", "--mount", "sh", "-c", mounted, "sh"]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        pytest.param(
            {"STATE_URL": "redis://engine.example", "STATE_ALLOW_UNENCRYPTED": "true", "WEBHOOK_LISTEN": "127.0.0.1:0"},
            ["GATEWAY_WEBHOOK_SECRETS"],
            id="the engine's name, and a wrong setting",
        ),
        pytest.param({"METRICS_LISTEN": "gateway.example:9464"}, ["GATEWAY_METRICS_LISTEN"], id="a name to listen on"),
    ],
)
def test_a_start_that_fails_does_not_wait_for_name_servers(
    silent: list[str], settings: dict[str, str], named: list[str]
) -> None:
    """Exit code 2, and a line for each setting, as ever."""
    environment = gateway_environment(**VENDOR, **settings)
    command = [*silent, sys.executable, "-m", "server", "serve"]
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=MAX_SECONDS, check=False
    )
    assert ended.returncode == 2
    assert [line.partition(":")[0] for line in ended.stderr.splitlines()] == named
