"""A real HTTP proxy in a process of its own: proxy.py."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

START_SECONDS = 30.0


@asynccontextmanager
async def http_proxy(*options: str) -> AsyncIterator[int]:
    """Yields the port of a proxy on loopback. options: proxy.py's own."""
    with tempfile.TemporaryDirectory() as folder:
        port_file = Path(folder) / "port"
        arguments = ["--hostname", "127.0.0.1", "--port", "0", "--port-file", str(port_file), "--data-dir", folder]
        arguments += ["--num-workers", "1", "--num-acceptors", "1", "--log-level", "CRITICAL", *options]
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "proxy", *arguments)
        try:
            async with asyncio.timeout(START_SECONDS):
                while not (port_file.exists() and port_file.read_text().strip()):
                    if process.returncode is not None:
                        raise RuntimeError("the proxy did not start")
                    await asyncio.sleep(0.05)
            yield int(port_file.read_text().split()[0])
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
