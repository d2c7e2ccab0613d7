"""Cases: a gateway with two workers, of which one dies, hangs or is drained while clients call; and who gets what.

The clients have the service config that clients/ recommends: they watch health and repeat reads that end with
UNAVAILABLE. After an attempt to connect that failed they wait for a second, as those of Java must. A call in the act of
arriving may be answered CANCELLED (grpc#41785): it was not accepted.
"""

import asyncio
import itertools
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from testkit.calls import at_rate, code_of, counted, identifier, recommended_clients
from testkit.gateway_process import GatewayProcess, serving
from testkit.http2_connection import Connection, connected
from testkit.server_process import ROOT
from testkit.sockets import clients_of
from testkit.stateful_vendor import Vendor, after

from .fault_case import FaultCase, Findings, Form

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub

_CLIENTS = 8
_RATE = 100.0  # calls a second
_SOON = 5.0  # seconds until a worker is replaced
_ARRIVING = 0.01  # the share of calls that may be in the act of arriving
_PROMISED = "no accepted call lost to clients that retry, at most 1 % not accepted"


class _Calls:
    """What becomes of the calls of all clients, each with a connection of its own."""

    def __init__(self, clients: "list[CallRequestServiceAsyncStub]", vendor: Vendor) -> None:
        self._clients = clients
        self._vendor = vendor
        self._ids = (identifier("call", number) for number in itertools.count())
        self.codes: dict[str, str] = {}
        self.slowest = 0.0

    async def one(self, number: int) -> None:
        """One call, of the client whose turn it is."""
        asked, begun = next(self._ids), time.monotonic()
        request = GetCallRequestResultRequest(call_request_id=asked)
        self.codes[asked] = await code_of(self._clients[number % _CLIENTS].GetCallRequestResult(request))
        self.slowest = max(self.slowest, time.monotonic() - begun)

    async def poll(self, client: int, enough: asyncio.Event) -> None:
        """One client's calls, one after the other."""
        while not enough.is_set():
            await self.one(client)
            await asyncio.sleep(0.02)

    def judge(self, findings: Findings) -> None:
        """Records how they ended."""
        failed = {asked: code for asked, code in self.codes.items() if code != "OK"}
        lost = sum(self._vendor.reads[asked] > 0 for asked in failed)
        arriving = set(failed.values()) <= {"CANCELLED"} and len(failed) <= len(self.codes) * _ARRIVING
        findings.record(f"{counted(self.codes.values())}, {lost} accepted and lost", not lost and arriving)
        findings.record(f"slowest {self.slowest:.1f} s")


async def _replaced(gateway: GatewayProcess, slot: int, findings: Findings, begin: Callable[[int], None]) -> None:
    """Records how long it takes from what begins to the new worker."""
    before = gateway.workers()[slot]
    begin(before)
    took = await gateway.until(lambda: gateway.workers()[slot] != before, 20)
    findings.record(f"replaced after {took:.1f} s", took < _SOON)


def _told(number: signal.Signals) -> Callable[[Form, Findings], Awaitable[None]]:
    """Each worker in turn gets the signal."""

    async def measure(form: Form, findings: Findings) -> None:
        async with (
            Vendor() as vendor,
            serving(vendor.url, WORKERS=2) as gateway,
            recommended_clients(gateway.target) as clients,
        ):
            vendor.on_read = after(0.02, vendor.result_of)
            calls = _Calls(clients, vendor)
            load = asyncio.ensure_future(at_rate(_RATE, form.of(6.0, 30.0), calls.one))
            for slot in (0, 1):
                await asyncio.sleep(1.5)
                await _replaced(gateway, slot, findings, lambda process: os.kill(process, number))
            await load
            calls.judge(findings)

    return measure


async def _stuck(form: Form, findings: Findings) -> None:
    """What waits on the stuck one is repeated once that is ended."""
    async with (
        Vendor() as vendor,
        serving(vendor.url, WORKERS=2, path=ROOT / "measure" / "faults" / "stuck_workers") as gateway,
        recommended_clients(gateway.target) as clients,
    ):
        calls, enough = _Calls(clients, vendor), asyncio.Event()
        polling = [asyncio.ensure_future(calls.poll(client, enough)) for client in range(4)]
        await asyncio.sleep(1)
        connection = await Connection.to(gateway.port)
        client = connection.transport.get_extra_info("sockname")[1]
        (slot,) = (slot for slot, process in gateway.workers().items() if client in clients_of(process, gateway.port))
        blocked: list[asyncio.Future[object]] = []

        def block(process: int) -> None:
            blocked.append(asyncio.ensure_future(connection.read("blocking00000000", 20)))

        await _replaced(gateway, slot, findings, block)
        await asyncio.sleep(1)
        enough.set()
        await asyncio.gather(*polling, *blocked)
        findings.record("its stack on stderr", "in _stuck" in gateway.errors())
        calls.judge(findings)


async def _balance(form: Form, findings: Findings) -> None:
    """The kernel draws a worker for each connection: eight connections fall as eight coins do."""
    splits, calls = Counter[int](), Counter[int]()
    attempts = form.of(60, 300)
    async with Vendor() as vendor, serving(vendor.url, WORKERS=2) as gateway:
        for _ in range(attempts):
            async with connected(gateway.port, _CLIENTS):
                held = [len(clients_of(process, gateway.port)) for _, process in sorted(gateway.workers().items())]
            await gateway.until(lambda: not any(clients_of(each, gateway.port) for each in gateway.workers().values()))
            splits[max(held)] += 1
            calls.update(dict(enumerate(held)))
    share = calls[0] / calls.total()
    findings.record(f"{share:.0%} and {1 - share:.0%} over {attempts} times", 0.4 <= share <= 0.6)
    parts = ", ".join(f"{most}:{_CLIENTS - most} {splits[most] / attempts:.0%}" for most in sorted(splits))
    findings.record(parts, splits[_CLIENTS] <= attempts * 0.05)


CASES = (
    FaultCase(
        "worker-killed",
        "each of two workers killed, 100 calls/s over 8 connections",
        f"replaced in under 5 s, {_PROMISED}",
        _told(signal.SIGKILL),
        timeout=60,
    ),
    FaultCase(
        "worker-drained",
        "SIGTERM to each of two workers, 100 calls/s over 8 connections",
        f"replaced in under 5 s, {_PROMISED}",
        _told(signal.SIGTERM),
        timeout=60,
    ),
    FaultCase(
        "worker-stuck",
        "the event loop of one of two workers blocked, 4 clients that poll",
        f"replaced in under 5 s, its stack on stderr, {_PROMISED}",
        _stuck,
        timeout=60,
    ),
    FaultCase(
        "balance",
        "8 connections to two workers, 60 times (long: 300)",
        "40 to 60 % each over all, all on one in 5 % of times at most",
        _balance,
        timeout=60,
    ),
)
