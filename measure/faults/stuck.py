"""A gateway with a defect: `python -m measure.faults.stuck serve`. Reads of ids that begin so are handled so:

`ignoring`: the handler goes on, however often it is cancelled; `blocking`: it holds the event loop; `failing`: it
raises what nobody expects, with a guest's data in its text.
"""

import asyncio
import time
from contextlib import suppress

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from server.commands.main import main
from server.rpc.context import Context
from server.rpc.service import CallRequestService

SECRET = "jane.guest@example.com"

_read = CallRequestService.GetCallRequestResult


async def _stuck(self: CallRequestService, request: GetCallRequestResultRequest, context: Context) -> bytes:
    if request.call_request_id.startswith("blocking"):
        time.sleep(3600)  # noqa: ASYNC251 (that is the defect)
    if request.call_request_id.startswith("failing"):
        raise RuntimeError(SECRET)
    while request.call_request_id.startswith("ignoring"):
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
    return await _read(self, request, context)


def install() -> None:
    """Gives this process the defect."""
    CallRequestService.GetCallRequestResult = _stuck  # type: ignore[method-assign]


if __name__ == "__main__":
    install()
    main()
