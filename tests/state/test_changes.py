"""What was read before a change is not given after it, whatever the engine makes of the change."""

import asyncio
from typing import Any

import pytest

from server.state.changes import Changes
from server.state.values import EngineError
from testkit.engine import EngineProcess
from testkit.shared_results import ID, CountingVendor, replica


async def test_a_full_engine_takes_a_change(valkey: EngineProcess) -> None:
    """It refuses to store, but not to forget: a cancel is known everywhere."""
    vendor = CountingVendor()
    async with replica(valkey.url, vendor) as one, replica(valkey.url, vendor) as other:
        await one.read()
        valkey.command("CONFIG", "SET", "maxmemory", "1")
        one.state.results.changed(ID)
        await other.until(lambda: any(message.kind == "changed" for message in other.messages))
        assert await other.read() == f"{ID} 2".encode()


async def test_while_a_change_is_not_taken_its_process_reads_at_the_vendor(valkey: EngineProcess) -> None:
    """The engine still holds the older result; the change is sent again at the next read."""
    vendor = CountingVendor()
    async with replica(valkey.url, vendor) as one, replica(valkey.url, vendor) as other:
        await one.read()
        valkey.command("ACL", "SETUSER", "default", "-del")
        one.state.results.changed(ID)
        await one.read("0" * 16)  # behind it in the queue
        assert await one.read() == f"{ID} 2".encode()
        assert one.is_up
        valkey.command("ACL", "SETUSER", "default", "+del")
        await one.read()
        await other.until(lambda: any(message.kind == "changed" for message in other.messages))
        await one.read()
        assert await one.read() == await other.read(), "it is shared again"


async def test_a_read_is_not_kept_when_the_change_that_came_into_it_was_evicted(valkey: EngineProcess) -> None:
    """An engine that is short of memory forgets any key; what it forgot must not look as if it had never been."""
    vendor = CountingVendor(0.1)
    async with replica(valkey.url, vendor) as one, replica(valkey.url, vendor) as other:
        reading = asyncio.create_task(one.read())
        await one.until(lambda: vendor.reads[ID] == 1)
        other.state.results.changed(ID)
        await one.until(lambda: one.messages)
        valkey.command("DEL", f"cr:{{{ID}}}:e")
        await reading
        await one.read("0" * 16)  # behind what it stored, in its queue
        assert await other.read() == f"{ID} 2".encode()


class _ReturningEngine:
    """Is down, then takes scripts by run_now; the same call request changes again while its change is being sent."""

    def __init__(self) -> None:
        self.sent = 0
        self.changes = Changes(self)  # type: ignore[arg-type]

    def run(self, *arguments: Any) -> Any:
        raise EngineError

    async def run_now(self, *arguments: Any) -> None:
        self.sent += 1
        if self.sent == 1:
            self.changes.send(ID)


async def test_a_change_during_the_return_of_the_engine_is_sent() -> None:
    """As the one before it was."""
    engine = _ReturningEngine()
    engine.changes.send(ID)
    await engine.changes.send_unsent()
    assert engine.sent == 2
    assert not engine.changes.is_unsent(ID)


async def test_a_change_that_fails_during_the_return_is_kept(valkey: EngineProcess) -> None:
    """For the next return."""

    class _Failing(_ReturningEngine):
        async def run_now(self, *arguments: Any) -> None:
            raise ConnectionError

    engine = _Failing()
    engine.changes.send(ID)
    with pytest.raises(ConnectionError):
        await engine.changes.send_unsent()
    assert engine.changes.is_unsent(ID)
