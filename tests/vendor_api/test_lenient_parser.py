"""Replies that llhttp refuses and curl reads: the parser alone, then over a connection, then through a cancel."""

import json
import time
from typing import TYPE_CHECKING

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callrequest.v1 import cancellation_pb2 as cancellations
from callrequest.v1.call_request_service_pb2 import CancelCallRequestRequest
from server.vendor_api.lenient_parser import LenientParser, NotHttp
from testkit.scripted_vendor import RESULT_ID, ScriptedVendor, cancelled, hang_up, raw

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


class _Read:
    """What a parser reads of some pieces."""

    def __init__(self, *pieces: bytes, llhttp: bool = False) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.ended = 0
        self.parser = httptools.HttpResponseParser(self) if llhttp else LenientParser(self)
        for piece in pieces:
            self.parser.feed_data(piece)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.status = self.parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.ended += 1


READABLE = [
    pytest.param(OK + b"content-length: 4\r\ncontent-length: 4\r\n\r\nthis", id="equal-lengths"),
    pytest.param(OK + b"content-length: 4, 4\r\n\r\nthis", id="equal-lengths-in-one-header"),
    pytest.param(OK + b"content-length: 4\r\ncontent-length: 004\r\n\r\nthis", id="equal-lengths-with-zeros"),
    pytest.param(OK + b"content-length: 9\r\ntransfer-encoding: chunked\r\n\r\n4\r\nthis\r\n0\r\n\r\n", id="both"),
    pytest.param(OK + b"transfer-encoding: identity\r\ncontent-length: 4\r\n\r\nthis", id="identity"),
    pytest.param(OK + b"transfer-encoding:\r\ncontent-length: 4\r\n\r\nthis", id="empty-coding"),
    pytest.param(OK + b"content-length : 4\r\n\r\nthis", id="blank-before-the-colon"),
    pytest.param(OK + b"x-a : 1\r\ncontent-length: 4\r\n\r\nthis", id="blank-before-another-colon"),
    pytest.param(OK + b"x(a): 1\r\ncontent-length: 4\r\n\r\nthis", id="odd-name"),
    pytest.param(OK + b"x: a\x01\x00\r\ncontent-length: 4\r\n\r\nthis", id="control-characters"),
    pytest.param(OK + b"x: a\rcontent-length: 9\r\ncontent-length: 4\r\n\r\nthis", id="lone-cr-ends-no-line"),
    pytest.param(OK + b"x: a\r\n b\r\n\tc\r\ncontent-length: 4\r\n\r\nthis", id="folded"),
    pytest.param(b"\r\n\n" + OK + b"x: a\r\n b\r\ncontent-length: 4\r\n\r\nthis", id="blank-lines-before-it"),
    pytest.param(OK + b"content-length:\r\n 4\r\n\r\nthis", id="folded-length"),
    pytest.param(OK + b"transfer-encoding:\r\n chunked\r\n\r\n4\r\nthis\r\n0\r\n\r\n", id="folded-coding"),
    pytest.param(OK + b" x: a\r\ncontent-length: 4\r\n\r\nthis", id="folded-first-line"),
    pytest.param(b"HTTP/1.1  200  OK\r\ncontent-length: 4\r\n\r\nthis", id="two-blanks"),
    pytest.param(b"HTTP/1.1\t200\tOK\r\ncontent-length: 4\r\n\r\nthis", id="tabs"),
    pytest.param(b"HTTP/1.1 200 a\rb\r\ncontent-length: 4\r\n\r\nthis", id="cr-in-the-reason"),
    pytest.param(b"HTTP/1.2 200 OK\r\ncontent-length: 4\r\n\r\nthis", id="http-1.2"),
    pytest.param(b"HTTP/2 200 OK\r\ncontent-length: 4\r\n\r\nthis", id="http-2"),
    pytest.param(CHUNKED + b"4\nthis\n0\n\n", id="lone-lf-in-chunks"),
    pytest.param(CHUNKED + b"4 \nthis\r\n0\r\n\n", id="blank-and-lone-lf"),
    pytest.param(CHUNKED + b"4; x = y\r\nthis\r\n0 ; z\r\n\r\n", id="blanks-in-an-extension"),
    pytest.param(CHUNKED + b"4;a=\xe4;\r\nthis\r\n0;\r\n\r\n", id="odd-extension"),
    pytest.param(CHUNKED + b"4 anything\r\nthis\r\n0\r\n\r\n", id="words-after-a-size"),
    pytest.param(CHUNKED + b"4\r\nthis\r\n0\r\nx: a\r\n b\r\n\r\n", id="folded-trailer"),
    pytest.param(CHUNKED + b"4\r\nthis\r\n0\r\ncontent-length: 9\r\n\r\n", id="length-in-a-trailer"),
    pytest.param(b"HTTP/1.1 103 Hints\r\nlink : a\r\n\r\n" + OK + b"content-length: 4\r\n\r\nthis", id="interim"),
]


@pytest.mark.parametrize("reply", READABLE)
@pytest.mark.parametrize("size", [1, 3, 1 << 20], ids=["byte-by-byte", "3-bytes", "at-once"])
def test_what_curl_reads_is_read(reply: bytes, size: int) -> None:
    """However the reply is cut into pieces."""
    read = _Read(*(reply[at : at + size] for at in range(0, len(reply), size)))
    assert (read.status, read.body, read.ended) == (200, b"this", 1 + reply.startswith(b"HTTP/1.1 103"))
    with pytest.raises(httptools.HttpParserError):
        _Read(reply, llhttp=True)


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(b"220 mail.example ESMTP\r\n", id="another-protocol"),
        pytest.param(b"{", id="a-body-alone"),
        pytest.param(b"\r\n\r{", id="a-body-after-a-blank-line"),
        pytest.param(b"HTTQ", id="almost-http"),
        pytest.param(b"ICY 200 OK\r\n", id="icy"),
        pytest.param(b"HTTP/1.1 2000 OK\r\n", id="status-of-4-digits"),
        pytest.param(b"HTTP/1.1 101 Go\r\n\r\n", id="another-protocol-agreed"),
        pytest.param(OK + b"content-length: 4\r\ncontent-length: 5\r\n\r\nthis", id="unequal-lengths"),
        pytest.param(OK + b"content-length: 4, 5\r\n\r\nthis", id="unequal-lengths-in-one-header"),
        pytest.param(OK + b"content-length: 4\r\n 4\r\n\r\nthis", id="length-folded-into-two"),
        pytest.param(OK + b"content-length: -1\r\n\r\n", id="negative-length"),
        pytest.param(OK + b"content-length: +4\r\n\r\nthis", id="length-with-a-sign"),
        pytest.param(OK + b"content-length: 0x4\r\n\r\nthis", id="length-in-hexadecimal"),
        pytest.param(OK + b"content-length: \r\n\r\nthis", id="empty-length"),
        pytest.param(OK + b"content-length: %b\r\n\r\n" % (b"9" * 5000), id="endless-length"),
        pytest.param(OK + b"garbage\r\n\r\n", id="no-colon"),
        pytest.param(CHUNKED + b"x\r\n", id="chunk-without-size"),
        pytest.param(CHUNKED + b"-4\r\nthis\r\n", id="negative-chunk"),
        pytest.param(CHUNKED + b"0x4\r\nthis\r\n", id="chunk-size-with-a-prefix"),
        pytest.param(CHUNKED + b"%b\r\n" % (b"f" * 5000), id="endless-chunk"),
        pytest.param(CHUNKED + b"4\r\nthis0\r\n\r\n", id="chunk-longer-than-its-size"),
    ],
)
def test_a_reply_whose_end_nobody_can_tell_is_refused(reply: bytes) -> None:
    """NotHttp, as soon as it shows."""
    with pytest.raises(NotHttp):
        _Read(reply)


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        pytest.param(OK + b"\r\nthis", b"this", id="no-length"),
        pytest.param(OK + b"transfer-encoding: identity\r\n\r\nthis", b"this", id="identity-alone"),
        pytest.param(OK + b"transfer-encoding: chunked, gzip\r\ncontent-length: 1\r\n\r\nthis", b"this", id="not-last"),
    ],
)
def test_without_a_length_the_body_ends_with_the_connection(reply: bytes, body: bytes) -> None:
    """RFC 9112, 6.3: when chunked is not the last coding, too, whatever its Content-Length."""
    read = _Read(reply)
    assert isinstance(read.parser, LenientParser)
    assert read.parser.until_closed
    assert (read.body, read.ended) == (body, 0)


@pytest.mark.parametrize("status", [204, 304])
def test_a_reply_without_a_body_ends_with_its_head(status: int) -> None:
    """Whatever length it has, and what follows it is ignored."""
    read = _Read(b"HTTP/1.1 %d X\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\nthis" % status)
    assert (read.status, read.body, read.ended) == (status, b"", 1)


def test_what_follows_the_reply_is_ignored() -> None:
    """A second reply has nobody who asked for it."""
    read = _Read(OK + b"content-length : 4\r\n\r\nthis" + OK + b"content-length: 5\r\n\r\nother", OK)
    assert (read.body, read.ended) == (b"this", 1)


_BODY = st.binary(max_size=50)
_CHUNKS = st.lists(st.binary(min_size=1, max_size=20), max_size=5)


@given(_BODY, _CHUNKS, st.booleans(), st.lists(st.integers(1, 40), max_size=20))
def test_what_llhttp_reads_is_read_alike(body: bytes, chunks: list[bytes], chunked: bool, cuts: list[int]) -> None:
    """Both parsers agree on replies that follow the grammar, however they are cut."""
    if chunked:
        reply = CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\nx: y\r\n\r\n"
    else:
        reply = OK + b"x-a: b\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    pieces, at = [], 0
    for cut in cuts:
        pieces.append(reply[at : at + cut])
        at += cut
    ours, theirs = _Read(*pieces, reply[at:]), _Read(reply, llhttp=True)
    assert (ours.status, ours.body, ours.ended) == (theirs.status, theirs.body, theirs.ended)
    assert ours.headers == [header for header in theirs.headers if header[0] != b"x"]  # trailers are ignored


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(b"\r\n a", id="folded-lines"),
        pytest.param(b"\r\nx:", id="headers"),
        pytest.param(b"a", id="one-line"),
    ],
)
def test_a_head_costs_no_more_than_its_length(block: bytes) -> None:
    """Eight times as long costs about eight times as much, far from the 64 times of a quadratic parser.

    The garbage collector and the processor's caches cost more for long input, so the bound has room for both. One try
    of ten within it is enough: a quadratic parser has none.
    """

    def seconds(length: int) -> float:
        pieces = [block * (length // len(block) // 100)] * 100
        begun = time.thread_time()
        _Read(OK + b"x: a", *pieces)
        return time.thread_time() - begun

    assert any(seconds(480_000) < 30 * seconds(60_000) for _ in range(10))


@pytest.mark.parametrize("reply", READABLE)
async def test_a_cancel_that_was_carried_out_is_believed(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor, reply: bytes
) -> None:
    """OK by the vendor's own reply, without reading back; and no request follows on that connection."""
    content = _json(cancelled())
    whole = reply.replace(b"this", content).replace(b"9\r\n", b"%d\r\n" % (len(content) + 5))
    whole = whole.replace(b": 4", b": %d" % len(content)).replace(b", 4", b", %d" % len(content))
    whole = whole.replace(b": 004", b": 00%d" % len(content)).replace(b"\r\n 4", b"\r\n %d" % len(content))
    whole = whole.replace(b"\r\n4", b"\r\n%x" % len(content))
    vendor.answer("cancel", raw(whole + OK + b"content-length: 2\r\n\r\n{}"))
    request = CancelCallRequestRequest(call_request_id=RESULT_ID)
    for _ in range(2):
        answer = await client.CancelCallRequest(request, timeout=5)
        assert answer.cancellation.outcome == cancellations.CANCELLATION_OUTCOME_CANCELLED
        assert answer.cancellation.HasField("cancelled_at")
    assert len(vendor.requests("cancel")) == 2
    assert not vendor.requests("result")
    assert vendor.connections == 3  # one for the token, one for each cancel


async def test_a_reply_without_a_length_is_read_to_the_end_of_the_connection(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """When the head cannot be read by llhttp, too."""
    vendor.answer("cancel", raw(OK + b"x-a : 1\r\n\r\n" + _json(cancelled()), close=True), hang_up())
    answer = await client.CancelCallRequest(CancelCallRequestRequest(call_request_id=RESULT_ID), timeout=5)
    assert answer.cancellation.HasField("cancelled_at")


def _json(document: object) -> bytes:
    return json.dumps(document).encode()
