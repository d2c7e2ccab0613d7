"""The webhook's HTTP: everything that a client may send to the port is answered with 2xx or 4xx, never 500."""

import asyncio
import gzip
import random
import zlib

import pytest

from server.app import Gateway
from testkit.gateway import metrics_of
from testkit.scripted_vendor import ScriptedVendor, send, with_status

from .test_webhook import PATH, TOKEN, event, gateway_of, signature

BEARER = f"Authorization: Bearer {TOKEN}\r\n"


async def exchange(gateway: Gateway, request: bytes) -> bytes:
    """Sends those bytes over a connection; returns all that comes back."""
    host, _, port = str(gateway.webhook_address).rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def post(
    body: bytes, headers: str = BEARER, *, method: str = "POST", version: str = "1.1", length: bool = True
) -> bytes:
    """A request as it stands on the wire."""
    head = f"{method} {PATH} HTTP/{version}\r\nHost: gateway\r\n{headers}"
    if length:
        head += f"Content-Length: {len(body)}\r\n"
    return head.encode("latin-1") + b"\r\n" + body


def chunked(body: bytes) -> bytes:
    """The same, in chunks."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:10], body[10:]))
    return post(b"", BEARER + "Transfer-Encoding: chunked\r\n", length=False) + chunks + b"0\r\n\r\n"


def signed_twice(body: bytes) -> bytes:
    """Two signatures in two headers, of which the second one is wrong."""
    headers = "".join(f"{name}: {value}\r\n" for name, value in signature(body).items())
    return post(body, headers + "webhook-signature: v1,AAAA\r\n")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(post(event()), 202, id="as usual"),
        pytest.param(post(event(), version="1.0"), 202, id="HTTP/1.0"),
        pytest.param(chunked(event()), 202, id="chunked"),
        pytest.param(post(event(), BEARER + "Content-Type: text/plain; charset=utf-16\r\n"), 202, id="another charset"),
        pytest.param(post(event().decode().encode("utf-16")), 400, id="UTF-16"),
        pytest.param(post(b"\xef\xbb\xbf" + event()), 202, id="a byte order mark"),
        pytest.param(post(gzip.compress(event()), BEARER + "Content-Encoding: gzip\r\n"), 202, id="gzip"),
        pytest.param(post(zlib.compress(event()), BEARER + "Content-Encoding: deflate\r\n"), 202, id="deflate"),
        pytest.param(post(event(), BEARER + "Content-Encoding: gzip\r\n"), 400, id="no gzip, though it says so"),
        pytest.param(
            post(gzip.compress(event())[:40], BEARER + "Content-Encoding: gzip\r\n"), 400, id="half of a gzip"
        ),
        pytest.param(
            post(gzip.compress(b" " * 20_000_000), BEARER + "Content-Encoding: gzip\r\n"), 413, id="a gzip bomb"
        ),
        pytest.param(post(event(), BEARER + "Content-Encoding: br\r\n"), 400, id="an encoding that is not known"),
        pytest.param(post(event(), BEARER + "Content-Encoding: identity\r\n"), 202, id="no encoding"),
        pytest.param(post(b"", method="GET"), 405, id="GET"),
        pytest.param(post(b"", method="HEAD"), 405, id="HEAD"),
        pytest.param(post(event(), method="PUT"), 405, id="PUT"),
        pytest.param(post(event(), method="BREW"), 400, id="a method that HTTP does not know"),
        pytest.param(post(event(), BEARER + "X-Large: " + "x" * 20_000 + "\r\n"), 400, id="a huge header"),
        pytest.param(post(event(), BEARER + "X: y\r\n" * 5_000), 400, id="very many headers"),
        pytest.param(post(event(), BEARER * 2), 401, id="two tokens"),
        pytest.param(signed_twice(event()), 401, id="two signatures in two headers"),
        pytest.param(post(event(), BEARER + "Webhook-Signature:\r\n"), 401, id="an empty signature"),
        pytest.param(post(event(), "Authorization: Bearer \xff\xfe\r\n"), 401, id="a token that is no text"),
        pytest.param(post(event(), BEARER + "Expect: something\r\n"), 417, id="another expectation"),
        pytest.param(post(event(), BEARER + "Transfer-Encoding: chunked\r\n"), 400, id="chunked with a length"),
        pytest.param(post(event(), BEARER + "Content-Length: 1\r\n"), 400, id="two lengths"),
        pytest.param(post(event(), BEARER + "Content-Length: -1\r\n", length=False), 400, id="a negative length"),
        pytest.param(b"\x16\x03\x01\x00\xa5\x01\x00\x00", 400, id="TLS"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, id="HTTP/2"),
    ],
)
async def test_every_request_has_its_status(vendor: ScriptedVendor, request_: bytes, status: int) -> None:
    """4xx for whatever is wrong with it."""
    vendor.answer("result", send(with_status("IN_PROGRESS")))
    async with gateway_of(vendor) as gateway:
        reply = await exchange(gateway, request_)
        assert int(reply[9:12]) == status, reply[:300]


async def test_who_asks_first_is_told_to_continue(vendor: ScriptedVendor) -> None:
    """Expect: 100-continue, as curl sends it with a larger body."""
    vendor.answer("result", send(with_status("IN_PROGRESS")))
    async with gateway_of(vendor) as gateway:
        reply = await exchange(gateway, post(event(), BEARER + "Expect: 100-continue\r\n"))
        assert reply.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202")


async def test_no_request_that_is_changed_at_random_is_a_fault_of_the_gateway(
    vendor: ScriptedVendor, capfd: pytest.CaptureFixture[str]
) -> None:
    """Bytes of head and body are replaced, removed and repeated; each is answered with 2xx or 4xx, or not at all."""
    vendor.answer("result", send(with_status("IN_PROGRESS")))
    chance = random.Random(7)
    whole = [
        post(event(), "".join(f"{name}: {value}\r\n" for name, value in signature(event()).items())),
        post(gzip.compress(event()), BEARER + "Content-Encoding: gzip\r\n"),
        chunked(event()),
    ]
    async with gateway_of(vendor) as gateway:
        for _ in range(150):
            request = bytearray(chance.choice(whole))
            for _ in range(chance.randint(1, 4)):
                at = chance.randrange(len(request))
                request[at : at + chance.choice((0, 1, 1, 9))] = chance.randbytes(chance.choice((0, 1, 1, 30)))
            reply = await exchange(gateway, bytes(request) + b"\r\n" * 200)
            assert not reply or reply[9:10] in (b"2", b"4"), (bytes(request), reply[:200])
        assert "Traceback" not in capfd.readouterr().err
        assert 'webhook_pushes_total{outcome="too_large"} 0.0' in await metrics_of(gateway)
