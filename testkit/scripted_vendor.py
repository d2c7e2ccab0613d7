"""A vendor on a real socket that answers, byte for byte, by a test's script."""

import asyncio
import json
import socket
import ssl
import struct
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
"""Writes to the connection, which stays open for the next request unless the answer closes it."""

TOKEN = {"access_token": "token-1", "expires_in": 84400, "token_type": "Bearer"}
RESULT_ID = "77b2c4d5e6f7g890"


@dataclass(frozen=True)
class Asked:
    """A request as it was received. operation: token, result, cancel or other."""

    operation: str
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


class ScriptedVendor:
    """`async with ScriptedVendor() as vendor`; `vendor.answer("result", …)` sets its script."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._script: dict[str, deque[Answer]] = defaultdict(deque)
        self._connections: set[asyncio.StreamWriter] = set()
        self._asking: dict[asyncio.StreamWriter, Asked] = {}
        self.asked: list[Asked] = []
        self.left = 0
        self.connections = 0
        self.answer("token", send(TOKEN))
        self.answer("result", send(pending()))
        self.answer("cancel", send(cancelled()))

    def answer(self, operation: str, *answers: Answer) -> None:
        """Answers requests of an operation with these in turn, and then always with the last one."""
        self._script[operation] = deque(answers)

    def requests(self, operation: str) -> list[Asked]:
        """The requests so far of one operation."""
        return [asked for asked in self.asked if asked.operation == operation]

    def asked_on(self, connection: asyncio.StreamWriter) -> Asked:
        """The request that a connection is waiting for an answer to."""
        return self._asking[connection]

    async def __aenter__(self) -> Self:
        await self.listen(0)
        return self

    @property
    def open(self) -> int:
        """How many connections are open now."""
        return len(self._connections)

    def stop_listening(self) -> None:
        """Accepts no more connections; those that are open stay."""
        self._server.close()

    async def listen(self, port: int, hosts: Sequence[str] = ("127.0.0.1",)) -> None:
        """Listens on the port, 0 for a free one; again after it was closed. hosts: its addresses."""
        self._server = await asyncio.start_server(self._serve, hosts, port, ssl=self._tls)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://{'localhost' if self._tls else '127.0.0.1'}:{port}"

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for writer in list(self._connections):
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        self.connections += 1
        try:
            while not writer.is_closing() and (asked := await _read(reader)):
                self.asked.append(asked)
                self._asking[writer] = asked
                script = self._script[asked.operation]
                answer = script.popleft() if len(script) > 1 else script[0] if script else send({}, 404)
                await self._answer(answer, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _answer(self, answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers, unless the client hangs up first; that is counted in `left`."""
        answering = asyncio.ensure_future(answer(writer))
        while not answering.done():
            await asyncio.wait({answering}, timeout=0.02)
            if not answering.done() and (reader.at_eof() or reader.exception()):
                self.left += 1
                answering.cancel()
                raise ConnectionResetError
        await answering

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits until the condition is true, at most 30 s."""
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 (there is no event for it)
                await asyncio.sleep(0.01)


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    head = await reader.readuntil(b"\r\n\r\n")
    request, *lines = head.decode("latin-1").strip().split("\r\n")
    method, target, _ = request.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    parts = urlsplit(target)
    operation = (
        "token"
        if parts.path.endswith("/token")
        else "cancel"
        if method == "POST"
        else "result"
        if parts.path.endswith("/result")
        else "other"
    )
    return Asked(operation, method, parts.path, parse_qs(parts.query), headers, body)


def pending(call_request_id: str = RESULT_ID) -> dict[str, Any]:
    """A result as the vendor's page shows it, of a call that is not made yet."""
    return {"success": True, "callRequestId": call_request_id, "callRequetStatus": "PENDING_TO_CALL"}


def with_status(status: str, call_request_id: str = RESULT_ID) -> dict[str, Any]:
    """A result that has only a status."""
    return pending(call_request_id) | {"callRequetStatus": status}


def cancelled(call_request_id: str = RESULT_ID) -> dict[str, Any]:
    """The reply to a cancel that worked."""
    return {"success": True, "results": {"callRequestId": call_request_id, "cancelled_at": "2025-06-03T09:31:00Z"}}


def failed(code: str, message: str = "words of the vendor") -> dict[str, Any]:
    """The vendor's error body."""
    return {"success": False, "error": {"code": code, "message": message}}


def send(body: Any, status: int = 200, **headers: str) -> Answer:
    """JSON, or bytes or text as they are, in an HTTP reply. Headers: `retry_after="3"`."""
    content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    named = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return raw(f"HTTP/1.1 {status} Scripted\r\n{lines}content-length: {len(content)}\r\n\r\n".encode() + content)


def raw(content: bytes, *, close: bool = False) -> Answer:
    """Bytes as they are."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()
        if close:
            writer.close()

    return answer


def hang_up() -> Answer:
    """The connection is closed without a reply."""
    return raw(b"", close=True)


def reset() -> Answer:
    """The connection is reset (RST) without a reply."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        connection: socket.socket = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return answer


def later(seconds: float, then: Answer) -> Answer:
    """The answer, so many seconds later."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        await then(writer)

    return answer


def never() -> Answer:
    """No answer, and the connection stays open."""
    return later(3600, hang_up())


def trickle(content: bytes, pause: float) -> Answer:
    """Bytes one by one, with a pause after each, in seconds."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        for byte in content:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(pause)

    return answer
