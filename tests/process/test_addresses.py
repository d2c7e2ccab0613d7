"""A wildcard is both families, whichever of the two it is written in, on every port; and one family suffices."""

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from typing import Any

import pytest

from server.observability.listening import open_sockets
from server.settings import Address, parse_address
from testkit.gateway_process import serving
from testkit.server_process import ROOT, clean_environment, free_ports

IPV6_ONLY = """
import socket, subprocess, sys, time
commands = ["ip link set lo up", "ip addr del 127.0.0.1/8 dev lo"]
for command in commands:
    subprocess.run(command.split(), check=True)
gateway = subprocess.Popen([sys.executable, "-m", "server", "serve"], stdout=subprocess.DEVNULL)
deadline = time.monotonic() + 30
check = [sys.executable, "-m", "server", "healthcheck"]
while subprocess.run(check, stderr=subprocess.DEVNULL).returncode and time.monotonic() < deadline:
    assert gateway.poll() is None
for port in (50051, 9464, 50080):
    socket.create_connection(("::1", port), 5).close()
gateway.terminate()
sys.exit(gateway.wait(15))
"""


@pytest.mark.parametrize(
    ("host", "is_wildcard"),
    [
        ("0.0.0.0", True),
        ("::", True),
        ("0:0:0:0:0:0:0:0", True),
        ("::0", True),
        ("0", True),
        ("::ffff:0.0.0.0", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("localhost", False),
        ("host.example", False),
    ],
)
def test_every_spelling_of_a_wildcard_is_one(host: str, is_wildcard: bool) -> None:
    """As resolvers read it."""
    assert Address((host, 1)).is_wildcard is is_wildcard


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "localhost:0"])
def test_both_families_have_the_same_port(listen: str) -> None:
    """Port 0 takes one that is free in both."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(each) for each in open_sockets(parse_address(listen))]
        assert {each.family for each in sockets} == {socket.AF_INET, socket.AF_INET6}
        assert len({each.getsockname()[1] for each in sockets}) == 1


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("wildcard", ["0.0.0.0", "[::]"])
async def test_a_wildcard_listens_on_both_families(wildcard: str, workers: int) -> None:
    """The gRPC port, the metrics port and the sandbox's."""
    ports = free_ports(3)
    listen: dict[str, Any] = dict(
        zip(("LISTEN", "METRICS_LISTEN", "SANDBOX_LISTEN"), (f"{wildcard}:{port}" for port in ports), strict=True)
    )
    async with serving("", ALLOW_PLAINTEXT=True, WORKERS=workers, **listen):
        for port in ports:
            for loopback in ("127.0.0.1", "::1"):
                socket.create_connection((loopback, port), 5).close()


@pytest.mark.skipif(os.geteuid() != 0, reason="a network of its own needs root")
@pytest.mark.parametrize("wildcard", ["0.0.0.0", "[::]"])
def test_a_machine_with_ipv6_alone_is_served(wildcard: str) -> None:
    """In a network namespace without any IPv4 address; the health check finds it."""
    listen = {f"GATEWAY_{name}": f"{wildcard}:{port}" for name, port in (("LISTEN", 50051), ("METRICS_LISTEN", 9464))}
    environment = (
        clean_environment()
        | listen
        | {
            "GATEWAY_SANDBOX_LISTEN": f"{wildcard}:50080",
            "GATEWAY_ALLOW_PLAINTEXT": "true",
            "GATEWAY_ALLOW_SANDBOX": "true",
            "GATEWAY_DRAIN_DELAY": "0",
        }
    )
    ended = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", IPV6_ONLY],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
