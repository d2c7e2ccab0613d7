"""Makes connections to the vendor: addresses, the way through a proxy, TLS."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

import aiohappyeyeballs
import httpx

from .. import __version__
from .proxy import Proxy

USER_AGENT = f"call-request-gateway/{__version__}"

NEXT_ADDRESS = 0.25
"""Seconds after which a host's next address is tried beside one that does not answer (RFC 8305)."""

_Protocol = TypeVar("_Protocol", bound=asyncio.Protocol)


class Connector:
    """Connects to an origin (scheme, host, port), through a proxy if there is one. tls: for the connections to come."""

    def __init__(self, origin: str, tls: ssl.SSLContext, proxy: Proxy | None) -> None:
        url = httpx.URL(origin)
        self._host, self._port = url.raw_host.decode(), url.port or (443 if url.scheme == "https" else 80)
        self._is_https = url.scheme == "https"
        self.tls = tls
        self._proxy = proxy

    async def connect(self, protocol: Callable[[], _Protocol], until: float | None) -> _Protocol:
        """Returns a protocol that is connected. until: a moment on the event loop's clock.

        Raises httpx.ProxyError when the proxy could not be reached, refused or did not answer; httpx.ConnectError or
        httpx.ConnectTimeout when the vendor's host could not be reached. Their causes say more.
        """
        loop = asyncio.get_running_loop()
        reached_proxy = self._proxy is None
        try:
            async with asyncio.timeout_at(until):
                connected = await self._reach()
                reached_proxy = True
                _, made = await loop.create_connection(
                    protocol,
                    sock=connected,
                    ssl=self.tls if self._is_https else None,
                    server_hostname=self._host if self._is_https else None,
                )
                return made
        except (TimeoutError, OSError, UnicodeError) as error:  # UnicodeError: the name can be no host's
            if not reached_proxy:
                raise httpx.ProxyError("not sent") from error
            kind = httpx.ConnectTimeout if isinstance(error, TimeoutError) else httpx.ConnectError
            raise kind("not sent") from error

    async def _reach(self) -> socket.socket:
        """A socket whose other end is the vendor."""
        if self._proxy is None:
            return await _connected(self._host, self._port)
        connected = await _connected(self._proxy.host, self._proxy.port)
        try:
            await self._proxy.tunnel(connected, self._host, self._port, USER_AGENT)
        except BaseException:
            connected.close()
            raise
        return connected


async def _connected(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=NEXT_ADDRESS, loop=loop)
