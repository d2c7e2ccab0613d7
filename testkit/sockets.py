"""Which process has which connection, from /proc."""

from contextlib import suppress
from itertools import chain
from pathlib import Path

_ESTABLISHED = "01"


def clients_of(process: int, port: int) -> set[int]:
    """The clients' ports of the connections that a process holds on that port of its own."""
    held = set()
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with suppress(OSError):  # it is closed meanwhile
            held.add(str(descriptor.readlink()))
    clients = set()
    tables = (Path("/proc/net", name).read_text().splitlines()[1:] for name in ("tcp", "tcp6"))
    for line in chain.from_iterable(tables):  # gRPC's sockets are IPv6's, for IPv4 as well
        _, ours, theirs, state, _, _, _, _, _, inode, *_ = line.split()
        if state == _ESTABLISHED and _port(ours) == port and f"socket:[{inode}]" in held:
            clients.add(_port(theirs))
    return clients


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)
