"""The port for operators: Prometheus metrics and readiness, over plain HTTP."""

from collections.abc import Callable

from aiohttp import web

from ..settings import Address
from .http_port import HttpPort


class OperationsServer:
    """Serves `GET /metrics`: what exposition returns; and `GET /ready`: 200 while calls are welcome, then 503."""

    def __init__(self, exposition: Callable[[], bytes], ready: Callable[[], bool]) -> None:
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/ready", self._ready)
        self._port = HttpPort(app)
        self._exposition = exposition
        self._is_ready = ready

    async def start(self, address: Address) -> Address:
        """Listens. Returns the address with the port that was taken. Raises SettingsError."""
        return await self._port.start("GATEWAY_METRICS_LISTEN", address)

    async def aclose(self) -> None:
        """Ends it with all its connections."""
        await self._port.aclose()

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(
            body=self._exposition(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    async def _ready(self, request: web.Request) -> web.Response:
        return web.Response(text="ready\n") if self._is_ready() else web.Response(status=503, text="draining\n")
