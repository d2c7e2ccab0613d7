"""A vendor that costs next to nothing, as a process: `python -m testkit.quick_vendor PORT`.

It knows every id as PENDING_TO_CALL, agrees to every cancel, and takes set times for either.
"""

import asyncio
import sys
from typing import cast

import uvloop

READ_SECONDS, CANCEL_SECONDS = 0.05, 0.2
"""How long it takes to answer: a read, and a cancel."""

_TOKEN = b'{"access_token": "token", "expires_in": 84400, "token_type": "Bearer"}'


def _reply(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


class _Connection(asyncio.Protocol):
    """Requests come one after the other, each with its body in one piece."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self._received = b""

    def data_received(self, data: bytes) -> None:
        received = self._received = self._received + data
        head, end, body = received.partition(b"\r\n\r\n")
        if not end or (b"content-length:" in head.lower() and b"callRequestId" in body and not body.endswith(b"}")):
            return
        later = asyncio.get_running_loop().call_later
        if head.startswith(b"GET /api/"):
            call_request_id = head[len(b"GET /api/v1/call-request/") :][:16]
            status = b'{"success": true, "callRequestId": "%s", "callRequestStatus": "PENDING_TO_CALL"}'
            later(READ_SECONDS, self._transport.write, _reply(status % call_request_id))
        elif head.startswith(b"POST /api/"):
            if not body:
                return
            call_request_id = body.split(b'"')[3]
            agreed = b'{"success": true, "result": {"callRequestId": "%s", "cancelled_at": "2025-06-03T09:31:00Z"}}'
            later(CANCEL_SECONDS, self._transport.write, _reply(agreed % call_request_id))
        else:
            self._transport.write(_reply(_TOKEN))
        self._received = b""


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
