"""The port for operators: the status page, Prometheus metrics and readiness, over plain HTTP."""

from collections.abc import Callable
from urllib.parse import parse_qs

from aiohttp import web

from ..settings import Address
from .history import History
from .http_port import HttpPort
from .log_level import LogLevel
from .own_origin import has_private_host, may_change
from .samples import Samples
from .status_page import CONTENT_SECURITY_POLICY, StatusPage

MAX_BYTES = 1024
"""Of a request's body."""

_PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class OperationsServer:
    """Serves what an operator needs to see, and the one thing to change.

    `GET /`: the status page, not by a public name. `GET /metrics`: what exposition returns. `GET /ready`: 200 while
    calls are welcome, then 503. `POST /log-level`: `level=debug`, from loopback only, by no page of another origin.

    samples: returns what exposition does, to be read by name.
    """

    def __init__(
        self,
        exposition: Callable[[], bytes],
        samples: Callable[[], Samples],
        ready: Callable[[], bool],
        page: StatusPage,
        log_level: LogLevel,
    ) -> None:
        app = web.Application(client_max_size=MAX_BYTES)
        app.router.add_get("/", self._status)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/ready", self._ready)
        app.router.add_post("/log-level", self._change_log_level)
        self._port = HttpPort(app)
        self._exposition = exposition
        self._samples = samples
        self._is_ready = ready
        self._page = page
        self._log_level = log_level
        self._history = History(samples)

    async def start(self, address: Address) -> Address:
        """Listens. Returns the address with the port that was taken. Raises SettingsError."""
        taken = await self._port.start("GATEWAY_METRICS_LISTEN", address)
        self._history.start()
        return taken

    async def aclose(self) -> None:
        """Ends it with all its connections."""
        await self._history.aclose()
        await self._port.aclose()

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(
            body=self._exposition(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    async def _ready(self, request: web.Request) -> web.Response:
        return web.Response(text="ready\n") if self._is_ready() else web.Response(status=503, text="draining\n")

    async def _status(self, request: web.Request) -> web.Response:
        if not has_private_host(request.headers):
            return web.Response(status=403, text="Host is a public name: use the address.\n")
        page = self._page.html(self._samples(), self._history, self._log_level.level, is_ready=self._is_ready())
        return web.Response(text=page, content_type="text/html", charset="utf-8", headers=_PAGE_HEADERS)

    async def _change_log_level(self, request: web.Request) -> web.Response:
        peer = request.transport.get_extra_info("peername") if request.transport is not None else None
        if not may_change(request.headers, peer[0] if peer else None):
            return web.Response(status=403, text="Only from loopback, and by no page of another origin.\n")
        level = parse_qs((await request.read()).decode("latin-1")).get("level", [""])[-1]
        if not self._log_level.change(level):
            return web.Response(status=400, text="level must be debug, info, warning or error.\n")
        return web.Response(text=f"{level}\n")
