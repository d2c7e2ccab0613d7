"""A vendor that answers at once and costs little, as a process: `python -m measure.profiling.vendor PORT STATUS`.

It knows every call request, in the one status: COMPLETED with an outcome as the vendor documents it, any other alone.
"""

import asyncio
import sys
from typing import cast

import uvloop

_TOKEN = '{"access_token": "token", "expires_in": 84400, "token_type": "Bearer"}'  # noqa: S105 (no password)
_OUTCOME = (
    ', "result": {"callType": "AUTHORIZATION_VERIFICATION", "callStatus": "SUCCESS",'
    ' "outcomeSummary": "Authorization verification successfully",'
    ' "outcomeDetails": "Credit card authorization was verified with the hotel for charges including room, tax, and'
    ' parking.", "dialTime": "2025-06-03T10:10:00Z"}'
)
_PREFIX = "/api/v1/call-request/"


def _reply(body: str) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return (head + body).encode()


class _Connection(asyncio.Protocol):
    """Requests come one after the other, each without a body and in one piece, as the gateway writes them."""

    def __init__(self, status: str) -> None:
        self._rest = f', "callRequestStatus": "{status}"{_OUTCOME if status == "COMPLETED" else ""}}}'

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        path = data.split(b" ", 2)[1].decode()
        call_request_id = path.removeprefix(_PREFIX)[:16]
        known = f'{{"success": true, "callRequestId": "{call_request_id}"{self._rest}'
        self._transport.write(_reply(known if path.startswith(_PREFIX) else _TOKEN))


async def _serve(port: int, status: str) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(status), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), sys.argv[2]))
