"""A tunnel through a company's HTTP proxy, by CONNECT (RFC 9110, 9.3.6). The proxy cannot read what TLS protects."""

import asyncio
import base64
import re
import socket
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote_to_bytes, urlsplit

from ..settings import Address

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

    def __str__(self) -> str:
        return str(Address((self.host, self.port)))

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Reads `http://[user:password@]host:port`; user and password are percent-decoded."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        if parts.username is None:
            return cls(parts.hostname, parts.port)
        login = b":".join(map(unquote_to_bytes, (parts.username, parts.password or "")))
        return cls(parts.hostname, parts.port, f"Basic {base64.b64encode(login).decode()}")

    async def tunnel(self, connected: socket.socket, host: str, port: int, user_agent: str) -> None:
        """Asks the proxy at the other end of a socket for a tunnel to a host and port. Raises OSError without one."""
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}", f"User-Agent: {user_agent}"]
        if self.authorization is not None:
            lines.append(f"Proxy-Authorization: {self.authorization}")
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(connected, "".join(f"{line}\r\n" for line in [*lines, ""]).encode())
        received, read, status = b"", 0, b""
        while not status or (status.startswith(b"1") and status != b"101"):  # these announce the reply: RFC 9110, 15.2
            searched = 0
            while (end := _HEAD_END.search(received, searched)) is None:
                searched = max(len(received) - 3, 0)
                if read > MAX_HEAD_BYTES:
                    raise ProxyRefused("a reply that is not HTTP")
                data = await loop.sock_recv(connected, 4096)
                if not data:
                    raise ProxyRefused("closed the connection")
                received += data
                read += len(data)
            status = _status(received)
            received = received[end.end() :]
        if not status.startswith(b"2"):
            raise ProxyRefused(f"HTTP {status.decode()}")
        if received:
            raise ProxyRefused("bytes after its reply")  # the vendor does not speak first


def _status(head: bytes) -> bytes:
    match = _STATUS.match(head)
    if match is None:
        raise ProxyRefused("a reply that is not HTTP")
    return match[1]
