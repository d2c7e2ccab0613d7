"""What a platform does at an operator's word, over a socket in the night's folder."""

import asyncio
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tools.deploy.runbook import valkey_cli

if TYPE_CHECKING:
    from .installation import Installation

SOCKET = "control"
MAX_SECONDS = 60.0
LOOKS = {
    "alerts": ("", "what fires, is about to, or fired in the last minutes"),
    "dashboards": ("[service | vendor]", "each panel of the dashboards with its values now"),
    "query": ("PROMQL", "what a query returns now"),
    "at": ("N COMMAND", "runs a command beside replica N, with its settings, $PID and gateway.log, as kubectl exec"),
    "answer": ("CAUSE [ACTION]", "says what it is, as soon as you know, and what you did; again if you think again"),
}
"""What an operator does alone: words, and what it is."""
COMMANDS = {
    "start-replica": ("N", "starts replica N, unless it runs"),
    "restart-replica": ("N", "ends replica N gracefully, and starts it with its settings as they are now"),
    "renew-certificate": ("", "has our client certificate for the vendor issued anew, and replaces its files"),
    "vault": ("", "prints the secret that the vendor has on record for us"),
    "engines": ("", "lists the servers of the shared state, and the sentinels"),
    "engine": ("N WORD...", "sends a command to server N, or with sN to sentinel N, as valkey-cli does"),
    "start-engine": ("N", "starts server N of the shared state, unless it runs"),
    "tell-vendor": ("TEXT", "calls the vendor's night desk"),
    "end": ("", "ends the night; its report is printed where it was started"),
}
"""What the night's process does."""


class Control:
    """Carries out the commands. ended: set by `end`."""

    def __init__(self, site: "Installation") -> None:
        self._site = site
        self.ended = asyncio.Event()

    async def carry_out(self, words: list[str]) -> str:
        """Returns what to print. Raises ValueError, IndexError, OSError for what cannot be done."""
        site, (name, *rest) = self._site, words
        match name:
            case "start-replica" | "restart-replica":
                replica = site.replicas[int(rest[0]) - 1] if rest[0] in ("1", "2") else None
                if replica is None:
                    raise ValueError(f"no replica {rest[0]}")
                if name == "restart-replica":
                    await asyncio.to_thread(replica.stop)
                replica.start()
                return f"replica {rest[0]} is started; its log has whether it serves"
            case "renew-certificate":
                site.pki.renew()
                return f"{site.pki.certificate} and its key are replaced"
            case "vault":
                return site.vendor.secret
            case "engines":
                servers, watching = site.servers.engines, site.servers.sentinels
                return "\n".join(
                    [f"server {number}: 127.0.0.1:{each.port}" for number, each in enumerate(servers, 1)]
                    + [f"sentinel {number}: 127.0.0.1:{each.port}" for number, each in enumerate(watching, 1)]
                )
            case "engine":
                each = site.servers.sentinels if rest[0].startswith("s") else site.servers.engines
                port = each[int(rest[0].removeprefix("s")) - 1].port
                return await asyncio.to_thread(valkey_cli.ask, "127.0.0.1", port, rest[1:])
            case "start-engine":
                engine = site.servers.engines[int(rest[0]) - 1]
                if not engine.runs:
                    await asyncio.to_thread(engine.start)
                return f"server {rest[0]} runs"
            case "tell-vendor":
                site.vendor_is_told.set()
                return "They will look after what is theirs."
            case "end":
                self.ended.set()
                return "the night ends; its report follows where it was started"
        raise ValueError(f"no command {name}")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readline()).decode()
        try:
            reply = await self.carry_out(shlex.split(line))
        except (ValueError, IndexError, OSError) as error:
            reply = f"not done: {error}"
        writer.write(reply.encode())
        writer.close()

    @asynccontextmanager
    async def listening(self, folder: Path) -> AsyncIterator[None]:
        """Takes commands until the block is left."""
        server = await asyncio.start_unix_server(self._serve, folder / SOCKET)
        try:
            yield
        finally:
            server.close()


async def ask(folder: Path, words: list[str]) -> str:
    """Has a command carried out. Returns what to print. Raises OSError when no night is played, TimeoutError."""
    reader, writer = await asyncio.open_unix_connection(folder / SOCKET)
    writer.write(f"{shlex.join(words)}\n".encode())
    async with asyncio.timeout(MAX_SECONDS):
        reply = await reader.read()
    writer.close()
    return reply.decode()
