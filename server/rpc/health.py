"""Health, as `grpc.health.v1` defines it.

grpcio's own servicer holds a lock of all watchers of a service while it writes to one of them: one watcher that does
not read blocks all others, and the drain.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1.health_pb2_grpc import HealthServicer

from .context import Context

Response = pb.HealthCheckResponse

NAME = pb.DESCRIPTOR.services_by_name["Health"].full_name


class Health(HealthServicer):
    """The status of these services, the same for all; "" is the server as a whole. NOT_SERVING at first."""

    def __init__(self, services: Iterable[str]) -> None:
        self._services = frozenset({"", *services})
        self._status: int = Response.NOT_SERVING
        self._changed = asyncio.Event()
        self._ended = False

    def set_serving(self, serving: bool) -> None:
        """Sets the status and sends it to all watchers. Waits for none of them."""
        self._status = Response.SERVING if serving else Response.NOT_SERVING
        self._notify()

    def end_watches(self) -> None:
        """Ends all watches, OK, each after the latest status; a watch that begins later ends with its first status."""
        self._ended = True
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def Check(self, request: pb.HealthCheckRequest, context: Context) -> Response:  # noqa: N802 (so below)
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND, "There is no such service here.")
        return Response(status=self._status)

    async def List(self, request: Any, context: Context) -> Any:  # noqa: N802
        statuses = {name: Response(status=self._status) for name in self._services}
        return pb.HealthListResponse(statuses=statuses)  # type: ignore[attr-defined]  # its types are older

    async def Watch(self, request: pb.HealthCheckRequest, context: Context) -> AsyncIterator[Response]:  # noqa: N802
        """Sends the status, and again whenever it has changed; a slow watcher gets the latest only."""
        sent = None
        while True:
            changed = self._changed  # taken first, so that a change while the watcher is written to is not missed
            status = self._status if request.service in self._services else Response.SERVICE_UNKNOWN
            if status != sent:
                yield Response(status=status)
                sent = status
            elif self._ended:
                return
            if not self._ended:
                await changed.wait()
