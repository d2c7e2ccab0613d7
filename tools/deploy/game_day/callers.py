"""Who calls all night: a desk that reads and cancels, one that polls and watches, and reports, which may be greedy."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc

from callrequest.v1.call_request_service_pb2 import (
    CancelCallRequestRequest,
    GetCallRequestResultRequest,
    WatchCallRequestResultRequest,
)
from testkit.calls import client_of, code_of, identifier, recommended_clients
from tools.deploy.firing.stage import forever

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub

NAMES = {
    "booking-desk": ("read", "cancel"),
    "front-office": ("read",),
    "reports": ("read",),
    "operator": ("read", "cancel"),
}
POLLED, WATCHED = 3, 20
GREEDY = 60.0
"""Calls a second of reports, when it has a backlog to read."""


def token_of(caller: str) -> str:
    """The bearer token of a caller."""
    return f"token-of-{caller}"


def callers_file() -> str:
    """The file of callers at the beginning."""
    tables = []
    for name, may in NAMES.items():
        digest = hashlib.sha256(token_of(name).encode()).hexdigest()
        allowed = ", ".join(f'"{each}"' for each in may)
        tables.append(f'[[caller]]\nname = "{name}"\ntoken_sha256 = "{digest}"\nmay = [{allowed}]\n')
    return "\n".join(tables)


class Callers:
    """Those who call. greedy: whether reports reads its backlog."""

    def __init__(self, targets: Sequence[str]) -> None:
        self._targets = targets
        self.greedy = asyncio.Event()

    @asynccontextmanager
    async def calling(self) -> AsyncIterator[None]:
        """They call until the block is left, with the recommended clients, balanced over the replicas."""
        target = "ipv4:" + ",".join(self._targets)
        async with recommended_clients(target, 3) as (desk, office, reports):
            tasks = [
                asyncio.create_task(each)
                for each in (
                    forever(6, lambda number: _read(desk, "booking-desk", identifier("desk", number))),
                    forever(0.5, lambda number: _cancel(desk, identifier("stop", number))),
                    forever(4, lambda number: _read(office, "front-office", identifier("hot", number % POLLED))),
                    *(_watch(office, identifier("watch", number)) for number in range(WATCHED)),
                    forever(1, lambda number: _read(reports, "reports", identifier("report", number))),
                    self._backlog(),
                )
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _backlog(self) -> None:
        number = 0
        async with client_of("ipv4:" + ",".join(self._targets)) as client:
            calls: set[asyncio.Task[None]] = set()
            while True:
                await self.greedy.wait()
                number += 1
                call = asyncio.create_task(_read(client, "reports", identifier("backlog", number)))
                calls.add(call)
                call.add_done_callback(calls.discard)
                await asyncio.sleep(1 / GREEDY)


def _as(caller: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token_of(caller)}"),)


async def _read(client: "CallRequestServiceAsyncStub", caller: str, call_request_id: str) -> None:
    request = GetCallRequestResultRequest(call_request_id=call_request_id)
    await code_of(client.GetCallRequestResult(request, timeout=5, metadata=_as(caller)))


async def _cancel(client: "CallRequestServiceAsyncStub", call_request_id: str) -> None:
    request = CancelCallRequestRequest(call_request_id=call_request_id)
    await code_of(client.CancelCallRequest(request, timeout=10, metadata=_as("booking-desk")))


async def _watch(client: "CallRequestServiceAsyncStub", call_request_id: str) -> None:
    """Watches it, and again when the stream breaks."""
    request = WatchCallRequestResultRequest(call_request_id=call_request_id)
    while True:
        try:
            async for _ in client.WatchCallRequestResult(request, metadata=_as("front-office")):
                pass
        except grpc.aio.AioRpcError:
            pass
        await asyncio.sleep(1)
