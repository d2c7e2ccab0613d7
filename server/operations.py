"""The port for operators: Prometheus metrics and readiness, over plain HTTP."""

from collections.abc import Callable

from aiohttp import web

from .metrics import Metrics
from .settings import Address


class OperationsServer:
    """Serves `GET /metrics`, and `GET /ready`: 200 while calls are welcome, 503 once draining has begun."""

    def __init__(self, metrics: Metrics, ready: Callable[[], bool]) -> None:
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/ready", self._ready)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        self._exposition = metrics.exposition
        self._is_ready = ready

    async def start(self, address: Address) -> Address:
        """Listens; gives the address with the port that was taken. Raises OSError."""
        await self._runner.setup()
        host, port = address
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        return Address((host, self._runner.addresses[0][1]))

    async def aclose(self) -> None:
        await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(
            body=self._exposition(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    async def _ready(self, request: web.Request) -> web.Response:
        return web.Response(text="ready\n") if self._is_ready() else web.Response(status=503, text="draining\n")
