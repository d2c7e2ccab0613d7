"""A proxy whose connections are gone without a word: python -m tools.clients.silent_proxy ADDRESS GATEWAY.

Each connection falls silent SILENT_AFTER seconds after it was made. It stays open, as when a machine or a link is lost.
"""

import asyncio
import sys

from testkit.tcp_proxy import TcpProxy

SILENT_AFTER = 2.0


async def serve(address: str, gateway: str) -> None:
    """Forwards until it is killed."""
    listen, port = (int(each.rpartition(":")[2]) for each in (address, gateway))
    async with TcpProxy(port, listen=listen, silent_after=SILENT_AFTER):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
