"""Sockets that listen: for a wildcard, or for localhost, on both families with one port."""

import errno
import socket
from contextlib import ExitStack
from ipaddress import ip_address

_ABSENT = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}  # a machine without that family


def open_sockets(host: str, port: int) -> list[socket.socket]:
    """Listens on each address of the host that this machine has; port 0 takes a free one. Raises OSError."""
    opened, absent = list[socket.socket](), OSError()
    with ExitStack() as stack:
        for each in _hosts(host):
            for family, kind, protocol, _, (address, _, *scope) in socket.getaddrinfo(
                each, port, type=socket.SOCK_STREAM
            ):
                try:
                    listener = socket.socket(family, kind, protocol)
                    stack.callback(listener.close)
                    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    if family == socket.AF_INET6:
                        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    listener.bind((address, port, *scope))
                    listener.listen(128)
                except OSError as error:
                    if error.errno not in _ABSENT:
                        raise
                    absent = error
                else:
                    port = listener.getsockname()[1]
                    opened.append(listener)
        if not opened:
            raise absent
        stack.pop_all()
    return opened


def url_of(host: str, listener: socket.socket) -> str:
    """Returns the URL of the host and that listener's port; for a wildcard the loopback of the listener's family."""
    if _is_wildcard(host):
        host = "::1" if listener.family == socket.AF_INET6 else "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def _hosts(host: str) -> tuple[str, ...]:
    if _is_wildcard(host):
        return "0.0.0.0", "::"  # noqa: S104 (as the operator set it)
    return ("127.0.0.1", "::1") if host == "localhost" else (host,)


def _is_wildcard(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        try:
            return not any(socket.inet_aton(host))  # `0`, as resolvers read it
        except OSError:
            return False
    return (getattr(address, "ipv4_mapped", None) or address).is_unspecified
