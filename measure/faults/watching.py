"""Cases: thousands of watches, watchers that do not read or are gone, long streams, a storm of reconnects; batches."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from callrequest.v1.call_request_service_pb2 import (
    BatchGetCallRequestResultsRequest,
    GetCallRequestResultRequest,
    WatchCallRequestResultRequest,
)
from measure.cpu import cpu_seconds
from testkit.calls import client_of, counted, identifier
from testkit.gateway_process import GatewayProcess, serving
from testkit.scripted_vendor import never
from testkit.stateful_vendor import Vendor
from testkit.watch_connection import WatchConnection

from .fault_case import FaultCase, Findings, Form

WATCHES_PER_CONNECTION = 96  # three quarters of MAX_STREAMS
_ID = identifier("watched", 1)


@asynccontextmanager
async def _watching(port: int, ids: list[str], *, reads: bool = True) -> AsyncIterator[list[WatchConnection]]:
    """Watches of these ids, on as many connections as they need."""
    connections: list[WatchConnection] = []
    try:
        for first in range(0, len(ids), WATCHES_PER_CONNECTION):
            connection = await WatchConnection.to(port, reads=reads)
            connections.append(connection)
            for each in ids[first : first + WATCHES_PER_CONNECTION]:
                connection.watch(each)
        yield connections
    finally:
        for connection in connections:
            connection.close()


def _messages(connections: list[WatchConnection]) -> int:
    return sum(connection.messages.total() for connection in connections)


async def _until(condition: Callable[[], bool], most: float) -> float:
    """Waits until something is so, at most so long; returns the seconds that it took."""
    begun = time.monotonic()
    while not condition() and time.monotonic() < begun + most:  # noqa: ASYNC110 (frames come in callbacks)
        await asyncio.sleep(0.005)
    return time.monotonic() - begun


async def _until_async(condition: Callable[[], Awaitable[bool]], most: float) -> float:
    begun = time.monotonic()
    while not await condition() and time.monotonic() < begun + most:  # noqa: ASYNC110 (of another process)
        await asyncio.sleep(0.25)
    return time.monotonic() - begun


async def _change(gateway: GatewayProcess, vendor: Vendor, status: str) -> float:
    """Changes the watched call request at the vendor and has it read; returns the time of the change."""
    vendor.statuses[_ID] = status
    async with client_of(gateway.target) as client:
        changed = time.monotonic()
        request = GetCallRequestResultRequest(call_request_id=_ID, max_age=Duration())
        await client.GetCallRequestResult(request, timeout=10)
    return changed


async def _many(form: Form, findings: Findings) -> None:
    number = form.of(3_000, 10_000)
    core = min(os.sched_getaffinity(0))
    async with Vendor() as vendor, serving(vendor.url, core=core, FINAL_MAX_AGE=60) as gateway:
        async with client_of(gateway.target) as client:
            await client.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=_ID), timeout=10)
        before = gateway.memory()
        async with _watching(gateway.port, [_ID] * number) as connections:
            seconds = await _until(lambda: _messages(connections) >= number, 60)
            got = _messages(connections)
            findings.record(f"{got} of {number} snapshots after {seconds:.1f} s", got == number)
            kilobytes = (gateway.memory() - before) * 1024 / number
            findings.record(f"{kilobytes:.1f} KB a watch", kilobytes <= 30)
            findings.record(f"{vendor.reads[_ID]} reads at the vendor", vendor.reads[_ID] <= 2)
            used = cpu_seconds(gateway.process.pid)
            await asyncio.sleep(form.of(5, 20))
            idle = (cpu_seconds(gateway.process.pid) - used) / form.of(5, 20)
            findings.record(f"idle {idle:.1%} of a core", idle <= 0.06)
            used = cpu_seconds(gateway.process.pid)
            begun = await _change(gateway, vendor, "IN_PROGRESS")
            await _until(lambda: _messages(connections) >= 2 * number, 30)
            lasted, cpu = (
                max(connection.latest for connection in connections) - begun,
                cpu_seconds(gateway.process.pid) - used,
            )
            findings.record(
                f"one change to {_messages(connections) - number} in {lasted:.2f} s, {cpu:.2f} s of CPU",
                _messages(connections) == 2 * number and cpu <= 1.5,
            )


async def _unread(form: Form, findings: Findings) -> None:
    number = form.of(2_000, 10_000)
    silent = number // 10
    core = min(os.sched_getaffinity(0))
    async with (
        Vendor() as vendor,
        serving(vendor.url, core=core, FINAL_MAX_AGE=60) as gateway,
        _watching(gateway.port, [_ID] * silent, reads=False),
        _watching(gateway.port, [_ID] * (number - silent)) as readers,
    ):
        await _until(lambda: _messages(readers) >= number - silent, 60)
        before, late, most = gateway.memory(), 0.0, 0.0
        for change in range(1, form.of(10, 30)):
            used = cpu_seconds(gateway.process.pid)
            begun = await _change(gateway, vendor, ("PENDING_TO_CALL", "IN_PROGRESS")[change % 2])
            expected = (change + 1) * (number - silent)
            await _until(lambda expected=expected: _messages(readers) >= expected, 20)  # type: ignore[misc]
            received = _messages(readers)
            if received < expected:
                findings.record(f"{expected - received} messages lost at change {change}", False)
                return
            late = max(late, max(connection.latest for connection in readers) - begun)
            most = max(most, cpu_seconds(gateway.process.pid) - used)
        findings.record(f"the others' lag at most {late:.2f} s, {most:.2f} s of CPU", most < form.of(0.5, 1.5))
        grown = gateway.memory() - before
        findings.record(f"+ {grown:.0f} MB", grown < 40)


async def _one_poll(form: Form, findings: Findings) -> None:
    async with (
        Vendor() as vendor,
        serving(vendor.url, WATCH_PENDING_INTERVAL=2) as gateway,
        _watching(gateway.port, [_ID] * 1_000) as connections,
    ):
        await _until(lambda: _messages(connections) >= 1_000, 30)
        before, seconds = vendor.reads[_ID], form.of(8.0, 30.0)
        await asyncio.sleep(seconds)
        reads = vendor.reads[_ID] - before
        findings.record(
            f"{before} read at first, {reads} in {seconds:.0f} s of pace 2 s",
            before == 1 and reads <= seconds / 2 * 1.1 + 1,
        )


async def _one_channel(form: Form, findings: Findings) -> None:
    async with (
        Vendor() as vendor,
        serving(vendor.url, FINAL_MAX_AGE=60, DEFAULT_MAX_AGE=60) as gateway,
        client_of(gateway.target) as client,
    ):
        request = WatchCallRequestResultRequest(call_request_id=_ID)
        watches = [client.WatchCallRequestResult(request) for _ in range(128)]
        firsts = await asyncio.gather(*(watch.read() for watch in watches), return_exceptions=True)
        refused = [error for error in firsts if isinstance(error, grpc.aio.AioRpcError)]
        reasons = {_reason(error) for error in refused}
        findings.record(f"{len(refused)} of 128 refused: {reasons}", len(refused) == 32 and reasons == {"OVERLOADED"})
        begun = time.monotonic()
        await client.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=_ID), timeout=5)
        took = (time.monotonic() - begun) * 1000
        findings.record(f"a Get beside them in {took:.0f} ms", took < 100)
        for watch in watches:
            watch.cancel()


def _details(error: grpc.aio.AioRpcError) -> tuple[str, bool]:
    """The ErrorInfo's reason, empty without one, and whether there is a RetryInfo."""
    metadata = dict(error.trailing_metadata() or ())
    status = Status.FromString(bytes(metadata.get("grpc-status-details-bin", b"")))
    info, retry = ErrorInfo(), RetryInfo()
    reason = next((info.reason for detail in status.details if detail.Unpack(info)), "")
    return reason, any(detail.Unpack(retry) for detail in status.details)


def _reason(error: grpc.aio.AioRpcError) -> str:
    return _details(error)[0]


async def _age(form: Form, findings: Findings) -> None:
    age = form.of(4.0, 20.0)
    async with Vendor() as vendor, serving(vendor.url, MAX_CONNECTION_AGE=age) as gateway:
        until, ends = time.monotonic() + 2.2 * age, list[tuple[str, bool]]()
        longest = 0.0

        async def follow(number: int) -> None:
            nonlocal longest
            async with client_of(gateway.target) as client:
                while time.monotonic() < until:
                    begun = time.monotonic()
                    try:
                        async for _ in client.WatchCallRequestResult(
                            WatchCallRequestResultRequest(call_request_id=identifier("aged", number))
                        ):
                            pass
                        ends.append(("OK", False))
                    except grpc.aio.AioRpcError as error:
                        ends.append(_details(error))
                    longest = max(longest, time.monotonic() - begun)

        await asyncio.gather(*(follow(number) for number in range(100)))
    findings.record(f"ends: {counted(ends)}", set(ends) == {("WATCH_ENDED", True)} and len(ends) >= 300)
    findings.record(f"the longest stream {longest:.1f} s of an age of {age:.0f} s", longest <= age)


async def _storm(form: Form, findings: Findings) -> None:
    number, rate = form.of(1_000, 5_000), 100
    ids = [identifier("storm", each) for each in range(number)]
    async with Vendor() as vendor, serving(vendor.url, VENDOR_MAX_CALLS_PER_SECOND=rate) as after:
        async with (
            serving(vendor.url, DRAIN_DELAY=0, GRACE=20) as before,
            _watching(before.port, ids) as connections,
        ):
            await _until(lambda: _messages(connections) >= number, 60)
            before.signal()
            code = await before.ended(25)
            ended = [end for connection in connections for end in connection.ended.values()]
        findings.record(f"exit code {code}", code == 0)
        reasons = counted(end.reason for end in ended)
        findings.record(
            f"at the drain: {reasons}", len(ended) == number and {end.reason for end in ended} == {"WATCH_ENDED"}
        )
        waits = [end.retry_after for end in ended]
        spread = max(waits, default=0.0) - min(waits, default=0.0)
        findings.record(f"RetryInfo from {min(waits, default=0):.1f} to {max(waits, default=0):.1f} s", spread > 3)
        vendor.reads.clear()
        begun = time.monotonic()
        counts: list[int] = []
        fleet: list[WatchConnection] = [
            await WatchConnection.to(after.port) for _ in range(-(-number // WATCHES_PER_CONNECTION))
        ]
        for wait, index in sorted((wait, index) for index, wait in enumerate(waits)):
            await asyncio.sleep(max(begun + wait - time.monotonic(), 0))
            fleet[index % len(fleet)].watch(ids[index])
        while _messages(fleet) < number and time.monotonic() < begun + 70:
            counts.append(vendor.reads.total())
            await asyncio.sleep(1)
        seconds = max(connection.latest for connection in fleet) - begun
        got = _messages(fleet)
        findings.record(f"{got} of {number} snapshots after {seconds:.0f} s", got == number and seconds <= 60)
        most = max((later - earlier for earlier, later in pairwise(counts)), default=0)
        findings.record(f"at most {most} vendor calls a second of {rate} and a burst", most <= 2.2 * rate)
        for connection in fleet:
            connection.close()


async def _gone(form: Form, findings: Findings) -> None:
    async with Vendor() as vendor, serving(vendor.url) as gateway:
        connection = await WatchConnection.to(gateway.port, answers_pings=False)
        for _ in range(10):
            connection.watch(_ID)

        async def places_are_free() -> bool:
            return (await gateway.scrape())["watchers{}"] == 0

        await _until(lambda: _messages([connection]) >= 10, 10)
        findings.record(f"{(await gateway.scrape())['watchers{}']:.0f} watches", not await places_are_free())
        seconds = await _until_async(places_are_free, 95)
        findings.record(f"places free after {seconds:.0f} s", seconds <= 90)
        connection.close()


async def _batch_hangs(form: Form, findings: Findings) -> None:
    async with Vendor() as vendor, serving(vendor.url) as gateway, client_of(gateway.target) as client:
        ids = [identifier("batch", number) for number in range(80)]
        hanging = set(ids[::2])
        vendor.on_read = lambda asked: never() if asked in hanging else vendor.result_of(asked)
        begun = time.monotonic()
        response = await client.BatchGetCallRequestResults(
            BatchGetCallRequestResultsRequest(call_request_ids=ids), timeout=2
        )
        took = time.monotonic() - begun
        answered = {item.call_request_id for item in response.items if item.HasField("call_request_result")}
        findings.record(f"{len(answered)} of 80 answered in {took:.2f} s of 2", answered == set(ids) - hanging)


async def _batch_cost(form: Form, findings: Findings) -> None:
    rounds = form.of(150, 1_000)
    core = min(os.sched_getaffinity(0))
    async with (
        Vendor() as vendor,
        serving(vendor.url, core=core, DEFAULT_MAX_AGE=600, FINAL_MAX_AGE=600) as gateway,
        client_of(gateway.target) as client,
    ):
        ids = [identifier("batch", number) for number in range(100)]
        batch = BatchGetCallRequestResultsRequest(call_request_ids=ids)
        get = GetCallRequestResultRequest(call_request_id=ids[0])
        await client.BatchGetCallRequestResults(batch, timeout=10)

        async def cpu_of(call: Callable[[], Awaitable[object]], calls: int) -> float:
            for _ in range(50):
                await call()
            used = cpu_seconds(gateway.process.pid)
            for _ in range(calls):
                await call()
            return (cpu_seconds(gateway.process.pid) - used) / calls * 1e6

        batch_cpu = await cpu_of(lambda: client.BatchGetCallRequestResults(batch, timeout=10), rounds)
        get_cpu = await cpu_of(lambda: client.GetCallRequestResult(get, timeout=10), 4 * rounds)
        text = f"a batch of 100 known ids {batch_cpu:.0f} µs, a Get {get_cpu:.0f} µs: {batch_cpu / get_cpu:.1f} Gets"
        findings.record(text, batch_cpu <= 8 * get_cpu)


CASES = (
    FaultCase(
        "watch-many",
        "3 000 (long: 10 000) watches of one id on one core",
        "each has its snapshot, ≤ 30 KB a watch, idle ≤ 6 % of a core, one change to all within 1.5 s of CPU",
        _many,
        timeout=180,
    ),
    FaultCase(
        "watch-unread",
        "a tenth of 2 000 (long: 10 000) watchers do not read, 9 (long: 29) changes",
        "the others have each change within 0.5 s (long: 1.5 s) of CPU, + 40 MB",
        _unread,
        timeout=240,
    ),
    FaultCase("watch-shared", "1 000 watchers of one id", "one poll for all, at its pace", _one_poll, timeout=90),
    FaultCase(
        "watch-channel",
        "128 watches and a read on one connection",
        "watches above three quarters of its streams are OVERLOADED, the read < 100 ms",
        _one_channel,
    ),
    FaultCase(
        "watch-age",
        "100 callers watch for twice MAX_CONNECTION_AGE",
        "each stream ends with WATCH_ENDED and RetryInfo, within the age",
        _age,
        timeout=120,
    ),
    FaultCase(
        "watch-storm",
        "a drain of 1 000 (long: 5 000) watches, which come back to another process; 100 vendor calls/s allowed",
        "each is sent a RetryInfo and has its snapshot within 60 s, vendor calls ≤ 100/s and a burst",
        _storm,
        timeout=240,
    ),
    FaultCase(
        "watch-gone",
        "a client with 10 watches is gone without closing its connection",
        "its places are free within 90 s",
        _gone,
        timeout=120,
    ),
    FaultCase(
        "batch-hanging",
        "40 of the 80 ids of a batch hang",
        "the other 40 are answered before the deadline",
        _batch_hangs,
    ),
    FaultCase(
        "batch-cost",
        "batches of 100 known ids, and reads of one, on one core",
        "a batch ≤ the CPU of 8 reads",
        _batch_cost,
    ),
)
