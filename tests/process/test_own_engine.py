"""The workers of one machine share results by an engine of the gateway's own."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from testkit.gateway_process import GatewayProcess, serving
from testkit.http2_connection import connected
from testkit.scripted_vendor import ScriptedVendor
from testkit.server_process import free_ports


def _engine_of(gateway: GatewayProcess) -> int:
    """The engine among the children of the supervisor; 0 without one."""
    parent = gateway.process.pid
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        with suppress(OSError):
            if b"valkey-server" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    return 0


async def test_two_workers_ask_the_vendor_once() -> None:
    """Whichever of them a connection comes to; nothing has to be set."""
    async with (
        ScriptedVendor() as vendor,
        serving(vendor.url, WORKERS=2, DEFAULT_MAX_AGE="", FINAL_MAX_AGE="") as gateway,
    ):
        await gateway.until(lambda: len(gateway.logged("shared state is up")) == 2, timeout=20)
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(connected(gateway.port)) for _ in range(12)]
            ended = await asyncio.gather(*(each.read("77b2c4d5e6f7g890", 5, max_age=60) for each in clients))
        assert {each.code for each in ended} == {0}
        assert len(vendor.requests("result")) == 1


async def test_an_engine_that_ends_is_started_again_and_no_caller_notices() -> None:
    """The workers go on by themselves meanwhile."""
    async with ScriptedVendor() as vendor, serving(vendor.url, WORKERS=2) as gateway, connected(gateway.port) as client:
        await gateway.until(lambda: _engine_of(gateway), timeout=20)
        before = _engine_of(gateway)
        os.kill(before, signal.SIGKILL)
        assert (await client.read("77b2c4d5e6f7g890", 5)).code == 0
        await gateway.until(lambda: _engine_of(gateway) not in (0, before), timeout=20)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_the_engine_ends_with_the_gateway_however_that_ends(number: signal.Signals) -> None:
    """Nothing stays behind, neither after a drain nor after kill -9 of the supervisor."""
    async with ScriptedVendor() as vendor, serving(vendor.url, WORKERS=2, DRAIN_DELAY=0) as gateway:
        await gateway.until(lambda: _engine_of(gateway), timeout=20)
        engine = Path(f"/proc/{_engine_of(gateway)}")
        gateway.signal(number)
        await gateway.until(lambda: not engine.exists(), timeout=20)


async def test_memory_leaves_each_worker_on_its_own() -> None:
    """GATEWAY_STATE_URL=memory:// is a choice, and so is one worker: no engine is started."""
    (port,) = free_ports(1)
    async with ScriptedVendor() as vendor, serving(vendor.url, WORKERS=2, STATE_URL="memory://", port=port) as gateway:
        assert _engine_of(gateway) == 0
        assert not gateway.logged("shared state is up")
