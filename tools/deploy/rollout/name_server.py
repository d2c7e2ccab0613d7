"""A name server on loopback: one name, whose addresses are those of the pods that are ready."""

import asyncio
import ipaddress
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

_A, _IN, _TTL = 1, 1, 5  # CoreDNS has a headless Service's records live for 5 s


class NameServer(asyncio.DatagramProtocol):
    """`addresses`: the answer to every question for an address of IPv4; other questions have no answer."""

    def __init__(self) -> None:
        self.addresses: set[str] = set()
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # not by its class, in 3.11
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        self._transport.sendto(answer(data, sorted(self.addresses)), addr)


def answer(query: bytes, addresses: list[str]) -> bytes:
    """The answer (RFC 1035) to a query of one question."""
    end = query.index(0, 12) + 5  # the name, then two bytes each of type and class
    (kind,) = struct.unpack("!H", query[end - 4 : end - 2])
    found = addresses if kind == _A else []
    head = query[:2] + struct.pack("!HHHHH", 0x8580, 1, len(found), 0, 0)
    record = struct.pack("!HHHIH", 0xC00C, _A, _IN, _TTL, 4)  # 0xC00C: the name of the question
    return head + query[12:end] + b"".join(record + ipaddress.IPv4Address(each).packed for each in found)


@asynccontextmanager
async def name_server() -> AsyncIterator[NameServer]:
    """Listens on a port of loopback until the block is left."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    try:
        yield server
    finally:
        transport.close()
