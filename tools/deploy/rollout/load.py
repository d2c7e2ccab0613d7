"""The load on a rollout: reads, cancels and watches over channels as clients/service_config.json has them."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from callrequest.v1.call_request_pb2 import CallRequestStatus
from callrequest.v1.call_request_service_pb2 import (
    CancelCallRequestRequest,
    GetCallRequestResultRequest,
    WatchCallRequestResultRequest,
)
from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceStub
from testkit.calls import CHANNEL, code_of, identifier
from testkit.server_process import ROOT

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub

CHANNELS = 8
TIMEOUT = 30.0  # seconds for a call, the most that a gateway takes: calls are to end, however busy the machine is


@asynccontextmanager
async def clients(target: str, resolve_seconds: float) -> "AsyncIterator[list[CallRequestServiceAsyncStub]]":
    """Clients of a name. resolve_seconds: how long a channel asks no name server after it did; 30 unless set."""
    config = json.loads((ROOT / "clients" / "service_config.json").read_text())
    for method in config["methodConfig"]:
        method["timeout"] = f"{TIMEOUT:.0f}s"
    options = (
        *CHANNEL,
        ("grpc.service_config", json.dumps(config)),
        ("grpc.dns_min_time_between_resolutions_ms", int(resolve_seconds * 1000)),
    )
    channels = [grpc.aio.insecure_channel(target, options=options) for _ in range(CHANNELS)]
    try:
        yield [CallRequestServiceStub(channel) for channel in channels]
    finally:
        for channel in channels:
            await channel.close()


class Load:
    """How the calls ended: reads and cancels by code, watches by their end, and why some were begun anew."""

    def __init__(self, stubs: "list[CallRequestServiceAsyncStub]") -> None:
        self._stubs = stubs
        self.reads, self.cancels = Counter[str](), Counter[str]()
        self.watches, self.rewatched = Counter[str](), Counter[str]()
        self.watching = 0
        self.slowest = 0.0

    def _stub(self, number: int) -> "CallRequestServiceAsyncStub":
        return self._stubs[number % len(self._stubs)]

    async def call(self, number: int) -> None:
        """A read of an id of its own; each twentieth call cancels, which no client repeats by itself."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        if number % 20:
            read = GetCallRequestResultRequest(call_request_id=identifier("read", number))
            self.reads[await code_of(self._stub(number).GetCallRequestResult(read, timeout=TIMEOUT))] += 1
        else:
            cancel = CancelCallRequestRequest(call_request_id=identifier("cancel", number))
            self.cancels[await code_of(self._stub(number // 20).CancelCallRequest(cancel, timeout=TIMEOUT))] += 1
        self.slowest = max(self.slowest, loop.time() - begun)

    async def watch(self, number: int, call_request_id: str) -> None:
        """Watches until the result is final; begins anew when the gateway ended the watch for its own sake."""
        request = WatchCallRequestResultRequest(call_request_id=call_request_id)
        latest = None
        while True:
            begun = False
            try:
                async for response in self._stub(number).WatchCallRequestResult(request, wait_for_ready=True):
                    self.watching += not begun
                    begun, latest = True, response.call_request_result.status
                self.watches["final" if latest == CallRequestStatus.CALL_REQUEST_STATUS_CANCELLED else "OK"] += 1
            except grpc.aio.AioRpcError as error:
                if (reason := _reason(error)) != "WATCH_ENDED":
                    self.watches[reason or error.code().name] += 1
                else:
                    self.rewatched[reason] += 1
                    continue
            finally:
                self.watching -= begun
            return


def _reason(error: grpc.aio.AioRpcError) -> str:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # its types know the blocking call
    for detail in status.details if status else ():
        info = ErrorInfo()
        if detail.Unpack(info):
            return str(info.reason)
    return ""
