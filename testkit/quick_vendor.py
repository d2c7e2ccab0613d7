"""A vendor that costs little CPU, as a process: `python -m testkit.quick_vendor PORT [--status STATUS]`.

It holds every call request in one status: COMPLETED with an outcome as the vendor documents it, any other alone. It
accepts every cancel.
"""

import argparse
import asyncio
import json
from typing import Any, cast

import uvloop

_TOKEN = b'{"access_token": "token", "expires_in": 84400, "token_type": "Bearer"}'
_OUTCOME = {
    "callType": "AUTHORIZATION_VERIFICATION",
    "callStatus": "SUCCESS",
    "outcomeSummary": "Authorization verification successfully",
    "outcomeDetails": "Credit card authorization was verified with the hotel for charges including room, tax, and"
    " parking.",
    "dialTime": "2025-06-03T10:10:00Z",
}
_READ_PATH, _ID_LENGTH = b"GET /api/v1/call-request/", 16


def _reply(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


class _Connection(asyncio.Protocol):
    """Requests arrive one after the other, each with its body in one piece."""

    def __init__(self, status: str, read_seconds: float, cancel_seconds: float) -> None:
        result: dict[str, Any] = {"success": True, "callRequestId": "%s", "callRequestStatus": status}
        if status == "COMPLETED":
            result["result"] = _OUTCOME
        self._result = json.dumps(result).encode()
        self._read_seconds, self._cancel_seconds = read_seconds, cancel_seconds

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass of it
        self._received = b""

    def data_received(self, data: bytes) -> None:
        received = self._received = self._received + data
        head, end, body = received.partition(b"\r\n\r\n")
        if not end or (b"content-length:" in head.lower() and b"callRequestId" in body and not body.endswith(b"}")):
            return
        if head.startswith(_READ_PATH):
            call_request_id = head[len(_READ_PATH) :][:_ID_LENGTH]
            self._send(self._read_seconds, _reply(self._result.replace(b"%s", call_request_id, 1)))
        elif head.startswith(b"POST /api/"):
            if not body:
                return
            call_request_id = body.split(b'"')[3]
            accepted = b'{"success": true, "result": {"callRequestId": "%s", "cancelled_at": "2025-06-03T09:31:00Z"}}'
            self._send(self._cancel_seconds, _reply(accepted % call_request_id))
        else:
            self._transport.write(_reply(_TOKEN))
        self._received = b""

    def _send(self, seconds: float, reply: bytes) -> None:
        if seconds:
            asyncio.get_running_loop().call_later(seconds, self._transport.write, reply)
        else:
            self._transport.write(reply)


async def _serve(port: int, status: str, read_seconds: float, cancel_seconds: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Connection(status, read_seconds, cancel_seconds), "127.0.0.1", port, backlog=4096
    )
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m testkit.quick_vendor")
    parser.add_argument("port", type=int)
    parser.add_argument("--status", default="PENDING_TO_CALL", help="of every call request")
    parser.add_argument("--read", type=float, default=0.0, metavar="SECONDS", help="the time of a read")
    parser.add_argument("--cancel", type=float, default=0.0, metavar="SECONDS", help="the time of a cancel")
    options = parser.parse_args()
    uvloop.run(_serve(options.port, options.status, options.read, options.cancel))


if __name__ == "__main__":
    main()
