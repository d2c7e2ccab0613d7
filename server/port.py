"""The port that several servers share."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from .settings import Address, SettingsError, parse_address

CAN_BE_SHARED = hasattr(socket, "SO_REUSEPORT")
"""Whether several sockets of this machine can listen on one port."""


@contextmanager
def held(listen: str) -> Iterator[Address]:
    """Holds a port for servers that share it: no other gateway can share it by mistake. Raises SettingsError."""
    if not CAN_BE_SHARED:
        yield parse_address(listen)
        return
    try:
        host, port = parse_address(listen)
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
        holder = socket.socket(family, kind, protocol)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # To bind beside what connections of an earlier gateway left behind (TIME_WAIT); afterwards it would let another
        # gateway in while nobody listens.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(address)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except OSError:
        raise SettingsError([f"GATEWAY_LISTEN: cannot listen on {listen}; is the port taken?"]) from None
    with holder:
        yield Address((host, holder.getsockname()[1]))
