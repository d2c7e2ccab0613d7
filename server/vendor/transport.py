"""HTTP as httpx describes it, carried by aiohttp.

httpx's own connection pool loses a place whenever a waiting request is cancelled (encode/httpcore #830, #1093):
callers' deadlines would use it up within seconds. aiohttp's does not. What this module adds is exactness about what was
sent.
"""

import math
import ssl
from collections.abc import AsyncIterator
from typing import Self

import aiohttp
import httpx
import yarl


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends each request at most once, over kept-alive connections.

    Raises httpx.ConnectError or httpx.ConnectTimeout when nothing of the request was sent: no connection could be made,
    or none was free within the seconds of `request.extensions["timeout"]["connect"]`. Any other httpx.TransportError:
    it may have arrived; RemoteProtocolError when the reply is no HTTP. There is no other limit of time: the caller sets
    one around the whole exchange, reading included.

    Redirects, cookies, proxies and compression are left alone.
    """

    def __init__(self, tls: ssl.SSLContext, max_connections: int) -> None:
        self._tls = tls
        self._max_connections = max_connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._max_connections, ssl=self._tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )
        # Else it sends an idempotent request again by itself when a kept connection breaks, uncounted.
        self._session._retry_connection = False  # noqa: SLF001 (there is no public way)
        return self

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert self._session is not None, "used outside its context"
        connect = request.extensions.get("timeout", {}).get("connect")
        try:
            response = await self._session.request(
                request.method,
                yarl.URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                data=request.content or None,
                allow_redirects=False,
                # aiohttp rounds times above its threshold up to whole seconds.
                timeout=aiohttp.ClientTimeout(total=None, connect=connect, ceil_threshold=math.inf),
            )
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as error:
            timed_out = isinstance(error, aiohttp.ConnectionTimeoutError)
            raise (httpx.ConnectTimeout if timed_out else httpx.ConnectError)("not sent") from error
        except aiohttp.ClientResponseError as error:
            raise httpx.RemoteProtocolError("sent, reply is no HTTP") from error
        except (aiohttp.ClientError, OSError) as error:
            raise httpx.ReadError("sent, no reply") from error
        return httpx.Response(response.status, headers=list(response.raw_headers), stream=_Body(response))


class _Body(httpx.AsyncByteStream):
    """The body of a reply as it comes in; closing it before its end closes the connection."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise httpx.ReadError("sent, reply cut off") from error

    async def aclose(self) -> None:
        self._response.close()
