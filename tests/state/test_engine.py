"""The engine fails in every way, and no caller notices more than a second of it, once."""

import asyncio
import time
from collections.abc import Callable

import pytest

from server.state.connecting import client_factory, parse_state_url
from server.state.encryption import Encryption
from server.state.engine import MAX_BATCH, MAX_PROBE_EVERY, Engine
from server.state.keys import CHANNEL, LEASE
from server.state.scripts import NOW, RELEASE, RENEW
from server.state.shared_state import SharedState
from testkit.engine import EngineProcess, engine
from testkit.logs import log_to_stdout, silence_logs
from testkit.server_process import free_ports
from testkit.shared_results import ID, CountingVendor, Replica, replica

KINDS = [
    pytest.param(EngineProcess.kill, id="refused"),
    pytest.param(EngineProcess.pause, id="silent"),
]


@pytest.mark.parametrize("fail", KINDS)
async def test_without_the_engine_each_process_asks_by_itself(
    valkey: EngineProcess, fail: Callable[[EngineProcess], None]
) -> None:
    """What waited is answered by the vendor; from then on nobody waits for the engine any more."""
    vendor = CountingVendor()
    async with replica(valkey.url, vendor) as one:
        await one.read()
        fail(valkey)
        answers = await asyncio.gather(*(one.read(max_age=60) for _ in range(5)))
        assert len(set(answers)) == 5, "each asked by itself: coalescing is not this room's"
        assert not one.is_up
        assert await one.read() == f"{ID} 7".encode()


@pytest.mark.parametrize("fail", KINDS)
async def test_when_the_engine_is_back_it_is_used_and_what_it_knew_is_not_trusted(
    valkey: EngineProcess, fail: Callable[[EngineProcess], None]
) -> None:
    """What was read before the outage may have changed without its knowing; what is final has not."""
    vendor = CountingVendor()
    async with replica(valkey.url, vendor) as one, replica(valkey.url, vendor) as other:
        await one.read()
        vendor.final = True
        await one.read("66a1b2c3d4e5f678")
        vendor.final = False
        fail(valkey)
        await asyncio.gather(one.read("0" * 16), other.read("0" * 16))
        gaps = one.gaps
        if fail is EngineProcess.kill:
            valkey.start()
        else:
            valkey.resume()
        await one.until(lambda: one.is_up and other.is_up)
        assert one.gaps > gaps
        first = await one.read()
        assert first != f"{ID} 1".encode()
        assert await other.read() == first, "it is shared again"
        if fail is EngineProcess.pause:
            assert await one.read("66a1b2c3d4e5f678") == b"66a1b2c3d4e5f678 1"


async def _idle(one: Replica) -> None:
    """Reads, and waits until what it stores has been sent: nothing more is to be said to the engine."""
    await one.read()
    while not await one.state.results.known(ID, 60):  # noqa: ASYNC110 (there is no event for it)
        await asyncio.sleep(0.01)


async def test_an_engine_that_ends_is_noticed_though_nobody_uses_it(
    valkey: EngineProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    """At once, not at the next script, which may be long in coming: log and metric say so, and it is tried again."""
    async with replica(valkey.url, CountingVendor()) as one:
        await _idle(one)
        log_to_stdout("info")
        valkey.kill()
        await one.until(lambda: not one.is_up)
        silence_logs()
        assert "shared state is down: this process goes on by itself" in capsys.readouterr().out
        valkey.start()
        await one.until(lambda: one.is_up)


async def test_a_connection_that_is_cut_is_noticed_though_nobody_uses_it(
    valkey: EngineProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    """The engine may have been replaced: what is known and not final is forgotten then, and the log says so."""
    async with replica(valkey.url, CountingVendor()) as one:
        await _idle(one)
        gaps = one.gaps
        log_to_stdout("info")
        valkey.command("CLIENT", "KILL", "TYPE", "NORMAL")
        await one.until(lambda: one.gaps > gaps)
        silence_logs()
        assert "the connection to the shared state was cut" in capsys.readouterr().out
        assert one.is_up
        assert await one.read() == f"{ID} 2".encode()


async def test_a_connection_that_is_cut_on_and_on_is_looked_at_now_and_then(valkey: EngineProcess) -> None:
    """Each time what is watched is read again: the vendor must not pay for an engine that flaps."""
    async with replica(valkey.url, CountingVendor()) as one:
        await one.read()
        gaps, begun, cuts = one.gaps, time.monotonic(), 0
        while time.monotonic() - begun < 1 or cuts < 3:
            cuts += valkey.command("CLIENT", "KILL", "TYPE", "NORMAL") != b":0\r\n"
            await asyncio.sleep(0.02)
        assert one.gaps - gaps <= 1 + (time.monotonic() - begun) / MAX_PROBE_EVERY
        await one.until(lambda: one.gaps - gaps >= 2)


async def test_a_gateway_starts_without_its_engine(valkey: EngineProcess) -> None:
    """It goes on by itself, and shares once the engine is there."""
    (port,) = free_ports(1)
    seen: list[bool] = []

    class Nobody:
        def published(self, message: object) -> None: ...
        def missed(self) -> None: ...

    make = client_factory(parse_state_url(f"redis://127.0.0.1:{port}"), None)
    async with SharedState(make, Encryption([]), 60, Nobody(), seen.append) as state:
        async with asyncio.timeout(20):
            while not seen:  # noqa: ASYNC110 (nothing to wait for)
                await asyncio.sleep(0.01)
        assert seen == [False]
        assert not state.engine.is_up


@pytest.mark.parametrize(
    "disturb",
    [
        pytest.param(("SCRIPT", "FLUSH"), id="scripts flushed"),
        pytest.param(("FLUSHALL",), id="all data gone"),
        pytest.param(("CLIENT", "KILL", "TYPE", "NORMAL"), id="connections cut"),
        pytest.param(("CLIENT", "KILL", "TYPE", "PUBSUB"), id="subscribers cut"),
    ],
)
async def test_no_caller_notices_a_disturbance_of_the_engine(valkey: EngineProcess, disturb: tuple[str, ...]) -> None:
    """Readers get answers, and sharing goes on."""
    vendor = CountingVendor(0.001)
    async with replica(valkey.url, vendor) as one, replica(valkey.url, vendor) as other:
        await one.read()
        valkey.command(*disturb)
        answers = await asyncio.gather(*(each.read(f"{n:016}") for n in range(20) for each in (one, other)))
        assert len(answers) == 40
        await one.until(lambda: one.is_up and other.is_up and one.state.subscriber.is_subscribed)
        assert await one.read("a" * 16) == await other.read("a" * 16)


async def test_a_full_engine_refuses_to_store_and_callers_are_served() -> None:
    """Without room in the engine every reader is answered; what cannot be stored is not shared."""
    (port,) = free_ports(1)
    with engine(port, "--maxmemory", "1", "--maxmemory-policy", "noeviction") as full:
        vendor = CountingVendor()
        async with replica(full.url, vendor) as one:
            assert await one.read() == f"{ID} 1".encode()
            assert await one.read() == f"{ID} 2".encode()
            assert one.is_up


async def test_a_busy_event_loop_is_no_outage(valkey: EngineProcess) -> None:
    """A process that stood still for longer than the engine's time-out goes on sharing."""
    vendor = CountingVendor(0.001)
    async with replica(valkey.url, vendor) as one:
        for number in range(3):
            reading = asyncio.create_task(one.read(f"{number:016}"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            time.sleep(0.7)  # noqa: ASYNC251 (the point)
            await reading
            assert one.is_up


async def test_what_was_read_is_shared_though_its_process_ends(valkey: EngineProcess) -> None:
    """Storing is deferred, not lost: others would wait until the lease ends, and ask the vendor again."""
    vendor = CountingVendor()
    async with replica(valkey.url, vendor) as other:
        async with replica(valkey.url, vendor) as one:
            await one.until(lambda: one.is_up and other.is_up)
            await one.read()
        async with asyncio.timeout(LEASE / 2):
            assert await other.read() == f"{ID} 1".encode()


async def test_a_deferred_script_runs_by_itself_and_in_its_place(valkey: EngineProcess) -> None:
    """When no other comes that it could join; and before one that is run after it."""
    async with replica(valkey.url, CountingVendor()) as one:
        await one.until(lambda: one.is_up)
        engine = one.state.engine
        valkey.command("SET", "cr:{a}:l", "mine 0")
        engine.run_deferred(RELEASE, "cr:{a}:l", "mine", CHANNEL, "a")
        await one.until(lambda: valkey.command("EXISTS", "cr:{a}:l") == b":0\r\n")
        valkey.command("SET", "cr:{a}:l", "mine 0")
        engine.run_deferred(RELEASE, "cr:{a}:l", "mine", CHANNEL, "a")
        assert not await engine.run(RENEW, "cr:{a}:l", "mine", 1000), "it is released by then"


class _Counting:
    """A client without connections of its own, as a cluster's, which answers each script with 1.

    batches: how many scripts came together, each time.
    """

    def __init__(self) -> None:
        self.batches: list[int] = []
        self._commands = 0

    async def ping(self) -> None: ...

    async def aclose(self) -> None: ...

    def pipeline(self, *, transaction: bool) -> "_Counting":
        self._commands = 0
        return self

    def execute_command(self, *command: object) -> None:
        self._commands += 1

    async def execute(self, *, raise_on_error: bool) -> list[int]:
        self.batches.append(self._commands)
        return [1] * self._commands


class _Slow(_Counting):
    """One that takes a while."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun = asyncio.Event()

    async def execute(self, *, raise_on_error: bool) -> list[int]:
        self.has_begun.set()
        await asyncio.sleep(0.05)
        return await super().execute(raise_on_error=raise_on_error)


@pytest.mark.parametrize("is_under_way", [False, True], ids=["queued", "under way"])
async def test_a_deferred_script_is_run_before_the_end(is_under_way: bool) -> None:
    """Also one that has been sent already: it may have to be sent again, to an engine that does not know the script."""
    client = _Slow()

    async def returned() -> None: ...

    async with Engine(lambda: client, returned, lambda up: None) as engine:
        async with asyncio.timeout(10):
            while not engine.is_up:  # noqa: ASYNC110 (nothing to wait for)
                await asyncio.sleep(0.01)
            engine.run_deferred(NOW, "cr:now")
            if is_under_way:
                await client.has_begun.wait()
    assert client.batches == [1]


@pytest.mark.parametrize(
    ("scripts", "batches"),
    [
        pytest.param([1], [1], id="one alone"),
        pytest.param([1, 0, 2, 1, 0, 1], [5], id="a turn without any is no end"),
        pytest.param([2, 0, 0, 0, 1], [2, 1], id="two turns are"),
        pytest.param([1] * (MAX_BATCH + 3), [MAX_BATCH, 3], id="no more than a batch holds"),
    ],
)
async def test_scripts_that_come_in_turns_close_together_are_one_batch(scripts: list[int], batches: list[int]) -> None:
    """So many scripts are run in each turn of the event loop."""
    client = _Counting()

    async def returned() -> None: ...

    async with Engine(lambda: client, returned, lambda up: None) as engine:
        async with asyncio.timeout(10):
            while not engine.is_up:  # noqa: ASYNC110 (nothing to wait for)
                await asyncio.sleep(0.01)
        replies = []
        for number in scripts:
            replies += [engine.run(NOW, "cr:now") for _ in range(number)]
            await asyncio.sleep(0)
        await asyncio.gather(*replies)
    assert client.batches == batches
