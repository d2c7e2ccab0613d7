"""Health, as `grpc.health.v1` has it.

grpcio's own servicer holds a lock of all watchers of a service while it writes to one of them: a watcher that does not
read keeps the others, and the drain, waiting for ever.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, TypeAlias

import grpc
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1.health_pb2_grpc import HealthServicer

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Response = pb.HealthCheckResponse

NAME = pb.DESCRIPTOR.services_by_name["Health"].full_name


class Health(HealthServicer):
    """Tells whether these services serve, all of them or none; "" is the server as a whole. At first none does."""

    def __init__(self, services: Iterable[str]) -> None:
        self._services = frozenset({"", *services})
        self._status: int = Response.NOT_SERVING
        self._changed = asyncio.Event()

    def tell(self, *, serving: bool) -> None:
        """Tells it from now on, and everyone who watches. Waits for nobody."""
        self._status = Response.SERVING if serving else Response.NOT_SERVING
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
        """Gives the status, and again whenever it has changed; a watcher that is slow gets the latest."""
        told = None
        while True:
            changed = self._changed  # taken first: what changes while a watcher is written to must not be missed
            status = self._status if request.service in self._services else Response.SERVICE_UNKNOWN
            if status != told:
                yield Response(status=status)
                told = status
            await changed.wait()
