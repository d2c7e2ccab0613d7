"""The channel: messages are hints, and a lost connection is noticed."""

import pytest

from server.state.keys import CHANNEL
from server.state.subscriber import parse_message
from server.state.values import Message
from testkit.engine import EngineProcess
from testkit.shared_results import ID, CountingVendor, replica


async def test_what_one_process_stores_reaches_the_others(valkey: EngineProcess) -> None:
    """With its id and its time, and nothing of the result."""
    vendor = CountingVendor()
    async with replica(valkey.url, vendor) as one, replica(valkey.url, vendor) as other:
        await one.read()
        await other.until(lambda: other.messages)
        assert [(message.call_request_id, message.kind) for message in other.messages] == [(ID, "result")]
        one.state.results.changed(ID)
        await other.until(lambda: other.messages[-1].kind == "changed")


async def test_a_connection_that_was_cut_is_made_anew_and_may_have_hidden_messages(valkey: EngineProcess) -> None:
    """Whoever subscribes anew is said to have missed something."""
    async with replica(valkey.url, CountingVendor()) as one:
        gaps = one.gaps
        valkey.command("CLIENT", "KILL", "TYPE", "PUBSUB")
        await one.until(lambda: one.gaps > gaps)
        valkey.command("PUBLISH", CHANNEL, f"{ID} 17 result")
        await one.until(lambda: one.messages)


async def test_nobody_learns_of_its_own_reads(valkey: EngineProcess) -> None:
    """What a process has stored itself is no news to it: it would read it again for nothing."""
    vendor = CountingVendor()
    async with replica(valkey.url, vendor) as one, replica(valkey.url, vendor) as other:
        await one.read()
        await other.until(lambda: other.messages)
        one.state.results.changed(ID)
        await one.until(lambda: one.messages)
        assert [message.kind for message in one.messages] == ["changed"]


async def test_a_silent_connection_is_noticed(valkey: EngineProcess) -> None:
    """redis-py notices nothing by itself: a channel that does not even answer PING is no channel."""
    async with replica(valkey.url, CountingVendor()) as one:
        valkey.pause()
        await one.until(lambda: not one.state.subscriber.is_subscribed)
        assert not one.state.results.has_channel
        valkey.resume()
        await one.until(lambda: one.state.results.has_channel)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(f"{ID} 17 result".encode(), Message(ID, 17, "result"), id="a result"),
        pytest.param(b"", None, id="nothing"),
        pytest.param(b"a b", None, id="too short"),
        pytest.param(f"{ID} -1 result".encode(), None, id="no time"),
        pytest.param(f"{ID} {'9' * 400} result".encode(), None, id="a time without end"),
        pytest.param(b"\xff\xfe 1 result", Message("\ufffd\ufffd", 1, "result"), id="no ASCII"),
        pytest.param("17 ١٢ result".encode(), None, id="digits of another script"),
    ],
)
def test_what_others_publish_on_the_channel_harms_nobody(data: bytes, message: Message | None) -> None:
    """Anything may come on a shared engine."""
    assert parse_message(data) == message
