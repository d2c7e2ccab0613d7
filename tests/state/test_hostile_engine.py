"""An engine that holds, answers and loses what no gateway expects: callers are served, and nothing ends silently."""

import asyncio
import time
from typing import Any

import pytest

from server.state.connecting import client_factory, parse_state_url
from server.state.engine import PROBE_EVERY, Engine
from server.state.keys import event_key
from server.state.scripts import NOW
from server.state.subscriber import Subscriber
from server.state.take_reply import parse_take_reply
from server.state.values import EngineError
from server.state.waiting import Waiting
from testkit.engine import EngineProcess
from testkit.shared_results import ID, CountingVendor, replica

RESULT, LEASE_KEY = f"cr:{{{ID}}}:r", f"cr:{{{ID}}}:l"


@pytest.mark.parametrize(
    "lease", [pytest.param("garbage", id="one word"), pytest.param("", id="empty"), pytest.param("a b", id="no time")]
)
async def test_a_lease_that_no_gateway_wrote_holds_nobody_up(valkey: EngineProcess, lease: str) -> None:
    """It is replaced."""
    valkey.command("SET", LEASE_KEY, lease, "PX", 60_000)
    async with replica(valkey.url, CountingVendor()) as one:
        assert await one.read(seconds=1) == f"{ID} 1".encode()
        assert await one.read() == f"{ID} 1".encode()


@pytest.mark.parametrize("key", [RESULT, LEASE_KEY, f"cr:{{{ID}}}:e"])
async def test_a_key_of_another_type_holds_nobody_up(valkey: EngineProcess, key: str) -> None:
    """It is removed, and the call request is shared like any other."""
    valkey.command("LPUSH", key, "x")
    async with replica(valkey.url, CountingVendor()) as one, replica(valkey.url, CountingVendor()) as other:
        assert await one.read() == f"{ID} 1".encode()
        assert await one.read("0" * 16)  # behind what it stored, in its queue
        assert (await other.state.results.known(ID, 60)) is not None
        assert one.is_up


async def test_an_event_of_another_type_is_new(valkey: EngineProcess) -> None:
    """It is none that a gateway remembered."""
    valkey.command("LPUSH", event_key("e"), "x")
    async with replica(valkey.url, CountingVendor()) as one:
        pushes = one.state.results.pushes
        assert [await pushes.event("e", "digest", remember=remember) for remember in (True, False)] == ["new", "same"]


async def test_a_value_longer_than_any_result_is_removed_before_it_is_sent(valkey: EngineProcess) -> None:
    """To receive it takes longer than the time-out: one key would take sharing from all."""
    valkey.command("CONFIG", "SET", "proto-max-bulk-len", 1 << 30)
    valkey.command("EVAL", "redis.call('HSET', KEYS[1], 't', 1, 'f', 1, 'v', string.rep('x', 9e6))", 1, RESULT)
    async with replica(valkey.url, CountingVendor()) as one:
        assert await one.read(final_max_age=1e11) == f"{ID} 1".encode()
        assert await one.read() == f"{ID} 1".encode()
        assert int(valkey.command("HSTRLEN", RESULT, "v")[1:]) < 1000


@pytest.mark.parametrize("key", [RESULT, LEASE_KEY, f"cr:{{{ID}}}:e"])
async def test_a_change_takes_effect_whatever_the_keys_hold(valkey: EngineProcess, key: str) -> None:
    """And none that the engine refuses keeps sharing down when it is back."""
    async with replica(valkey.url, CountingVendor()) as one, replica(valkey.url, CountingVendor()) as other:
        valkey.command("DEL", key)
        valkey.command("LPUSH", key, "x")
        one.state.results.changed(ID)
        await other.until(lambda: any(message.kind == "changed" for message in other.messages))
        assert await one.read() == f"{ID} 1".encode()


async def test_a_change_that_is_refused_keeps_no_engine_down(valkey: EngineProcess) -> None:
    """It stays unsent: its call request is read at the vendor here. All others are shared."""
    async with replica(valkey.url, CountingVendor()) as one:
        valkey.command("ACL", "SETUSER", "default", "-publish")
        one.state.results.changed(ID)
        await one.read("0" * 16)  # behind it in the queue
        valkey.command("CLIENT", "KILL", "TYPE", "NORMAL")
        assert await one.read() == f"{ID} 1".encode()
        assert await one.read() == f"{ID} 2".encode()
        assert one.is_up


async def test_an_engine_whose_clock_is_set_back_is_trusted_all_the_same(valkey: EngineProcess) -> None:
    """By an hour, after it was back: else what it stores would count as from before its outage for an hour."""
    vendor = CountingVendor()
    async with replica(valkey.url, vendor) as one, replica(valkey.url, vendor) as other:
        for each in (one, other):
            each.state.results._not_before += 3_600_000  # noqa: SLF001 (as if it had been an hour later then)
            await each.read("1" * 16)  # notices it
        await one.read()
        await one.read("0" * 16)  # behind what it stored, in its queue
        assert await other.read() == await one.read() == f"{ID} 1".encode()


async def test_a_server_that_is_only_a_replica_counts_as_down(valkey: EngineProcess) -> None:
    """It answers PING, and takes no lease: to use it would have everything read again and again, without end."""
    async with replica(valkey.url, CountingVendor()) as one:
        valkey.command("REPLICAOF", "127.0.0.1", 1)
        await one.read()
        assert not one.is_up
        gaps = one.gaps
        await asyncio.sleep(1.5)  # three more tries
        assert not one.is_up
        assert one.gaps == gaps
        valkey.command("REPLICAOF", "NO", "ONE")
        await one.until(lambda: one.is_up)
        assert one.gaps == gaps + 1


async def test_an_engine_that_fails_again_and_again_is_tried_less_often(valkey: EngineProcess) -> None:
    """Each return has what is watched read again."""
    async with replica(valkey.url, CountingVendor()) as one:
        returns, gaps = list[float](), one.gaps
        for _ in range(3):
            failed = time.monotonic()
            one.state.engine._down(TimeoutError())  # noqa: SLF001 (as after a batch without a reply)
            one.state.engine._wake.set()  # noqa: SLF001
            await one.until(lambda: one.is_up)
            returns.append(time.monotonic() - failed)
        assert one.gaps == gaps + 3
        assert returns[0] >= PROBE_EVERY
        assert returns[1] >= 2 * PROBE_EVERY
        assert returns[2] >= 4 * PROBE_EVERY


async def test_a_result_from_the_future_is_neither_given_nor_in_the_way(valkey: EngineProcess) -> None:
    """After a failover to a server whose clock is an hour behind."""
    vendor = CountingVendor()
    async with replica(valkey.url, vendor) as one:
        await one.read()
        await one.read()  # it is stored by now
        valkey.command("HSET", RESULT, "t", int((time.time() + 3600) * 1000))
        assert await one.read() == f"{ID} 2".encode()
        assert await one.read() == f"{ID} 2".encode()


@pytest.mark.parametrize("t", ["9.5e11", "0x10", " 5 ", "1e3"])
async def test_a_time_that_no_gateway_wrote_holds_nobody_up(valkey: EngineProcess, t: str) -> None:
    """Lua reads numbers that Python does not: such a reply is no reply, and the vendor is asked."""
    vendor = CountingVendor()
    vendor.final = True
    async with replica(valkey.url, vendor) as one:
        await one.read()
        await one.read()  # it is stored by now
        valkey.command("HSET", RESULT, "t", t)
        assert (await one.read(final_max_age=1e11)).startswith(ID.encode())


@pytest.mark.parametrize(
    "reply", [b"OK", None, 5, [], [b"value"], [b"value", 1, b"2", b"1"], [b"wait", 1, b"x", 3], [b"other", 1, b""], {}]
)
def test_a_reply_that_the_script_does_not_send_counts_as_none(reply: object) -> None:
    """Something else answers there: a proxy, another version, a transaction."""
    with pytest.raises(EngineError):
        parse_take_reply(reply)


async def test_after_a_cut_nothing_from_before_it_is_given(valkey: EngineProcess) -> None:
    """The engine may have been replaced by one that lost the latest changes."""
    vendor = CountingVendor()
    async with replica(valkey.url, vendor) as one:
        gaps = one.gaps
        await one.read()
        valkey.command("CLIENT", "KILL", "TYPE", "NORMAL")
        assert await one.read() == f"{ID} 2".encode()
        assert one.is_up
        assert one.gaps > gaps


async def test_whoever_waits_for_a_final_result_gets_it_though_it_may_not_be_given_again(
    valkey: EngineProcess,
) -> None:
    """With FINAL_MAX_AGE 0 readers that come together still share one read."""
    vendor = CountingVendor(0.2)
    vendor.final = True
    async with (
        replica(valkey.url, vendor, final_max_age=0) as one,
        replica(valkey.url, vendor, final_max_age=0) as other,
    ):
        answers = await asyncio.gather(*(each.read(final_max_age=0) for each in (one, other)))
        assert set(answers) == {f"{ID} 1".encode()}
        assert await one.read(final_max_age=0) == f"{ID} 2".encode()


class _Broken:
    """A client that raises at its first uses what no engine is known to raise."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def ping(self) -> None:
        raise self._error

    async def initialize(self) -> None: ...

    def get_random_node(self) -> Any:
        raise self._error

    async def aclose(self) -> None:
        raise self._error


@pytest.mark.parametrize("error", [KeyError("x"), ValueError("x"), AttributeError("x"), RuntimeError("closed")])
async def test_no_exception_of_the_client_ends_the_engine_or_the_channel(
    valkey: EngineProcess, error: Exception
) -> None:
    """Both try again."""
    make = client_factory(parse_state_url(valkey.url), None)
    clients: list[Any] = []

    def make_client() -> Any:
        clients.append(_Broken(error) if len(clients) < 2 else make())
        return clients[-1]

    async def returned() -> None: ...

    async with (
        Engine(make_client, returned, lambda up: None) as engine,
        Subscriber(make_client, lambda message: None, lambda: None, lambda subscribed: None) as subscriber,
    ):
        async with asyncio.timeout(10):
            while not (engine.is_up and subscriber.is_subscribed):  # noqa: ASYNC110 (nothing to wait for)
                await asyncio.sleep(0.01)
        assert await engine.run(NOW, "cr:now") > 0


async def test_at_the_end_nobody_waits_for_a_reply_any_more(valkey: EngineProcess) -> None:
    """Whether its script was sent already or not."""

    async def returned() -> None: ...

    make = client_factory(parse_state_url(valkey.url), None)
    async with Engine(make, returned, lambda up: None) as engine:
        async with asyncio.timeout(10):
            while not engine.is_up:  # noqa: ASYNC110 (nothing to wait for)
                await asyncio.sleep(0.01)
        valkey.pause()
        sent = engine.run(NOW, "cr:now")
        await asyncio.sleep(0.05)
        queued = engine.run(NOW, "cr:now")
    for reply in (sent, queued):
        with pytest.raises(EngineError):
            await asyncio.wait_for(reply, 1)
    with pytest.raises(EngineError):
        engine.run(NOW, "cr:now")


async def test_a_message_that_comes_before_its_reader_waits_is_noticed() -> None:
    """The channel may be quicker than the reply that names the lease."""
    waiting = Waiting()
    with waiting.message(ID) as message:
        waiting.wake(ID)
        await asyncio.wait_for(message, 1)
