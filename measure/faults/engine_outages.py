"""Cases: connections to the engine that go silent, a failover by Sentinel, clocks an hour apart."""

import asyncio
import time
from pathlib import Path
from typing import Any

from callrequest.v1 import call_request_pb2 as pb
from testkit.calls import counted, identifier
from testkit.engine import engine
from testkit.gateway_process import serving
from testkit.http2_connection import Ended, connected
from testkit.sentinels import sentinels
from testkit.server_process import free_ports
from testkit.stateful_vendor import after
from testkit.tcp_proxy import TcpProxy
from testkit.watch_connection import WatchConnection

from .fault_case import FaultCase, Findings, Form
from .fleet import STATE_KEYS, record_all_ok, sharing

_LIBRARY = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)
"""Of Debian's package faketime. Its command is not used: it stays beside the process, and signals do not pass it."""
_AHEAD = ("env", f"LD_PRELOAD={_LIBRARY}", "FAKETIME=+1h", "FAKETIME_DONT_FAKE_MONOTONIC=1")
_HOUR = 3600


async def _black_holed(form: Form, findings: Findings) -> None:
    """A gateway's connections to the engine go silent; another one publishes a change meanwhile."""
    each = identifier("hole", 1)
    (port,) = free_ports(1)
    with engine(port) as running:
        async with TcpProxy(port) as proxy:
            slow: dict[str, Any] = {"WATCH_PENDING_INTERVAL": 60.0, "STATE_URL": f"redis://127.0.0.1:{proxy.port}"}
            async with (
                sharing(1, **(slow | {"STATE_URL": running.url})) as fleet,
                serving(fleet.vendor.url, **(_SHARED | slow)) as gateway,
                connected(gateway.port) as client,
            ):
                await gateway.until(lambda: gateway.logged("shared state is up"))
                connection = await WatchConnection.to(gateway.port)
                stream = connection.watch(each)
                while not connection.messages[stream]:  # noqa: ASYNC110 (nothing to wait for)
                    await asyncio.sleep(0.02)
                proxy.silence()
                silent = time.monotonic()
                fleet.vendor.statuses[each] = "IN_PROGRESS"
                await fleet.clients[0].read(each, 5, max_age=0)
                late = await client.read(identifier("hole", 2), 5)
                while connection.messages[stream] < 2 and time.monotonic() - silent < 10:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
                seen = connection.latest - silent
                noticed = gateway.logged("the channel of the shared state is lost")
                connection.close()
    findings.record(f"a read late by {late.seconds:.2f} s", late.code == 0 and late.seconds <= 1.25)
    findings.record(f"noticed: {len(noticed)} line in the log", len(noticed) == 1)
    findings.record(f"the watcher has the change after {seen:.1f} s", 0 < seen <= 5)


async def _failover(form: Form, findings: Findings) -> None:
    """The master is killed; reads, changes and a cancel go on while Sentinel makes another one."""
    ids = [identifier("over", number) for number in range(20)]
    with sentinels() as servers:
        async with sharing(2, STATE_URL=servers.url) as fleet:
            fleet.vendor.on_read = after(0.02, fleet.vendor.result_of)
            before = await fleet.herd(ids, 4, 5)
            servers.engines[0].kill()
            killed = time.monotonic()
            during = await fleet.herd(ids, 4, 5, max_age=0.1)
            for each in ids[::2]:
                fleet.vendor.statuses[each] = "IN_PROGRESS"
            cancelled = await asyncio.gather(*(fleet.clients[0].cancel(each, 5) for each in ids[1::2]))
            during += await fleet.herd(ids, 4, 5, max_age=0.1)
            async with asyncio.timeout(20):
                while servers.master in (None, servers.engines[0]):  # noqa: ASYNC110 (nothing to wait for)
                    await asyncio.sleep(0.05)
            await fleet.until_shared()
            await fleet.until_cuts_are_noticed()
            took = time.monotonic() - killed
            fleet.vendor.reads.clear()
            afterwards = await fleet.herd(ids, 8, 5, max_age=30)
            asked = fleet.vendor.reads.total() / len(ids)
    record_all_ok(findings, before + during + afterwards, "readers")
    record_all_ok(findings, list(cancelled), "cancels")
    findings.record(f"shared again {took:.1f} s after the kill", took <= 20)
    statuses = {pb.CallRequestStatus.Name(each.result.status) for each in afterwards if each.code == 0}
    findings.record(counted(sorted(statuses)), "CALL_REQUEST_STATUS_PENDING_TO_CALL" not in statuses)
    findings.record(f"{asked:.2f} vendor calls an id afterwards", asked <= 1.05)


async def _clocks(form: Form, findings: Findings) -> None:
    """A gateway whose clock is an hour ahead of the engine's and of another gateway's."""
    ids = [identifier("clock", number) for number in range(20)]
    async with (
        sharing(1) as fleet,
        serving(fleet.vendor.url, prefix=_AHEAD, **(_SHARED | {"STATE_URL": fleet.engine.url})) as ahead,
        connected(ahead.port, 4) as client,
    ):
        while (await ahead.scrape())["state_up{}"] < 1:  # noqa: ASYNC110 (its log is empty: its thread cannot sleep)
            await asyncio.sleep(0.05)
        vendor, answers = fleet.vendor, list[Ended]()
        for first, second in ((client, fleet.clients[0]), (fleet.clients[0], client)):
            vendor.reads.clear()
            answers += await asyncio.gather(*(first.read(each, 5, max_age=0) for each in ids))
            await asyncio.sleep(0.5)
            answers += await asyncio.gather(*(second.read(each, 5, max_age=20) for each in ids))
            known = vendor.reads.total() / len(ids)
            await asyncio.sleep(0.5)
            answers += await asyncio.gather(*(second.read(each, 5, max_age=0.8) for each in ids))
            aged = vendor.reads.total() / len(ids)
            findings.record(f"{known:.2f} and {aged:.2f} vendor calls an id", (known, aged) == (1, 2))
        shown = [each.result.observed_at.seconds for each in answers if each.code == 0]
    record_all_ok(findings, answers, "readers")
    apart = max(shown) - min(shown)
    findings.record(f"observed_at {apart} s apart: the clocks differ", _HOUR - 5 <= apart <= _HOUR + 60)


_SHARED: dict[str, Any] = {"STATE_KEYS": STATE_KEYS, "DEFAULT_MAX_AGE": "", "FINAL_MAX_AGE": ""}


CASES = (
    FaultCase(
        "state-black-holed",
        "a gateway's connections to the engine go silent while another publishes a change",
        "a read late by ≤ 1 s, the silence noticed ≤ 4 s, the watcher has the change ≤ 1 s later",
        _black_holed,
        60,
    ),
    FaultCase(
        "state-failover",
        "the engine's master killed, Sentinel makes another one; changes and cancels meanwhile",
        "no error to a caller, shared again without a restart, nothing from before the failover",
        _failover,
        90,
    ),
    FaultCase(
        "state-clocks",
        "a gateway whose clock is an hour ahead",
        "what either of them read is given by the other within max_age, and not after",
        _clocks,
        60,
        lambda: "" if _LIBRARY else "Debian's package faketime is not installed",
    ),
)
