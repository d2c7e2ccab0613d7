"""The port for operators: Prometheus metrics and readiness, over plain HTTP."""

from collections.abc import Callable

from aiohttp import web

from ..settings import Address, cannot_listen


class OperationsServer:
    """Serves `GET /metrics`: what exposition gives; and `GET /ready`: 200 while calls are welcome, then 503."""

    def __init__(self, exposition: Callable[[], bytes], ready: Callable[[], bool]) -> None:
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/ready", self._ready)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        self._exposition = exposition
        self._is_ready = ready

    async def start(self, address: Address) -> Address:
        """Listens; gives the address with the port that was taken. Raises SettingsError."""
        await self._runner.setup()
        host, port = address
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            raise cannot_listen("GATEWAY_METRICS_LISTEN", address, error) from None
        return Address((host, self._runner.addresses[0][1]))

    async def aclose(self) -> None:
        await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(
            body=self._exposition(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    async def _ready(self, request: web.Request) -> web.Response:
        return web.Response(text="ready\n") if self._is_ready() else web.Response(status=503, text="draining\n")
