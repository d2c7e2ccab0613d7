"""Requests that never become whole, as HTTP/2 frames, and the methods to send them to."""

import asyncio
import struct
from collections.abc import Mapping, Sequence

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from testkit import http2
from testkit.http2_connection import SERVICE, Connection, Ended

_MESSAGE = GetCallRequestResultRequest(call_request_id="77b2c4d5e6f7g890").SerializeToString()
_WHOLE = b"\0" + struct.pack(">I", len(_MESSAGE)) + _MESSAGE

Frames = Sequence[tuple[int, bytes]]
"""DATA frames: flags and content. None at all: END_STREAM is on the headers."""

ENDED: Mapping[str, Frames] = {
    "no message": (),
    "an empty frame": ((http2.END_STREAM, b""),),
    "a part of the prefix": ((http2.END_STREAM, _WHOLE[:3]),),
    "the prefix alone": ((http2.END_STREAM, _WHOLE[:5]),),
    "a part of the message": ((http2.END_STREAM, _WHOLE[:-2]),),
    "a part in each of many frames": (*((0, _WHOLE[at : at + 1]) for at in range(9)), (http2.END_STREAM, b"")),
}
"""The client has ended its side."""

OPEN: Mapping[str, Frames] = {
    "empty frames": ((0, b""),) * 3,
    "a part of the prefix": ((0, _WHOLE[:3]),),
    "the prefix alone": ((0, _WHOLE[:5]),),
    "a part of the message": ((0, _WHOLE[:-2]),),
}
"""The client promises more, and never sends it."""

UNARY = tuple(
    SERVICE + name for name in ("GetCallRequestResult", "BatchGetCallRequestResults", "CancelCallRequest")
) + tuple(f"/grpc.health.v1.Health/{name}" for name in ("Check", "List"))
SERVER_STREAMING = (SERVICE + "WatchCallRequestResult", "/grpc.health.v1.Health/Watch")
STREAMING = tuple(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha"))
UNKNOWN = ("/no.such.Service/Method", SERVICE + "No", "/no/\udcff\udcfe")
METHODS = (*UNARY, *SERVER_STREAMING, *STREAMING, *UNKNOWN)


def send(connection: Connection, method: str, frames: Frames) -> "asyncio.Future[Ended]":
    """Sends such a request on a stream of its own; the future has its end."""
    ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
    stream = connection.start(
        http2.call_headers(method), lambda end: None if ended.done() else ended.set_result(end), whole=not frames
    )
    for flags, content in frames:
        connection.transport.write(http2.frame(http2.DATA, flags, stream, content))
    return ended


async def ends(futures: Sequence["asyncio.Future[Ended]"], seconds: float) -> list[Ended | None]:
    """How they ended within so many seconds from now; None: not yet."""
    await asyncio.wait(futures, timeout=seconds)
    return [each.result() if each.done() else None for each in futures]
