"""The parts of the check of a rollout: a name server, and what is read of the chart."""

import asyncio
import socket
import struct

import pytest

from tools.deploy.rollout.chart import Probe, read
from tools.deploy.rollout.name_server import answer, name_server

NAME = b"\x07gateway\x04test\x00"


def query(kind: int) -> bytes:
    return b"\x12\x34" + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0) + NAME + struct.pack("!HH", kind, 1)


def test_the_name_has_the_addresses_of_the_pods() -> None:
    """One record for each, under the query's number and question."""
    found = answer(query(1), ["127.7.0.1", "127.7.0.2"])
    assert found[:2] == b"\x12\x34"
    assert struct.unpack("!HHHHH", found[2:12]) == (0x8580, 1, 2, 0, 0)
    assert found[12 : 12 + len(NAME)] == NAME
    assert found.endswith(bytes((127, 7, 0, 2)))
    assert len(found) == len(query(1)) + 2 * 16


@pytest.mark.parametrize("kind", [pytest.param(28, id="IPv6"), pytest.param(16, id="TXT"), pytest.param(33, id="SRV")])
def test_it_has_nothing_else(kind: int) -> None:
    """The name exists, and has no such record."""
    assert struct.unpack("!HHHHH", answer(query(kind), ["127.7.0.1"])[2:12]) == (0x8580, 1, 0, 0, 0)


async def test_it_answers_by_udp() -> None:
    """A resolver that asks gets the addresses of that moment."""
    async with name_server() as server:
        server.addresses = {"127.7.0.1"}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", server.port))
            client.setblocking(False)
            client.send(query(1))
            found = await asyncio.get_running_loop().sock_recv(client, 512)
    assert found == answer(query(1), ["127.7.0.1"])


def test_the_timings_are_those_of_the_deployment() -> None:
    """Replicas, waits, probes and the environment, as a cluster reads them."""
    probe = {"httpGet": {"path": "/ready", "port": "metrics"}, "periodSeconds": 2, "timeoutSeconds": 1}
    container = {
        "name": "gateway",
        "env": [{"name": "GATEWAY_GRACE", "value": "30"}],
        "startupProbe": probe | {"failureThreshold": 60},
        "readinessProbe": probe | {"failureThreshold": 2},
    }
    found = read(
        {
            "replicas": 2,
            "minReadySeconds": 30,
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"spec": {"terminationGracePeriodSeconds": 35, "containers": [container]}},
        }
    )
    assert (found.replicas, found.min_ready, found.max_surge, found.max_unavailable) == (2, 30, 1, 0)
    assert found.termination_grace == 35
    assert (found.startup, found.readiness) == (Probe("/ready", 2, 1, 60), Probe("/ready", 2, 1, 2))
    assert found.environment == {"GATEWAY_GRACE": "30"}
