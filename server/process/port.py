"""The port that several servers share.

The reservation keeps out other gateways and every server that does not share ports. A gRPC server of the same user with
default options shares the port all the same (SO_REUSEPORT), and takes some of the connections.
"""

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from ..observability.listening import addresses_of
from ..settings import Address, cannot_listen, parse_address

CAN_BE_SHARED = hasattr(socket, "SO_REUSEPORT")
"""Whether several sockets of this machine can listen on one port."""


@contextmanager
def reserved_port(listen: str) -> Iterator[Address]:
    """Reserves a port for servers that share it, so that no other gateway shares it by mistake. Raises SettingsError.

    Yields the address with the port that was taken. It is reserved on each of the host's addresses of this machine.
    """
    host, port = wanted = parse_address(listen)
    if not CAN_BE_SHARED:
        yield wanted
        return
    with ExitStack() as stack:
        failed: OSError | None = None
        holders: list[socket.socket] = []
        try:
            for family, address in addresses_of(wanted):
                try:
                    holders.append(stack.enter_context(_reservation(family, (address[0], port, *address[2:]))))
                    port = holders[0].getsockname()[1]
                except OSError as error:
                    if error.errno == errno.EADDRINUSE:
                        raise
                    failed = error  # a machine without IPv6, for one: gRPC, too, listens on what there is
            if failed and not holders:
                raise failed
        except OSError as error:
            raise cannot_listen("GATEWAY_LISTEN", wanted, error) from None
        yield Address((host, port))


def _reservation(family: int, address: tuple[Any, ...]) -> socket.socket:
    """Returns a socket that has an address and does not listen. Raises OSError."""
    holder = socket.socket(family, socket.SOCK_STREAM)
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            for each in (probe, holder):
                # To bind beside what connections of an earlier gateway left behind (TIME_WAIT).
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if address[0] == "::":  # else it is IPv4's wildcard, too, which has a holder of its own
                    each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # Of several that start at the same time one listens. It goes on until its holder keeps the others out.
            probe.bind(address)
            probe.listen(1)
            for each in (probe, holder):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            holder.bind((address[0], probe.getsockname()[1], *address[2:]))
            # Kept, it would let another gateway in while nobody listens.
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except OSError:
        holder.close()
        raise
    return holder
