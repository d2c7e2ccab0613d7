"""Sockets that listen: on every address that a host stands for, of either family."""

import errno
import socket
import threading
from collections.abc import Collection, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from ..settings import PREFIX, Address, Settings, cannot_listen

_ABSENT = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}
"""What an address fails with on a machine without its family, as IPv6 is turned off in many containers."""
RESOLVE_TIMEOUT = 10.0
"""Seconds in which a host must be resolved. The system's resolver takes longer when no name server answers."""
_ATTEMPTS = 5
_BACKLOG = 128

SocketAddress = tuple[int, tuple[Any, ...]]
"""A family and an address as sockets take it."""


def addresses_of(address: Address) -> list[SocketAddress]:
    """Returns all that a server listens on for that address. Raises OSError when the host cannot be resolved.

    A wildcard in either family's form is both families, and so is localhost, whatever /etc/hosts says: as in gRPC.
    """
    host, port = address
    hosts: Sequence[str] = (host,)
    if address.is_wildcard:
        hosts = ("0.0.0.0", "::")  # noqa: S104 (as the operator set it)
    elif host == "localhost":
        hosts = ("127.0.0.1", "::1")
    found: list[SocketAddress] = [
        (family, socket_address) for each in hosts for family, socket_address in _resolved(each, port)
    ]
    return list(dict.fromkeys(found))


def open_sockets(address: Address, *, shared: bool = False) -> list[socket.socket]:
    """Listens on them, all with one port; port 0 takes a free one. Raises OSError.

    What this machine has no address for is left out, unless nothing is left. shared: other workers listen there, too.
    """
    for _ in range(_ATTEMPTS - 1 if address[1] == 0 else 0):
        try:
            return _open(address, shared=shared)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:  # the port that one family took was not free in the other
                raise
    return _open(address, shared=shared)


def addresses_that_fail(settings: Settings, known: Collection[str] = ()) -> dict[str, str]:
    """Tries each address of the settings; returns a line for each that cannot be listened on, by the field's name.

    All at once: several that cannot be resolved take no longer than one. known: settings that are not tried.
    """
    listened = {name: each for name, each in settings.listened().items() if f"{PREFIX}{name.upper()}" not in known}
    tried: dict[str, OSError | None] = dict.fromkeys(listened)

    def try_to_listen(name: str) -> None:
        try:
            for each in open_sockets(listened[name]):
                each.close()
        except OSError as error:
            tried[name] = error

    threads = [threading.Thread(target=try_to_listen, args=(name,), daemon=True) for name in listened]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failed = {name: error for name, error in tried.items() if error is not None}
    return {
        name: line
        for name, error in failed.items()
        for line in cannot_listen(f"{PREFIX}{name.upper()}", listened[name], error).lines
    }


def _resolved(host: str, port: int) -> list[SocketAddress]:
    """Its addresses. Raises OSError when there are none within RESOLVE_TIMEOUT."""
    with suppress(socket.gaierror):
        return _addresses(host, port, socket.AI_NUMERICHOST)  # needs no name server, nor a thread
    found = list[SocketAddress]()
    failure: OSError = socket.gaierror(socket.EAI_AGAIN, "no answer in time")

    def resolve() -> None:
        nonlocal failure
        try:
            found.extend(_addresses(host, port, 0))
        except OSError as error:
            failure = error

    thread = threading.Thread(target=resolve, name="resolver", daemon=True)  # nothing else ends one that hangs
    thread.start()
    thread.join(RESOLVE_TIMEOUT)
    if not found:
        raise failure
    return found


def _addresses(host: str, port: int, flags: int) -> list[SocketAddress]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _, _, _, address in found]


def _open(address: Address, *, shared: bool) -> list[socket.socket]:
    port, opened, absent = address[1], list[socket.socket](), OSError()
    with ExitStack() as stack:
        for family, (host, _, *scope) in addresses_of(address):
            try:
                listener = socket.socket(family, socket.SOCK_STREAM)
                stack.callback(listener.close)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if shared:
                    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                if family == socket.AF_INET6:  # else it takes the port of IPv4, too
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listener.bind((host, port, *scope))
                listener.listen(_BACKLOG)
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
