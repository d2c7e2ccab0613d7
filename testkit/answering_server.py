"""A server that answers one request, whatever it is, as a test wants it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .scripted_vendor import Answer


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[int]:
    """A server that answers the first request of each connection, a CONNECT too, like this; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await answer(writer)
            await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
