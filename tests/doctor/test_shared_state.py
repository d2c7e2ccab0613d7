"""The shared state: a real engine, set up wrongly in each way."""

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from server.doctor.finding import Finding
from server.doctor.shared_state import CHECK, check_shared_state
from testkit.engine import EngineProcess, engine
from testkit.gateway import settings_for
from testkit.sentinels import NAME, sentinels
from testkit.server_process import ROOT, free_ports

from .findings import PASSWORD, text_of

KEYS = SecretStr(base64.b64encode(bytes(32)).decode())
_STATE = (ROOT / "docs" / "state.md").read_text("utf-8")
RIGHTS = _STATE.partition("~cr:* ")[2].partition("```")[0].split()
UNNOTICED = {"&cr:c", "+evalsha", "+subscribe", "+client|setinfo", "+client|setname"}
"""Rights whose lack the doctor does not notice: it evaluates, subscribes to nothing, and gives no name."""


@pytest.fixture
def valkey() -> Iterator[EngineProcess]:
    (port,) = free_ports(1)
    with engine(port) as running:
        yield running


async def _of(url: str, **changed: Any) -> list[Finding]:
    return await check_shared_state(settings_for(None, state_url=SecretStr(url), **changed))


async def test_a_sound_engine_is_described(valkey: EngineProcess) -> None:
    """Its version, the way to it, its policy, and whether results are encrypted."""
    text = text_of(await _of(valkey.url, state_keys=KEYS), CHECK, "ok")
    assert text.startswith("Valkey 9")
    assert text.endswith("on this machine, maxmemory-policy noeviction, results encrypted, keys: 1")
    assert "not encrypted" in text_of(await _of(valkey.url), CHECK, "ok")


async def test_no_engine_is_nothing_to_check() -> None:
    """With memory:// each process has its own."""
    assert text_of(await check_shared_state(settings_for(None)), CHECK, "skipped")
    assert text_of(await _of("memory://"), CHECK, "skipped")


async def test_an_engine_that_will_refuse_or_evict_leases_once_it_is_full_fails_its_check(
    valkey: EngineProcess,
) -> None:
    """With a bound it must evict, and not what readers wait by. The advice is what docs/state.md says."""
    valkey.command("CONFIG", "SET", "maxmemory", "100mb")
    for policy, why in (("noeviction", "stores nothing more"), ("volatile-ttl", "evicts leases first")):
        valkey.command("CONFIG", "SET", "maxmemory-policy", policy)
        text = text_of(await _of(valkey.url), CHECK, "failed")
        assert why in text
        assert text.endswith("set volatile-lru")
    assert "maxmemory-policy volatile-lru" in (ROOT / "docs/state.md").read_text()
    valkey.command("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
    assert "maxmemory-policy volatile-lru" in text_of(await _of(valkey.url), CHECK, "ok")


async def test_an_engine_that_takes_no_writes_fails_its_check(valkey: EngineProcess) -> None:
    """A replica, and one that is full."""
    valkey.command("REPLICAOF", "127.0.0.1", 1)
    assert "a replica, which takes no writes: name the master" in text_of(await _of(valkey.url), CHECK, "failed")
    valkey.command("REPLICAOF", "NO", "ONE")
    valkey.command("CONFIG", "SET", "maxmemory", 1)
    assert "stores nothing more: set maxmemory-policy" in text_of(await _of(valkey.url), CHECK, "failed")


async def test_an_engine_that_is_missing_or_silent_fails_its_check(valkey: EngineProcess) -> None:
    """Both are reported within seconds."""
    (closed,) = free_ports(1)
    assert "connection refused" in text_of(await _of(f"redis://127.0.0.1:{closed}"), CHECK, "failed")
    valkey.pause()
    assert "no answer" in text_of(await _of(valkey.url), CHECK, "failed")
    valkey.resume()


async def test_an_engine_behind_sentinel_is_named_and_so_is_what_is_down_of_it() -> None:
    """The master by its address, a replica that is missing, a failover that is in progress, and wrong addresses."""
    (closed,) = free_ports(1)
    with sentinels(down_after=0.3) as servers:
        first, other, _ = servers.engines
        name = f"127.0.0.1:{first.port} is the master by Sentinel, with 2 replicas"
        assert name in text_of(await _of(servers.url), CHECK, "ok")
        assert "the sentinels know no master" in text_of(await _of(servers.url + "2"), CHECK, "failed")
        ports = ",".join(f"127.0.0.1:{each}" for each in (closed, servers.sentinels[0].port))
        missing, well = await _of(f"redis+sentinel://{ports}/{NAME}")
        assert missing.text.endswith(f"do not answer: 127.0.0.1:{closed}: start them")
        assert (missing.state, well.state) == ("failed", "ok")
        other.kill()
        async with asyncio.timeout(20):
            while len(found := await _of(servers.url)) < 2:  # noqa: ASYNC110 (until the sentinels hold it for down)
                await asyncio.sleep(0.1)
        missing, well = found
        assert f"Sentinel holds replicas for down: 127.0.0.1:{other.port}: start them" in missing.text
        assert (missing.state, well.state) == ("failed", "ok")
        other.start()
        for each in servers.engines:
            each.pause()
        text = text_of(await _of(servers.url), CHECK, "failed")
        assert f"the master that Sentinel names, 127.0.0.1:{first.port}" in text
        assert "a failover may be in progress" in text
        for each in servers.engines:
            each.resume()
    text = text_of(await _of(servers.url), CHECK, "failed")
    assert text == "GATEWAY_STATE_URL: no sentinel answers: compare their addresses and ports, and the CA"


async def test_the_documented_rights_of_a_user_are_checked(valkey: EngineProcess) -> None:
    """A wrong password, a user without rights, and one with the documented rights, who may not ask for the version."""
    valkey.command("ACL", "SETUSER", "gateway", "on", f">{PASSWORD}", "~cr:*", *RIGHTS)
    valkey.command("ACL", "SETUSER", "poor", "on", f">{PASSWORD}", "+ping")
    host = f"127.0.0.1:{valkey.port}"
    assert "refuses the user" in text_of(await _of(f"redis://gateway:wrong@{host}"), CHECK, "failed")
    assert "lacks rights: compare its rights" in text_of(await _of(f"redis://poor:{PASSWORD}@{host}"), CHECK, "failed")
    assert "unknown version" in text_of(await _of(f"redis://gateway:{PASSWORD}@{host}"), CHECK, "ok")
    for right in RIGHTS:
        if right not in UNNOTICED:
            valkey.command("ACL", "SETUSER", "gateway", right.replace("+", "-"))
            assert "lacks rights" in text_of(await _of(f"redis://gateway:{PASSWORD}@{host}"), CHECK, "failed"), right
            valkey.command("ACL", "SETUSER", "gateway", right)


async def test_tls_to_an_engine_without_it_fails_the_engines_check_alone(valkey: EngineProcess, tmp_path: Path) -> None:
    """It is the engine's check that fails, and nothing else."""
    findings = await _of(f"rediss://127.0.0.1:{valkey.port}")
    assert "GATEWAY_STATE_URL: " in text_of(findings, CHECK, "failed")


@pytest.mark.parametrize(
    ("url", "keys", "expected"),
    [
        pytest.param("redis://engine.example", None, "GATEWAY_STATE_KEYS: needed beyond loopback", id="no-keys"),
        pytest.param(f"amqp://x:{PASSWORD}@y", None, "GATEWAY_STATE_URL: must be memory://", id="another-scheme"),
        pytest.param("redis://127.0.0.1", PASSWORD, "GATEWAY_STATE_KEYS: must be base64", id="no-base64"),
    ],
)
async def test_wrong_settings_of_the_state_are_named_as_at_the_start(url: str, keys: str | None, expected: str) -> None:
    """As the start refuses them."""
    findings = await _of(url, state_keys=None if keys is None else SecretStr(keys))
    assert expected in text_of(findings, CHECK, "failed")
