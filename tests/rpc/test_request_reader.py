"""Every call ends: a request that never becomes whole is INVALID_ARGUMENT in time, counted and logged."""

import asyncio
import json
from typing import Any

import grpc
import pytest

from server.app import Gateway
from server.errors import GatewayError
from server.rpc.request_reader import MAX_SECONDS, MAX_SECONDS_IN_DRAIN, RequestReader, ServerEndsError
from testkit import virtual_time
from testkit.gateway import metrics_of, started
from testkit.http2_connection import Connection
from testkit.logs import log_to_stdout
from testkit.scripted_vendor import ScriptedVendor
from testkit.unfinished_requests import (
    ENDED,
    METHODS,
    OPEN,
    SERVER_STREAMING,
    STREAMING,
    UNARY,
    UNKNOWN,
    Frames,
    ends,
    send,
)

INVALID, OK, UNIMPLEMENTED = (
    code.value[0] for code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OK, grpc.StatusCode.UNIMPLEMENTED)
)


class _Context:
    """The side of a call's context that hands over its messages: each after so many seconds; then nothing ever comes.

    A message that is None: the client has ended its side.
    """

    def __init__(self, *messages: tuple[float, bytes | None]) -> None:
        self._messages = list(messages)

    async def read(self) -> Any:
        if not self._messages:
            await asyncio.get_running_loop().create_future()
        seconds, message = self._messages.pop(0)
        await asyncio.sleep(seconds)
        return grpc.aio.EOF if message is None else message


async def _ended_after(
    reading: Any, error: type[Exception] = GatewayError, text: str | None = "INVALID_REQUEST"
) -> float:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    with pytest.raises(error, match=text):
        await reading
    return loop.time() - begun


def test_a_message_has_30_seconds_to_arrive() -> None:
    """INVALID_REQUEST then, for each call on its own, whenever it began."""

    async def main() -> list[float]:
        reader = RequestReader()

        async def one(begins: float) -> float:
            await asyncio.sleep(begins)
            return await _ended_after(reader.read(_Context()))  # type: ignore[arg-type]

        return await asyncio.gather(*(one(begins) for begins in (0, 7, 40, 41, 100)))

    assert virtual_time.run(main()) == pytest.approx([MAX_SECONDS] * 5)
    assert MAX_SECONDS < 30


def test_a_slow_message_is_read_whole() -> None:
    """What arrives in time is the request, however many others are overdue meanwhile; an empty message is a message."""

    async def main() -> list[Any]:
        reader = RequestReader()
        slow = [reader.read(_Context((seconds, b""))) for seconds in (0, 20, MAX_SECONDS - 1)]  # type: ignore[arg-type]
        never = [reader.read(_Context()) for _ in range(5)]  # type: ignore[arg-type]
        return await asyncio.gather(*slow, *never, return_exceptions=True)

    got = virtual_time.run(main())
    assert got[:3] == [b"", b"", b""]
    assert [str(each) for each in got[3:]] == ["INVALID_REQUEST"] * 5


def test_a_request_that_ends_without_a_message_is_refused_at_once() -> None:
    """No time is lost on it."""

    async def main() -> float:
        return await _ended_after(RequestReader().read(_Context((1, None))))  # type: ignore[arg-type]

    assert virtual_time.run(main()) == pytest.approx(1)


def test_a_caller_that_leaves_is_no_overdue_one() -> None:
    """The cancellation that grpc sends goes through, also when it comes with the end of the time."""

    async def main(leaves: float) -> Any:
        reading = asyncio.ensure_future(RequestReader().read(_Context()))  # type: ignore[arg-type]
        asyncio.get_running_loop().call_later(leaves, reading.cancel)
        return (await asyncio.gather(reading, return_exceptions=True))[0]

    assert isinstance(virtual_time.run(main(5)), asyncio.CancelledError)
    assert isinstance(virtual_time.run(main(MAX_SECONDS)), asyncio.CancelledError)


@pytest.mark.parametrize(
    ("messages", "read", "after"),
    [
        pytest.param([(20, b"a"), (20, b"b")], [b"a", b"b"], 40 + MAX_SECONDS, id="silent after two messages"),
        pytest.param([(20, b"a"), (20, None)], [b"a"], 40, id="ended by the client"),
        pytest.param([(5, None)], [], 5, id="ended without any"),
    ],
)
def test_a_stream_of_requests_ends_30_seconds_after_its_last_message(
    messages: list[tuple[float, bytes | None]], read: list[bytes], after: float
) -> None:
    """Each message has the time anew; silence after one is the end, and no failure."""

    async def main() -> tuple[list[bytes], float]:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        got = [each async for each in RequestReader().each(_Context(*messages))]  # type: ignore[arg-type]
        return got, loop.time() - begun

    got, seconds = virtual_time.run(main())
    assert got == read
    assert seconds == pytest.approx(after)


def test_in_the_drain_messages_have_three_seconds() -> None:
    """Those that are waited for, and those of calls that come later; what arrives in time is served."""

    async def main() -> list[Any]:
        reader = RequestReader()

        async def ended_after() -> float:
            return await _ended_after(reader.read(_Context()), ServerEndsError, None)  # type: ignore[arg-type]

        begun = [asyncio.ensure_future(ended_after()) for _ in range(3)]
        await asyncio.sleep(0.5)
        reader.hurry()
        served = reader.read(_Context((MAX_SECONDS_IN_DRAIN / 2, b"a")))  # type: ignore[arg-type]
        return [*await asyncio.gather(*begun, ended_after()), await served]

    *seconds, served = virtual_time.run(main())
    assert seconds == pytest.approx([MAX_SECONDS_IN_DRAIN] * 4)
    assert served == b"a"


@pytest.mark.parametrize("frames", [pytest.param(frames, id=name) for name, frames in ENDED.items()])
async def test_a_request_that_ends_before_it_is_whole_is_answered_at_once(gateway: Gateway, frames: Frames) -> None:
    """INVALID_REQUEST for every method with one request; a stream of none is OK; unknown methods stay unimplemented."""
    connection = await Connection.to(gateway.address[1])
    codes = [
        None if each is None else each.code
        for each in await ends([send(connection, method, frames) for method in METHODS], 5)
    ]
    connection.transport.abort()
    assert codes == ([INVALID] * len(UNARY + SERVER_STREAMING) + [OK] * len(STREAMING) + [UNIMPLEMENTED] * len(UNKNOWN))


async def test_such_calls_are_counted_and_logged(vendor: ScriptedVendor, capsys: pytest.CaptureFixture[str]) -> None:
    """As every call is; those of methods that do not exist as `unknown`, whatever their name."""
    log_to_stdout("info")
    counted = ['grpc_code="UNIMPLEMENTED",grpc_method="unknown",grpc_service="unknown",grpc_type="unary"} 3.0']
    for methods, kind in ((UNARY, "unary"), (SERVER_STREAMING, "server_stream")):
        for service, name in (method[1:].split("/") for method in methods):
            labels = f'grpc_method="{name}",grpc_service="{service}",grpc_type="{kind}"'
            counted.append(f'grpc_server_handled_total{{grpc_code="INVALID_ARGUMENT",{labels}}} 1.0')
    async with started(vendor.url) as gateway:
        connection = await Connection.to(gateway.address[1])
        await ends([send(connection, method, ()) for method in METHODS], 5)
        async with asyncio.timeout(30):  # the callers have their statuses first
            while not all(map((await metrics_of(gateway)).__contains__, counted)):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        connection.transport.abort()
    logged = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for method in (*UNARY, *SERVER_STREAMING):
        line = next(line for line in logged if line.get("method") == method.rpartition("/")[2])
        assert (line["code"], line["reason"]) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    unknown = [line for line in logged if line.get("method") == "unknown"]
    assert [(line["level"], line["code"]) for line in unknown] == [("info", "UNIMPLEMENTED")] * 3


async def test_128_of_them_leave_their_connection_usable(gateway: Gateway) -> None:
    """A proxy's connection is not used up by one client behind it."""
    connection = await Connection.to(gateway.address[1])
    stuck = [send(connection, UNARY[number % 3], ()) for number in range(connection.limit)]
    assert {each.code for each in await ends(stuck, 5) if each} == {INVALID}
    answered = await connection.read("77b2c4d5e6f7g890", 5)
    connection.transport.abort()
    assert answered.code is not None


@pytest.mark.parametrize("frames", [pytest.param(frames, id=name) for name, frames in OPEN.items()])
async def test_the_drain_does_not_wait_for_them(vendor: ScriptedVendor, frames: Frames) -> None:
    """Nor for watchers of health, nor for those that do not read: all end, and GRACE is not used up."""
    async with started(vendor.url, grace=30.0) as gateway:
        connection = await Connection.to(gateway.address[1])
        calls = [send(connection, method, frames) for method in (*UNARY, *SERVER_STREAMING, *STREAMING)]
        await asyncio.sleep(0.2)
        async with asyncio.timeout(15):
            await gateway.drain()
        assert None not in await ends(calls, 1)
        connection.transport.abort()
