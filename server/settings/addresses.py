"""Addresses to listen on."""

import errno
import os
import re
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

from .errors import SettingsError


class CannotListenError(SettingsError):
    """An address to listen on is taken, or not this machine's."""


class Address(tuple[str, int]):
    """A host and a port to listen on, written `host:port` or `[::1]:port`."""

    __slots__ = ()

    def __str__(self) -> str:
        host, port = self
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        address = _ip_address(self[0])
        return self[0].lower() == "localhost" if address is None else address.is_loopback

    @property
    def is_wildcard(self) -> bool:
        """Whether it is every address of this machine, of both families, whichever of the two it is written in."""
        address = _ip_address(self[0])
        return address is not None and address.is_unspecified

    def overlaps(self, other: "Address") -> bool:
        """Whether only one of the two can be listened on. Port 0 is another one each time."""
        if self[1] != other[1] or self[1] == 0:
            return False
        return self.is_wildcard or other.is_wildcard or not _hosts(self[0]).isdisjoint(_hosts(other[0]))


def _hosts(host: str) -> set[object]:
    """The addresses that are listened on, as far as they are known without a resolver: localhost is both families'."""
    names = ("127.0.0.1", "::1") if host.lower() == "localhost" else (host.lower(),)
    return {_ip_address(name) or name for name in names}


def _ip_address(host: str) -> IPv4Address | IPv6Address | None:
    """The host's address when it is written as one, in any of the forms that resolvers take: `0` is 0.0.0.0."""
    try:
        address = ip_address(host)
    except ValueError:
        try:
            return IPv4Address(socket.inet_aton(host))
        except OSError:
            return None
    return getattr(address, "ipv4_mapped", None) or address


def parse_address(value: object) -> Address:
    """Reads `host:port`. Raises ValueError."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\s\[\]]+)):([0-9]{1,5})", str(value))
    if match is None or int(match[3]) > 65535:
        raise ValueError("must be host:port, with a port from 0 to 65535")
    host = match[1] or match[2]
    try:
        host.encode("idna")  # as every resolver does, beyond the reach of those who expect OSError
    except UnicodeError:
        raise ValueError("must be host:port, with a host name of parts of 1 to 63 characters") from None
    return Address((host, int(match[3])))


def cannot_listen(name: str, address: Address, error: OSError) -> CannotListenError:
    """What to raise when a setting's address cannot be listened on."""
    if isinstance(error, socket.gaierror):
        why = "the host cannot be resolved"
    elif error.errno == errno.EADDRINUSE:
        why = f"is the port taken? {Address((address[0], 0))} takes a free one"
    else:
        why = os.strerror(error.errno or 0).lower()  # the text of the error itself may be a library's own
    return CannotListenError([f"{name}: cannot listen on {address}; {why}"])
