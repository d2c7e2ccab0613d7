"""One of several replicas asks the vendor, the others wait for its answer."""

import asyncio
import time

import pytest
import redis.asyncio

from callrequest.v1 import error_reason_pb2 as reasons
from server.deadline import Deadline
from server.errors import GatewayError
from server.state.encryption import Encryption
from server.state.keys import CHANNEL, LEASE, keys_of
from server.state.scripts import NOW, STORE
from server.state.values import EngineError
from testkit.engine import EngineProcess
from testkit.shared_results import ID, KEY, CountingVendor, Read, replica


@pytest.mark.parametrize(
    "seconds", [pytest.param(0.02, id="a quick vendor"), pytest.param(0.5, id="slower than max_age")]
)
async def test_a_cold_herd_asks_the_vendor_once_an_id(valkey: EngineProcess, seconds: float) -> None:
    """Readers of several replicas that come together share one read, even if it is older than max_age when it ends."""
    vendor = CountingVendor(seconds)
    async with replica(valkey.url, vendor) as one, replica(valkey.url, vendor) as other:
        ids = [f"{number:016}" for number in range(20)]
        answers = await asyncio.gather(*(each.read(id_, max_age=0.2) for id_ in ids for each in (one, other) * 3))
    assert set(vendor.reads.values()) == {1}
    assert set(answers) == {f"{id_} 1".encode() for id_ in ids}


@pytest.mark.parametrize(
    ("late", "reads"),
    [
        pytest.param(100, 0, id="the reply came after the reader"),
        pytest.param(-200, 0, id="the reply was young enough when the reader came"),
        pytest.param(-1500, 1, id="the reply was too old already, and only its way into the engine was long"),
    ],
)
async def test_what_a_reader_waits_for_is_no_older_than_it_allows(valkey: EngineProcess, late: int, reads: int) -> None:
    """The holder of a lease may have its reply long before the engine has it. late: ms from the reader's coming."""
    vendor = CountingVendor()
    result, lease, epoch = keys_of(ID)
    async with redis.asyncio.Redis(port=valkey.port) as holder, replica(valkey.url, vendor) as one:
        began = int(await holder.eval(NOW.text, 1, "cr:now"))
        await holder.mset({lease: f"holder {began}", epoch: "unchanged"})
        await holder.pexpire(lease, 20_000)
        await asyncio.sleep(1.6)
        came = int(await holder.eval(NOW.text, 1, "cr:now"))
        reading = asyncio.create_task(one.read(max_age=1))
        await asyncio.sleep(0.2)
        stored = Encryption([KEY]).encrypt(result.encode(), b"waited for")
        reply = ("holder", began, "unchanged", stored, 0, 60_000, CHANNEL, ID, came + late)
        assert await holder.eval(STORE.text, 3, result, lease, epoch, *reply) == 1
        assert await reading == (f"{ID} 1".encode() if reads else b"waited for")
    assert vendor.reads[ID] == reads


async def test_a_young_result_serves_everywhere_and_an_old_one_does_not(valkey: EngineProcess) -> None:
    """By the engine's clock; the holder's own read is the same for all."""
    vendor = CountingVendor()
    async with replica(valkey.url, vendor) as one, replica(valkey.url, vendor) as other:
        first = await one.read()
        assert await other.read() == first
        await asyncio.sleep(0.05)
        assert await other.read(max_age=0.01) != first


async def test_max_age_0_asks_the_vendor_whatever_is_known_or_being_read(valkey: EngineProcess) -> None:
    """It takes no lease, and waits for nobody's; its answer serves the others."""
    vendor = CountingVendor(0.1)
    async with replica(valkey.url, vendor) as one, replica(valkey.url, vendor) as other:
        reading = asyncio.create_task(one.read())
        await one.until(lambda: vendor.reads[ID] == 1)
        fresh = await other.read(max_age=0, final_max_age=0)
        assert fresh == f"{ID} 2".encode()
        await reading
        await one.until(lambda: one.messages)  # the other's answer is stored
        assert await one.read() == fresh


async def test_a_final_result_beats_one_that_is_not_whatever_its_time(valkey: EngineProcess) -> None:
    """A push of a whole second ago that is final stays, when a read that began later brings an older status."""
    vendor = CountingVendor(0.1)
    async with replica(valkey.url, vendor) as one, replica(valkey.url, vendor) as other:
        reading = asyncio.create_task(one.read())
        await one.until(lambda: vendor.reads[ID] == 1)
        assert await other.state.results.pushes.push(ID, time.time() - 60, Read(b"final", final=True))
        await reading
        assert await one.read() == b"final"
        assert not await other.state.results.pushes.push(ID, time.time(), Read(b"not final"))
        assert await other.read() == b"final"


async def test_an_older_push_after_a_newer_one_changes_nothing(valkey: EngineProcess) -> None:
    """Pushes come in any order; one from the future is from now."""
    vendor, moment = CountingVendor(), time.time()
    async with replica(valkey.url, vendor) as one:
        assert await one.state.results.pushes.push(ID, moment + 3600, Read(b"new"))
        assert not await one.state.results.pushes.push(ID, moment - 5, Read(b"old"))
        assert await one.read() == b"new"


async def test_a_read_that_began_before_a_change_is_not_kept(valkey: EngineProcess) -> None:
    """A cancel makes a new epoch: the reader has its answer, and nobody else gets it."""
    vendor = CountingVendor(0.1)
    async with replica(valkey.url, vendor) as one, replica(valkey.url, vendor) as other:
        reading = asyncio.create_task(one.read())
        await one.until(lambda: vendor.reads[ID] == 1)
        other.state.results.changed(ID)
        await one.until(lambda: one.messages)
        await reading
        await one.read("0" * 16)  # behind what it stored, in its queue
        assert await other.read() == f"{ID} 2".encode()


async def test_a_read_that_began_before_a_change_does_not_replace_a_later_one(valkey: EngineProcess) -> None:
    """The answer of whoever asked after the change stays."""
    vendor = CountingVendor(0.1)
    async with replica(valkey.url, vendor) as one, replica(valkey.url, vendor) as other:
        reading = asyncio.create_task(one.read())
        await one.until(lambda: vendor.reads[ID] == 1)
        other.state.results.changed(ID)
        assert await other.read() == f"{ID} 2".encode()
        await reading
        await one.read("0" * 16)  # behind what it stored, in its queue
        assert await one.read() == f"{ID} 2".encode()


async def test_whoever_asks_after_a_change_does_not_wait_for_a_read_that_began_before_it(valkey: EngineProcess) -> None:
    """Its lease has ended with the change."""
    vendor = CountingVendor(60)
    async with replica(valkey.url, vendor) as one, replica(valkey.url, vendor) as other:
        reading = asyncio.create_task(one.read(seconds=60))
        await one.until(lambda: vendor.reads[ID] == 1)
        vendor.seconds = 0
        other.state.results.changed(ID)
        assert await other.read() == f"{ID} 2".encode()
        assert not reading.done()
        reading.cancel()


async def test_what_is_asked_after_a_change_is_answered_from_after_it(valkey: EngineProcess) -> None:
    """In the process of the change at once, the first time that a script runs included."""
    vendor = CountingVendor()
    async with replica(valkey.url, vendor) as one:
        for number in range(1, 20):
            assert await one.read() == f"{ID} {number}".encode()
            one.state.results.changed(ID)
            if number % 5 == 0:
                valkey.command("SCRIPT", "FLUSH")


async def test_a_change_while_the_engine_is_down_is_sent_when_it_is_back(valkey: EngineProcess) -> None:
    """The others must not be left with what they knew before it."""
    vendor = CountingVendor()
    async with replica(valkey.url, vendor) as one, replica(valkey.url, vendor) as other:
        await one.read()
        valkey.pause()
        one.state.results.changed(ID)
        await one.until(lambda: not one.is_up)
        one.state.results.changed("66a1b2c3d4e5f678")
        valkey.resume()
        await one.until(lambda: one.is_up)
        await other.until(lambda: sum(message.kind == "changed" for message in other.messages) >= 2)
        assert await other.read() == f"{ID} 2".encode()


async def test_the_holder_of_a_lease_that_fails_lets_the_next_one_read_at_once(valkey: EngineProcess) -> None:
    """Its failure is its own caller's; the others do not wait for the lease to run out."""
    vendor = CountingVendor(0.1)
    failing = GatewayError(reasons.ERROR_REASON_VENDOR_FAILED)

    async def fail() -> Read:
        await asyncio.sleep(0.1)
        raise failing

    async with replica(valkey.url, vendor) as one, replica(valkey.url, vendor) as other:
        shared = one.state.results
        first = asyncio.create_task(shared.read(ID, 60, 60, Deadline.after(10), fail))
        await asyncio.sleep(0.05)
        begun = asyncio.get_running_loop().time()
        assert await other.read() == f"{ID} 1".encode()
        assert asyncio.get_running_loop().time() - begun < LEASE
        with pytest.raises(GatewayError):
            await first


async def test_the_holder_of_a_lease_that_is_gone_is_replaced(valkey: EngineProcess) -> None:
    """A process that was killed in its read holds the others up for the lease, and no longer."""
    vendor = CountingVendor()
    valkey.command("SET", f"cr:{{{ID}}}:l", "gone 1", "PX", 300)
    async with replica(valkey.url, vendor) as one, replica(valkey.url, vendor) as other:
        answers = await asyncio.gather(one.read(), other.read())
    assert set(answers) == {f"{ID} 1".encode()}


async def test_a_read_longer_than_the_lease_stays_the_only_one(valkey: EngineProcess) -> None:
    """The lease is renewed while the read goes on."""
    vendor = CountingVendor(LEASE + 0.8)
    async with replica(valkey.url, vendor) as one, replica(valkey.url, vendor) as other:
        answers = await asyncio.gather(one.read(), other.read())
    assert vendor.reads[ID] == 1
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(b"garbage", id="garbage"),
        pytest.param(b"", id="nothing"),
        pytest.param(None, id="another id's ciphertext"),
    ],
)
async def test_what_cannot_be_decrypted_is_read_at_the_vendor(valkey: EngineProcess, spoil: bytes | None) -> None:
    """And replaced by what can be."""
    vendor, other_id = CountingVendor(), "66a1b2c3d4e5f678"
    async with replica(valkey.url, vendor) as one:
        await one.read()
        await one.read(other_id)
        stored = f"cr:{{{ID}}}:r"
        if spoil is None:
            valkey.command("DEL", stored)
            valkey.command("COPY", f"cr:{{{other_id}}}:r", stored)
        else:
            valkey.command("HSET", stored, "v", spoil.decode())
        assert await one.read() == f"{ID} 2".encode()
        assert await one.read() == f"{ID} 2".encode()


async def test_the_engine_holds_nothing_readable_of_a_guest(valkey: EngineProcess) -> None:
    """Neither a name nor anything else of an answer, in what is stored and what is published."""
    async with replica(valkey.url, CountingVendor()) as one:
        await one.state.results.pushes.push(ID, time.time(), Read(b"Mr. Guest"))
        stored = valkey.command("HGETALL", f"cr:{{{ID}}}:r")
        await one.until(lambda: one.messages)
        assert b"Guest" not in stored
        assert await one.read() == b"Mr. Guest"
        assert "Guest" not in repr(one.messages)


async def test_a_rotated_key_still_reads_what_the_old_one_wrote(valkey: EngineProcess) -> None:
    """Two live keys: the new one encrypts, both decrypt."""
    vendor = CountingVendor()
    async with (
        replica(valkey.url, vendor, keys=[KEY]) as one,
        replica(valkey.url, vendor, keys=[bytes(32), KEY]) as two,
    ):
        assert await one.read() == await two.read()
        two.state.results.changed(ID)
        await two.read()
        assert await two.read() == f"{ID} 2".encode()
        assert await one.read() == f"{ID} 3".encode(), "the old key alone cannot read the new one's"


@pytest.mark.parametrize("final", [False, True])
async def test_results_live_no_longer_than_they_may_serve(valkey: EngineProcess, final: bool) -> None:
    """Every key in the engine has an end."""
    vendor = CountingVendor()
    vendor.final = final
    async with replica(valkey.url, vendor) as one:
        await one.read()
        one.state.results.changed("66a1b2c3d4e5f678")
        await one.state.results.pushes.event("evt-1", "hash", remember=True)
        await one.read()
        for key in (f"cr:{{{ID}}}:r", "cr:{66a1b2c3d4e5f678}:e", "cr:w:{evt-1}"):
            assert int(valkey.command("PTTL", key).strip(b":\r\n")) > 0, key


async def test_an_event_is_remembered_with_its_body(valkey: EngineProcess) -> None:
    """Only once its effect is there; another body under its id is seen."""
    async with replica(valkey.url, CountingVendor()) as one, replica(valkey.url, CountingVendor()) as other:
        assert await one.state.results.pushes.event("evt-1", "a", remember=False) == "new"
        assert await one.state.results.pushes.event("evt-1", "a", remember=True) == "new"
        assert await other.state.results.pushes.event("evt-1", "a", remember=False) == "same"
        assert await other.state.results.pushes.event("evt-1", "b", remember=True) == "different"


async def test_callers_that_leave_cost_no_connection(valkey: EngineProcess) -> None:
    """A caller's task never owns the connection: cancelled in the midst of a command, redis-py would close it."""
    async with replica(valkey.url, CountingVendor(0.001)) as one:
        before = _connections(valkey)
        for _ in range(200):
            leaving = [asyncio.create_task(one.read(f"{number:016}", max_age=0)) for number in range(20)]
            await asyncio.sleep(0)
            for task in leaving:
                task.cancel()
            await asyncio.gather(*leaving, return_exceptions=True)
        assert await one.read()
        assert _connections(valkey) - before <= 3, "two of these are the test's own looks"


async def test_a_push_that_the_engine_does_not_take_raises(valkey: EngineProcess) -> None:
    """The sender is asked to send it again."""
    async with replica(valkey.url, CountingVendor()) as one:
        valkey.kill()
        with pytest.raises(EngineError):
            await one.state.results.pushes.push(ID, time.time(), Read(b"new"))


def _connections(valkey: EngineProcess) -> int:
    info = valkey.command("INFO", "stats").decode()
    return int(info.partition("total_connections_received:")[2].split()[0])


async def test_what_is_known_is_returned_and_the_vendor_is_never_asked(valkey: EngineProcess) -> None:
    """A final result whatever its age; any other only while it is young."""
    vendor = CountingVendor()
    async with replica(valkey.url, vendor) as one, replica(valkey.url, vendor) as other:
        assert await other.state.results.known(ID, 60) is None
        await one.read()
        await one.read("0" * 16)  # behind what it stored, in its queue
        known = await other.state.results.known(ID, 60)
        assert known is not None
        assert known.answer == f"{ID} 1".encode()
        assert await other.state.results.known(ID, 0) is None
        for occurred_at in (time.time() - 90_000, 0, -1e9):
            id_ = f"{occurred_at:016.0f}"
            assert await one.state.results.pushes.push(id_, occurred_at, Read(b"final", final=True))
            known = await other.state.results.known(id_, 0)
            assert known is not None
            assert (known.answer, known.final) == (b"final", True)
        assert vendor.reads == {ID: 1, "0" * 16: 1}


async def test_messages_about_a_result_that_cannot_be_read_count_for_nothing(valkey: EngineProcess) -> None:
    """Two processes with different keys would ask the vendor in turn. That one is final, or changed, still counts."""
    vendor = CountingVendor()
    async with replica(valkey.url, vendor) as one, replica(valkey.url, vendor, keys=[bytes(32)]) as other:
        await one.read()
        await other.until(lambda: other.messages)  # nothing is known of its key yet
        other.messages.clear()
        assert await other.read() == f"{ID} 2".encode(), "it cannot read what is there"
        await asyncio.sleep(0.05)
        assert await one.read(max_age=0.01) == f"{ID} 3".encode()
        await one.read("0" * 16)
        await other.until(lambda: other.messages)  # of the other call request, behind it
        assert {message.call_request_id for message in other.messages} == {"0" * 16}
        vendor.final = True
        await one.read(max_age=0)
        one.state.results.changed(ID)
        await other.until(lambda: other.messages[-1].kind == "changed")
        assert [message.kind for message in other.messages[1:]] == ["final", "changed"]
