"""Replies that are compressed although the requests ask for plain ones."""

import gzip
import json
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest

from callrequest.v1.call_request_pb2 import CALL_REQUEST_STATUS_PENDING_TO_CALL
from callrequest.v1.call_request_service_pb2 import CancelCallRequestRequest, GetCallRequestResultRequest
from server.vendor_api.content_encoding import MAX_CODINGS, MAX_MEMBERS, NotDecodable, decode
from server.vendor_api.exchange import MAX_BYTES
from testkit.failure import failure
from testkit.scripted_vendor import RESULT_ID, ScriptedVendor, cancelled, pending, raw, send

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub

GET = GetCallRequestResultRequest(call_request_id=RESULT_ID)
CANCEL = CancelCallRequestRequest(call_request_id=RESULT_ID)


def _raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(body) + compressor.flush()


def _in_members(body: bytes) -> bytes:
    return b"".join(gzip.compress(body[at : at + 20]) for at in range(0, len(body), 20)) + gzip.compress(b"")


COMPRESSED = [
    pytest.param(gzip.compress, "gzip", id="gzip"),
    pytest.param(gzip.compress, "GZIP", id="gzip-in-capitals"),
    pytest.param(gzip.compress, "x-gzip", id="x-gzip"),
    pytest.param(gzip.compress, "identity, gzip", id="gzip-and-identity"),
    pytest.param(lambda body: gzip.compress(body) + b"\0" * 9, "gzip", id="gzip-and-padding"),
    pytest.param(_in_members, "gzip", id="gzip-in-members"),
    pytest.param(lambda body: gzip.compress(gzip.compress(body)), "gzip, gzip", id="gzip-twice"),
    pytest.param(lambda body: gzip.compress(zlib.compress(body)), "deflate, gzip", id="deflate-then-gzip"),
    pytest.param(zlib.compress, "deflate", id="deflate"),
    pytest.param(_raw_deflate, "deflate", id="deflate-without-header"),
    pytest.param(bytes, "gzip", id="gzip-that-is-plain"),
    pytest.param(bytes, "deflate", id="deflate-that-is-plain"),
    pytest.param(bytes, "utf-8", id="not-a-coding"),
    pytest.param(bytes, "br", id="unknown-that-is-plain"),
]


@pytest.mark.parametrize(("compress", "coding"), COMPRESSED)
async def test_a_compressed_reply_is_read(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor, compress: object, coding: str
) -> None:
    """A read and a cancel, whatever its coding is called; a plain reply that is called compressed, too."""
    assert callable(compress)
    for operation, document in (("result", pending()), ("cancel", cancelled())):
        vendor.answer(operation, send(compress(json.dumps(document).encode()), content_encoding=coding))
    read = await client.GetCallRequestResult(GET, timeout=5)
    assert read.call_request_result.status == CALL_REQUEST_STATUS_PENDING_TO_CALL
    answer = await client.CancelCallRequest(CANCEL, timeout=5)
    assert answer.cancellation.HasField("cancelled_at")
    assert vendor.requests("result")[0].headers["accept-encoding"] == "identity"


async def test_a_compressed_transfer_is_read(client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor) -> None:
    """The coding may stand in front of chunked, too (RFC 9112, 7)."""
    body = gzip.compress(json.dumps(pending()).encode())
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n"
    vendor.answer("result", raw(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)))
    await client.GetCallRequestResult(GET, timeout=5)


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        pytest.param(gzip.compress(b" " * MAX_BYTES + b"{}"), "gzip", id="too-long"),
        pytest.param(gzip.compress(gzip.compress(b" " * (20 << 20), 1)), "gzip, gzip", id="bomb-in-a-bomb"),
        pytest.param(gzip.compress(json.dumps(pending()).encode())[:-9], "gzip", id="cut-short"),
        pytest.param(gzip.compress(json.dumps(pending()).encode()), "br", id="another-coding"),
        pytest.param(gzip.compress(b"<html>"), "gzip", id="not-json"),
        pytest.param(b"\x1f\x8bgarbage", "gzip", id="garbage"),
        pytest.param(gzip.compress(b"{}"), "gzip, " * MAX_CODINGS + "gzip", id="too-many-codings"),
        pytest.param(gzip.compress(b"{}") + gzip.compress(b"") * MAX_MEMBERS, "gzip", id="too-many-members"),
        pytest.param(gzip.compress(b"{") + gzip.compress(b"}" + b" " * MAX_BYTES), "gzip", id="too-long-in-members"),
        pytest.param(gzip.compress(json.dumps(pending()).encode()) + b"\x1f\x8bx", "gzip", id="member-cut-short"),
    ],
)
async def test_a_compressed_reply_that_cannot_be_read_is_malformed(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor, body: bytes, coding: str
) -> None:
    """Longer than 1 MiB once it is decoded, cut short, or not what its coding says."""
    vendor.answer("result", send(body, content_encoding=coding))
    assert (await failure(client.GetCallRequestResult(GET, timeout=5))).reason == "VENDOR_MALFORMED_RESPONSE"


def test_a_bomb_takes_no_more_memory_than_the_bound() -> None:
    """Decoding ends one byte beyond it."""
    bomb = gzip.compress(b" " * (100 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(NotDecodable):
            decode(bomb, ["gzip"], MAX_BYTES)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * MAX_BYTES
