"""A connection to the vendor, over a real socket: whatever a server does with it, each request gets its own reply."""

import asyncio
import gc
import random
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Self

import httpx
import pytest
import trustme

from server.vendor_api.transport import Http1Transport
from testkit.scripted_vendor import Answer, hang_up, later, raw, reset, trickle

MAX_BYTES = 100_000
READ_AT_ONCE = 256 << 10
"""Bytes that uvloop hands over in one piece."""
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def reply(body: bytes = b"this", *headers: bytes, version: bytes = b"1.1") -> bytes:
    """A whole reply with its Content-Length."""
    lines = b"".join(b"%b\r\n" % header for header in headers)
    return b"HTTP/%b 200 OK\r\n%bcontent-length: %d\r\n\r\n%b" % (version, lines, len(body), body)


THIS, OTHER = reply(b"this"), reply(b"other")
SILENT = raw(b"")


class _Server:
    """Answers requests, whatever connection they come on, with these in turn; the last one for ever.

    requests: their first lines. connections, closed: how many there were, and how many of them ended.
    """

    def __init__(self, *script: Answer, tls: ssl.SSLContext | None = None) -> None:
        self._script = list(script)
        self._tls = tls
        self._asking: dict[asyncio.StreamWriter, str] = {}
        self.requests: list[str] = []
        self.connections = self.closed = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"https://localhost:{port}/" if self._tls else f"http://127.0.0.1:{port}/"
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for writer in list(self._asking):
            writer.transport.abort()
        await self.until(lambda: not self._asking)
        await self._server.wait_closed()

    def asked_on(self, writer: asyncio.StreamWriter) -> str:
        """The first line of the latest request of a connection."""
        return self._asking[writer]

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits, at most 30 s, until something of the server's is so."""
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 (there is no event for it)
                await asyncio.sleep(0.005)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._asking[writer] = ""
        self.connections += 1
        try:
            while not writer.is_closing():
                request = await reader.readuntil(b"\r\n\r\n")
                self._asking[writer] = request.split(b"\r\n")[0].decode()
                self.requests.append(self._asking[writer])
                await (self._script.pop(0) if len(self._script) > 1 else self._script[0])(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.closed += 1
            del self._asking[writer]
            writer.close()


@asynccontextmanager
async def _to(
    server: _Server, most: int = 5, context: ssl.SSLContext | None = None
) -> AsyncIterator[Callable[..., "asyncio.Task[tuple[int, bytes]]"]]:
    """Yields a function that asks over `most` connections: `await ask("/path", read=2)` returns status and body."""
    async with Http1Transport(server.url, context or ssl.create_default_context(), most, MAX_BYTES) as transport:
        yield _asker(transport, server.url)


def _asker(transport: Http1Transport, url: str) -> Callable[..., "asyncio.Task[tuple[int, bytes]]"]:
    async def exchange(target: str, connect: float, read: float) -> tuple[int, bytes]:
        limits = {"timeout": {"connect": connect, "read": read}, "target": target.encode()}
        response = await transport.handle_async_request(httpx.Request("GET", url, extensions=limits))
        assert isinstance(response.stream, httpx.SyncByteStream)
        return response.status_code, b"".join(response.stream)

    def ask(target: str = "/", connect: float = 1.0, read: float = 2.0) -> "asyncio.Task[tuple[int, bytes]]":
        return asyncio.create_task(exchange(target, connect, read))

    return ask


def _endless(begin: bytes, block: bytes) -> Answer:
    """Begins so, and goes on with the block until the client hangs up."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(begin)
        while True:
            writer.write(block)
            await writer.drain()
            await asyncio.sleep(0)

    return answer


def _then(first: Answer, *others: Answer) -> Answer:
    """Several answers to one request, the later ones a moment after the first."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        await first(writer)
        for other in others:
            await asyncio.sleep(0.02)
            await other(writer)

    return answer


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def contexts(request: pytest.FixtureRequest, authority: trustme.CA) -> tuple[ssl.SSLContext | None, ssl.SSLContext]:
    """The server's, if it speaks TLS, and the client's."""
    theirs, ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(theirs)
    authority.configure_trust(ours)
    return (theirs if request.param else None), ours


async def test_one_connection_serves_many_requests(contexts: tuple[ssl.SSLContext | None, ssl.SSLContext]) -> None:
    """What the server lets live is used again, for one request at a time."""
    theirs, ours = contexts
    async with _Server(raw(THIS), tls=theirs) as server, _to(server, context=ours) as ask:
        for _ in range(20):
            assert await ask() == (200, b"this")
        assert (server.connections, len(server.requests)) == (1, 20)
    assert server.closed == 1


async def test_requests_at_the_same_time_have_connections_of_their_own() -> None:
    """No request waits behind another while a connection may be made, and none gets another's reply."""
    answers = [later(0.15 - number / 50, raw(reply(b"%d" % number))) for number in range(5)]
    async with _Server(*answers) as server, _to(server) as ask:
        asked: list[asyncio.Task[tuple[int, bytes]]] = []
        while len(asked) < 5:
            asked.append(ask())
            await server.until(lambda: len(server.requests) == len(asked))
        assert await asyncio.gather(*asked) == [(200, b"%d" % number) for number in range(5)]
        assert server.connections == 5


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(reply(b"this", b"connection: close"), id="connection-close"),
        pytest.param(reply(b"this", b"Connection: Keep-Alive, CLOSE"), id="close-among-others"),
        pytest.param(reply(b"this", version=b"1.0"), id="http-1.0"),
    ],
)
async def test_a_connection_that_the_server_does_not_keep_is_not_used_again(content: bytes) -> None:
    """The reply is the last one by its own headers: we close the connection, though the server leaves it open."""
    async with _Server(raw(content)) as server, _to(server) as ask:
        for _ in range(3):
            assert await ask() == (200, b"this")
        assert server.connections == 3
        await server.until(lambda: server.closed == 3)


async def test_an_old_servers_connection_is_kept_if_it_says_so() -> None:
    """HTTP/1.0 with keep-alive."""
    async with _Server(raw(reply(b"this", b"connection: keep-alive", version=b"1.0"))) as server, _to(server) as ask:
        for _ in range(3):
            assert await ask() == (200, b"this")
        assert server.connections == 1


async def test_a_body_without_a_length_ends_with_the_connection(
    contexts: tuple[ssl.SSLContext | None, ssl.SSLContext],
) -> None:
    """All of it is the body, and there is no reply before the end."""
    theirs, ours = contexts
    answer = _then(raw(b"HTTP/1.1 200 OK\r\n\r\nth"), raw(b"is"), hang_up())
    async with _Server(answer, tls=theirs) as server, _to(server, context=ours) as ask:
        for _ in range(2):
            assert await ask() == (200, b"this")
        assert server.connections == 2


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([CHUNKED + b"4\r\nthis\r\n0\r\n\r\n"], id="at-once"),
        pytest.param([CHUNKED, b"2;ext=1\r\nth\r\n", b"2\r\ni", b"s\r\n0\r\n", b"\r\n"], id="in-pieces"),
        pytest.param([CHUNKED + b"4\r\nthis\r\n0\r\nx-last: a\r\n\r\n"], id="trailers"),
    ],
)
async def test_a_body_in_chunks_is_put_together(pieces: list[bytes]) -> None:
    """However it arrives; extensions and trailers are no part of it, and the connection serves on."""
    async with _Server(_then(*map(raw, pieces)), raw(OTHER)) as server, _to(server) as ask:
        assert await ask() == (200, b"this")
        assert await ask() == (200, b"other")
        assert server.connections == 1


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("header", [b"", b"content-length: 4\r\n"], ids=["bare", "with-a-length"])
async def test_a_reply_that_never_has_a_body_is_whole_with_its_head(status: int, header: bytes) -> None:
    """204 and 304: nothing more is waited for, whatever their Content-Length, and the connection stays in use."""
    answer = raw(b"HTTP/1.1 %d Status\r\n%b\r\n" % (status, header))
    async with _Server(answer, raw(OTHER)) as server, _to(server) as ask:
        assert await ask(read=0.5) == (status, b"")
        assert await ask() == (200, b"other")
        assert server.connections == 1


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", id="100"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 3, id="103"),
    ],
)
async def test_what_comes_before_the_reply_is_not_taken_for_it(before: bytes) -> None:
    """Informational replies are passed over, in one piece with the reply or before it."""
    async with _Server(raw(before + THIS), _then(raw(before), raw(OTHER))) as server, _to(server) as ask:
        assert await ask() == (200, b"this")
        assert await ask() == (200, b"other")
        assert server.connections == 1


async def test_headers_before_the_reply_are_not_the_replys() -> None:
    """An informational reply's headers, a last trailer too, stay with what they came with."""
    answers = [
        raw(b"HTTP/1.1 103 Early Hints\r\nretry-after: 1\r\n\r\n" + CHUNKED + b"0\r\nx-last: a\r\n\r\n"),
        raw(THIS),
    ]
    async with _Server(*answers) as server:
        async with Http1Transport(server.url, ssl.create_default_context(), 1, MAX_BYTES) as transport:
            first = await transport.handle_async_request(httpx.Request("GET", server.url))
            second = await transport.handle_async_request(httpx.Request("GET", server.url))
        assert "retry-after" not in first.headers
        assert dict(second.headers) == {"content-length": "4"}


@pytest.mark.parametrize("header", [pytest.param(b"x: a", id="llhttp"), pytest.param(b"x : a", id="leniently")])
@pytest.mark.parametrize("status", [b"000", b"099", b"600", b"999"])
async def test_a_status_that_http_does_not_have_is_a_failure_of_the_servers(status: bytes, header: bytes) -> None:
    """RFC 9110, 15: it counts as 5xx, and no other reply comes after it as after a 1xx."""
    async with _Server(raw(reply(b"this", header).replace(b"200", status))) as server, _to(server) as ask:
        assert await ask(read=5) == (500, b"this")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(CHUNKED + b"4 \r\nthis\r\n0\t\r\n\r\n", id="blanks-after-a-size"),
        pytest.param(CHUNKED + b"4  ;a=b\r\nthis\r\n0\r\n\r\n", id="blanks-before-an-extension"),
        pytest.param(THIS.replace(b"\r\n", b"\n"), id="lone-line-feeds"),
        pytest.param(THIS.replace(b"\r\n", b"\n", 1), id="one-lone-line-feed"),
        pytest.param(THIS.replace(b" OK", b""), id="no-reason"),
        pytest.param(THIS.replace(b" OK", b" \xc3\xa4"), id="reason-not-ascii"),
    ],
)
async def test_loose_syntax_with_one_meaning_keeps_the_connection(content: bytes) -> None:
    """Nobody can take the end of such a reply to be elsewhere."""
    async with _Server(raw(content)) as server, _to(server) as ask:
        for _ in range(3):
            assert await ask() == (200, b"this")
        assert server.connections == 1


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(
            b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n" + CHUNKED[17:] + b"4\r\nthis\r\n0\r\n\r\n",
            id="1.0-chunked",
        ),
        pytest.param(CHUNKED.replace(b" chunked", b" x, chunked") + b"4\r\nthis\r\n0\r\n\r\n", id="two-codings"),
        pytest.param(CHUNKED.replace(b" chunked", b" chunked,chunked") + b"4\r\nthis\r\n0\r\n\r\n", id="chunked-twice"),
        pytest.param(reply(b"this", b"content-length: 4"), id="equal-lengths"),
        pytest.param(reply(b"this", b"x: a\r\n b"), id="folded"),
        pytest.param(CHUNKED[:-2] + b"content-length: 9\r\n\r\n4\r\nthis\r\n0\r\n\r\n", id="length-and-chunks"),
        pytest.param(CHUNKED + b"4\r\nthis\r\n0; a = b\r\n\r\n", id="refused-at-its-end"),
    ],
)
async def test_a_reply_that_others_may_read_differently_is_the_last_on_its_connection(content: bytes) -> None:
    """A proxy may have taken a part of it for the next reply: that one must not pass for ours."""
    async with _Server(raw(content)) as server, _to(server) as ask:
        for _ in range(3):
            assert await ask() == (200, b"this")
        assert server.connections == 3
        await server.until(lambda: server.closed == 3)


async def test_what_a_parser_refused_and_kept_is_forgotten() -> None:
    """In pieces, and longer than what is kept of a reply that may still be refused."""
    chunk = b"8000\r\n%b\r\n" % (b"a" * 0x8000)
    pieces = [CHUNKED, chunk, chunk, b"4; a = b\r\nthis\r\n0\r\n\r\n"]
    async with _Server(_then(*map(raw, pieces)), raw(OTHER)) as server, _to(server) as ask:
        assert await ask() == (200, b"a" * 0x10000 + b"this")
        assert await ask() == (200, b"other")


@pytest.mark.parametrize(
    "behind",
    [
        pytest.param(OTHER, id="a-second-reply"),
        pytest.param(b"garbage\r\n\r\n", id="garbage"),
        pytest.param(b"HTTP/1.1 200", id="half-a-head"),
    ],
)
async def test_a_reply_with_more_behind_it_is_returned_and_the_connection_is_not_used_again(behind: bytes) -> None:
    """What nobody asked for must not pass for the next reply."""
    async with _Server(raw(THIS + behind), raw(THIS)) as server, _to(server) as ask:
        assert await ask() == (200, b"this")
        assert await ask() == (200, b"this")
        assert server.connections == 2
        await server.until(lambda: server.closed == 1)


@pytest.mark.parametrize(
    "behind",
    [pytest.param(OTHER, id="a-reply"), pytest.param(b"\r\n", id="an-empty-line"), pytest.param(b"x", id="garbage")],
)
async def test_bytes_on_an_idle_connection_end_it(behind: bytes) -> None:
    """They answer nothing: the connection is closed, and the next request goes over another."""
    async with _Server(_then(raw(THIS), raw(behind)), raw(THIS)) as server, _to(server) as ask:
        assert await ask() == (200, b"this")
        await server.until(lambda: server.closed == 1)
        assert await ask() == (200, b"this")
        assert server.connections == 2


@pytest.mark.parametrize("end", [pytest.param(hang_up(), id="closes"), pytest.param(reset(), id="resets")])
async def test_a_server_that_closes_idle_connections_fails_no_request(end: Answer) -> None:
    """It is noticed, and the next request goes over a new connection."""
    async with _Server(_then(raw(THIS), end)) as server, _to(server) as ask:
        for _ in range(3):
            assert await ask() == (200, b"this")
            await asyncio.sleep(0.06)
        assert (server.connections, len(server.requests)) == (3, 3)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(hang_up(), id="nothing"),
        pytest.param(reset(), id="reset"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\ncontent-le", close=True), id="half-a-head"),
        pytest.param(raw(THIS[:-1], close=True), id="short-of-its-length"),
        pytest.param(raw(CHUNKED + b"4\r\nthis\r\n", close=True), id="without-the-last-chunk"),
        pytest.param(raw(b"HTTP/1.1 100 Continue\r\n\r\n", close=True), id="informational-alone"),
        pytest.param(_then(raw(b"HTTP/1.1 200 OK\r\n\r\nth"), reset()), id="reset-in-a-body-without-length"),
    ],
)
async def test_a_reply_that_is_cut_short_is_no_reply(answer: Answer) -> None:
    """ReadError at once: it was sent, what came of it is not known; and the place is free again."""
    async with _Server(answer, raw(THIS)) as server, _to(server, most=1) as ask:
        with pytest.raises(httpx.ReadError):
            await ask(read=1)
        assert await ask() == (200, b"this")
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"220 mail.example ESMTP\r\n", id="another-protocol"),
        pytest.param(b'{"success": true}', id="a-body-alone"),
        pytest.param(b"\r\x15\x03\x03\x00\x02\x02\x50", id="an-alert-of-tls"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nthis", id="two-lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", id="negative-length"),
        pytest.param(CHUNKED + b"x\r\n", id="chunk-without-size"),
        pytest.param(b"HTTP/1.1 101 Go\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n", id="another-protocol-agreed"),
    ],
)
async def test_a_reply_that_is_not_http_is_a_protocol_error(content: bytes) -> None:
    """RemoteProtocolError at once, and the connection is closed."""
    async with _Server(raw(content), raw(THIS)) as server, _to(server, most=1) as ask:
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(read=1)
        await server.until(lambda: server.closed == 1)
        assert await ask() == (200, b"this")


@pytest.mark.parametrize(
    ("begin", "block"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"x: %b\r\n" % (b"a" * 1000), id="headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx: ", b"a" * 1000, id="one-header"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 40, id="informational-replies"),
        pytest.param(CHUNKED + b"4;x=", b"a" * 1000, id="chunk-extension"),
        pytest.param(CHUNKED + b"4\r\nthis\r\n0\r\n", b"x: %b\r\n" % (b"a" * 1000), id="trailers"),
    ],
)
async def test_a_head_without_end_is_a_protocol_error(begin: bytes, block: bytes) -> None:
    """No memory is spent on it, nor all the time that the request has."""
    async with _Server(_endless(begin, block), raw(THIS)) as server, _to(server, most=1) as ask:
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(read=5)
        await server.until(lambda: server.closed == 1)
        assert await ask() == (200, b"this")


@pytest.mark.parametrize(
    ("begin", "block"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", b"a" * 1000, id="until-close"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 9999999999\r\n\r\n", b"a" * 1000, id="length"),
        pytest.param(CHUNKED, b"3e8\r\n%b\r\n" % (b"a" * 1000), id="chunks"),
    ],
)
async def test_a_body_beyond_the_bound_is_cut_off(begin: bytes, block: bytes) -> None:
    """Somewhere beyond it, so that it differs from one that fits; no more is read."""
    async with _Server(_endless(begin, block), raw(THIS)) as server, _to(server, most=1) as ask:
        status, body = await ask(read=5)
        assert status == 200
        assert MAX_BYTES < len(body) <= MAX_BYTES + READ_AT_ONCE
        await server.until(lambda: server.closed == 1)
        assert await ask() == (200, b"this")


async def test_a_body_as_long_as_the_bound_is_returned_whole() -> None:
    """The bound itself is within it, and the connection serves on."""
    body = b"a" * MAX_BYTES
    async with _Server(raw(reply(body))) as server, _to(server) as ask:
        for _ in range(2):
            assert await ask() == (200, body)
        assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(SILENT, id="silence"),
        pytest.param(raw(THIS[:-1]), id="all-but-a-byte"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\n\r\nthis"), id="until-a-close-that-does-not-come"),
        pytest.param(trickle(THIS + b"a" * 100, 0.01), id="byte-by-byte"),
    ],
)
async def test_the_time_to_read_is_for_the_whole_reply(answer: Answer) -> None:
    """ReadTimeout when it is over, however much came last; the connection is closed, its place is free again."""
    async with _Server(answer, raw(THIS)) as server, _to(server, most=1) as ask:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        with pytest.raises(httpx.ReadTimeout):
            await ask(read=0.2)
        assert 0.15 < loop.time() - begun < 10
        await server.until(lambda: server.closed == 1)
        assert await ask() == (200, b"this")


@pytest.mark.parametrize("answer", [pytest.param(SILENT, id="silence"), pytest.param(raw(THIS[:-2]), id="a-part")])
async def test_whoever_leaves_in_the_midst_closes_the_connection(answer: Answer) -> None:
    """Its reply can never be taken for another's, and its place is free again."""
    async with _Server(answer, raw(THIS)) as server, _to(server, most=1) as ask:
        leaving = ask()
        await server.until(lambda: server.requests)
        await asyncio.sleep(0.02)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        await server.until(lambda: server.closed == 1)
        assert await ask(connect=0.2) == (200, b"this")


async def test_after_many_cancellations_every_place_is_free(
    contexts: tuple[ssl.SSLContext | None, ssl.SSLContext],
) -> None:
    """Wherever they strike, waiting, connecting, reading: then 20 of 20 succeed, each with its own reply."""
    theirs, ours = contexts
    chance = random.Random(8)

    async def answer(writer: asyncio.StreamWriter) -> None:
        whole = reply(server.asked_on(writer).encode())
        await asyncio.sleep(chance.random() * 0.01)
        writer.write(whole[:20])
        await asyncio.sleep(chance.random() * 0.003)
        writer.write(whole[20:])

    async with _Server(answer, tls=theirs) as server, _to(server, most=3, context=ours) as ask:
        leaving = []
        for number in range(200):
            leaving.append(ask(f"/{number}", connect=30, read=30))
            if number % 3:
                asyncio.get_running_loop().call_later(chance.random() * 0.03, leaving[-1].cancel)
            await asyncio.sleep(0.004 * (number % 4 == 0))
        ended = await asyncio.gather(*leaving, return_exceptions=True)
        assert sum(isinstance(each, asyncio.CancelledError) for each in ended) > 20
        assert sum(isinstance(each, tuple) for each in ended) > 20
        together = [ask(f"/after/{number}") for number in range(3)]
        await server.until(lambda: len({line for line in server.requests if "/after/" in line}) == 3)
        await asyncio.gather(*together)
        for number in range(20):
            assert await ask(f"/{number}", connect=0.5) == (200, f"GET /{number} HTTP/1.1".encode())


async def test_who_waits_for_a_connection_gets_one_in_turn() -> None:
    """First come, first served: also before one who comes when a connection has just become free."""
    async with (
        _Server(later(0.02, raw(THIS))) as server,
        Http1Transport(server.url, ssl.create_default_context(), 1, MAX_BYTES) as transport,
    ):

        async def ask(*targets: bytes) -> None:
            for target in targets:  # the second at once when the first has given its connection back
                await transport.handle_async_request(httpx.Request("GET", server.url, extensions={"target": target}))

        await asyncio.gather(ask(b"/0", b"/late"), *(ask(b"/%d" % number) for number in range(1, 5)))
        assert [line.split(" ")[1] for line in server.requests] == ["/0", "/1", "/2", "/3", "/4", "/late"]
        assert server.connections == 1


async def test_with_no_connection_free_in_time_nothing_is_sent() -> None:
    """PoolTimeout; those who gave up, or left, take no turn from those who still wait."""
    async with _Server(later(0.4, raw(THIS))) as server, _to(server, most=1) as ask:
        held, hasty, leaving, patient = ask("/held"), ask("/hasty", connect=0.1), ask("/leaving"), ask("/patient")
        await asyncio.sleep(0.05)
        leaving.cancel()
        with pytest.raises(httpx.PoolTimeout):
            await hasty
        assert len(server.requests) == 1
        assert await held == await patient == (200, b"this")
        assert server.requests == ["GET /held HTTP/1.1", "GET /patient HTTP/1.1"]


async def test_never_more_connections_than_the_limit_are_open() -> None:
    """Fifty at once over three, all answered."""
    async with _Server(later(0.005, raw(THIS))) as server, _to(server, most=3) as ask:
        assert set(await asyncio.gather(*(ask() for _ in range(50)))) == {(200, b"this")}
        assert server.connections == 3


@pytest.mark.parametrize(
    "origin", [pytest.param("http://127.0.0.1:9/", id="refused"), pytest.param("http://no.invalid/", id="unresolvable")]
)
async def test_without_a_connection_nothing_is_sent_and_the_place_is_free(origin: str) -> None:
    """ConnectError, as often as it is tried."""
    async with Http1Transport(origin, ssl.create_default_context(), 1, MAX_BYTES) as transport:
        for _ in range(3):
            with pytest.raises(httpx.ConnectError):
                await _asker(transport, origin)()


async def test_without_a_handshake_nothing_is_sent() -> None:
    """A server that speaks no TLS, or speaks it too slowly, has got nothing of the request."""
    async with _Server(SILENT) as server:
        origin = server.url.replace("http:", "https:")
        async with Http1Transport(origin, ssl.create_default_context(), 1, MAX_BYTES) as transport:
            for _ in range(2):
                with pytest.raises(httpx.ConnectTimeout):
                    await _asker(transport, origin)(connect=0.1)
        await server.until(lambda: server.closed == 2)
        assert server.requests == []


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"], ids=["crlf", "cr", "lf"])
@pytest.mark.parametrize("place", ["target", "header"])
async def test_a_line_break_in_a_head_is_refused(place: str, end: str) -> None:
    """It would let a value be read as a header, or as another request: not even a connection is made for it."""
    value = f"/a{end}x: b"
    async with (
        _Server(raw(THIS)) as server,
        Http1Transport(server.url, ssl.create_default_context(), 1, MAX_BYTES) as transport,
    ):
        request = (
            httpx.Request("GET", server.url, extensions={"target": value.encode()})
            if place == "target"
            else httpx.Request("GET", server.url, headers={"x-a": value})
        )
        with pytest.raises(ValueError, match="line break"):
            await transport.handle_async_request(request)
        assert server.connections == 0
        assert await _asker(transport, server.url)(connect=0.2) == (200, b"this")


async def test_at_the_end_no_connection_is_left(contexts: tuple[ssl.SSLContext | None, ssl.SSLContext]) -> None:
    """Idle ones are closed, and those in use: whoever waits for a reply gets ReadError at once."""
    theirs, ours = contexts
    async with _Server(raw(THIS), raw(THIS), SILENT, tls=theirs) as server:
        async with _to(server, context=ours) as ask:
            await asyncio.gather(ask(), ask())
            waiting = ask()
            await server.until(lambda: len(server.requests) == 3)
        with pytest.raises(httpx.ReadError):
            await waiting
        await server.until(lambda: server.closed == 2)


async def test_a_body_that_we_cut_off_is_not_whole() -> None:
    """Closing at the end is no end of a body without a length."""
    async with _Server(raw(b"HTTP/1.1 200 OK\r\n\r\nth")) as server:
        async with _to(server) as ask:
            waiting = ask()
            await server.until(lambda: server.requests)
            await asyncio.sleep(0.05)
        with pytest.raises(httpx.ReadError):
            await waiting


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(raw(reply(b"a" * MAX_BYTES)), id="idle"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * (MAX_BYTES + 1)), id="cut-off"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n" + b"a" * 99_000), id="late"),
        pytest.param(raw(reply(b"a" * MAX_BYTES)[:-1], close=True), id="cut-short"),
    ],
)
async def test_a_connection_keeps_nothing_of_a_reply(answer: Answer) -> None:
    """Idle or closed, and before the garbage collector comes by: it is a guest's data, and up to max_bytes large."""
    async with _Server(answer) as server, _to(server, most=10) as ask:
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            await asyncio.gather(*(ask(read=0.5) for _ in range(10)), return_exceptions=True)
            await asyncio.sleep(0.1)
            kept, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            gc.enable()
        assert most > MAX_BYTES
        assert kept < 3 * MAX_BYTES, f"{kept} bytes for 10 connections"
