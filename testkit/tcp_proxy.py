"""A TCP proxy whose connections can go silent: they stay open, and nothing comes through any more."""

import asyncio
from contextlib import suppress
from typing import Self


class TcpProxy:
    """`async with TcpProxy(port) as proxy`: it listens on proxy.port of loopback, and forwards to the port.

    listen: its own port; 0: a free one. silent_after: seconds after which each connection goes silent by itself.
    """

    def __init__(self, port: int, *, listen: int = 0, silent_after: float | None = None) -> None:
        self._port, self._listen, self._silent_after = port, listen, silent_after
        self._silent: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._listen)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def silence(self) -> None:
        """Forwards nothing more on the connections that are open; new ones are forwarded."""
        self._silent |= self._open

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self._open.add(writer)
        if self._silent_after is not None:
            asyncio.get_running_loop().call_later(self._silent_after, self._silent.add, writer)
        with suppress(OSError, asyncio.CancelledError):
            there, to = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                sending = asyncio.create_task(self._forward(reader, to, writer))
                receiving = asyncio.create_task(self._forward(there, writer, writer))
                await asyncio.wait([sending, receiving], return_when=asyncio.FIRST_COMPLETED)
                if writer in self._silent:  # that the other end closed it does not come through either
                    await sending
            finally:
                to.close()
        self._open.discard(writer)
        self._tasks.discard(task)
        writer.close()

    async def _forward(
        self, reader: asyncio.StreamReader, to: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                if client not in self._silent:
                    to.write(data)
                    await to.drain()
