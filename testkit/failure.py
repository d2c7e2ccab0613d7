"""A failed call as a caller decodes it: by grpc_status and the contract's own messages."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from callrequest.v1.cancellation_pb2 import CancellationRejected


@dataclass(frozen=True)
class Failure:
    """A status and its details. retry: seconds, None without RetryInfo. fields: those of BadRequest."""

    code: str
    text: str
    reason: str
    metadata: dict[str, str]
    retry: float | None
    fields: list[str]
    rejected: CancellationRejected | None


async def failure(call: Awaitable[Any]) -> Failure:
    """Awaits a call that must fail, and decodes its status."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return decode(caught.value)


async def failure_at_deadline(make: Callable[[], Awaitable[Any]]) -> Failure:
    """Makes a call that the gateway must fail at its deadline, and decodes the status.

    The gateway's status has 50 ms to arrive. Where a busy machine takes longer, the caller's library ends the call by
    itself, without details: then the call is made again, five times in all.
    """
    for _ in range(4):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await make()
        if caught.value.code() is not grpc.StatusCode.DEADLINE_EXCEEDED or _details(caught.value) is not None:
            return decode(caught.value)
    return await failure(make())


def decode(error: grpc.aio.AioRpcError) -> Failure:
    """The details of an error; asserts what holds for every one of ours."""
    status = _details(error)
    assert status is not None, f"no status details: {error.code()} {error.details()}"
    assert status.message == error.details()
    assert len(status.message.encode()) <= 256
    found: dict[type, Any] = {}
    for detail in status.details:
        for kind in (ErrorInfo, RetryInfo, BadRequest, CancellationRejected):
            message: Any = kind()
            if detail.Unpack(message):
                found[kind] = message
    info = found[ErrorInfo]
    assert info.domain == "callrequest.v1"
    retry = found.get(RetryInfo)
    return Failure(
        code=error.code().name,
        text=status.message,
        reason=info.reason,
        metadata=dict(info.metadata),
        retry=None if retry is None else retry.retry_delay.ToNanoseconds() / 1e9,
        fields=[violation.field for violation in found.get(BadRequest, BadRequest()).field_violations],
        rejected=found.get(CancellationRejected),
    )


def _details(error: grpc.aio.AioRpcError) -> Status | None:
    return rpc_status.from_call(error)  # type: ignore[arg-type]  # its types know no asyncio
