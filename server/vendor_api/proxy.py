"""A tunnel through a company's HTTP proxy, by CONNECT (RFC 9110, 9.3.6). The proxy cannot read what TLS protects."""

import asyncio
import base64
import re
import socket
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote, urlsplit

MAX_HEAD_BYTES = 64 << 10
"""Bytes of the proxy's reply at most."""

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(rb"HTTP/1\.[01][ \t]+(\d{3})(?!\d)")


class ProxyRefused(OSError):
    """The proxy made no tunnel. cause: the status of its reply, as `HTTP 407`, or what is wrong with the reply."""

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(cause)


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where the proxy is, and the value of Proxy-Authorization that it gets, if any."""

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Reads `http://[user:password@]host:port`; user and password are percent-decoded."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        if parts.username is None:
            return cls(parts.hostname, parts.port)
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        return cls(parts.hostname, parts.port, f"Basic {base64.b64encode(login).decode()}")

    async def tunnel(self, connected: socket.socket, host: str, port: int, user_agent: str) -> None:
        """Asks the proxy at the other end of a socket for a tunnel to a host and port. Raises OSError without one."""
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}", f"User-Agent: {user_agent}"]
        if self.authorization is not None:
            lines.append(f"Proxy-Authorization: {self.authorization}")
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(connected, "".join(f"{line}\r\n" for line in [*lines, ""]).encode())
        head = b""
        while (end := _HEAD_END.search(head, max(len(head) - 4096 - 3, 0))) is None:
            if len(head) > MAX_HEAD_BYTES:
                raise ProxyRefused("a reply that is not HTTP")
            data = await loop.sock_recv(connected, 4096)
            if not data:
                raise ProxyRefused("closed the connection")
            head += data
        status = _STATUS.match(head)
        if status is None:
            raise ProxyRefused("a reply that is not HTTP")
        if not status[1].startswith(b"2"):
            raise ProxyRefused(f"HTTP {status[1].decode()}")
        if end.end() != len(head):
            raise ProxyRefused("bytes after its reply")  # the vendor does not speak first
