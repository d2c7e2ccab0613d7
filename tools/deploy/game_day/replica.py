"""A replica of the gateway: a folder with its settings, its log, and a process that may end and start again."""

import os
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import aiohttp

from testkit.server_process import SERVE, clean_environment, end, start

MAX_DRAIN = 20.0


class Replica:
    """number: from 1. Its settings are read again from its file at each start."""

    def __init__(self, number: int, folder: Path, settings: dict[str, object]) -> None:
        self.number = number
        self.folder = folder
        self.log = folder / "gateway.log"
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir()
        self.log.touch()
        lines = [f"GATEWAY_{name}={shlex.quote(str(value))}\n" for name, value in settings.items()]
        (folder / "settings").write_text("".join(lines))

    @property
    def environment(self) -> dict[str, str]:
        """What its process gets, and what commands beside it get."""
        return environment_of(self.folder)

    @property
    def target(self) -> str:
        """Its address for callers."""
        return self.environment["GATEWAY_LISTEN"]

    @property
    def metrics(self) -> str:
        """Its address for Prometheus."""
        return self.environment["GATEWAY_METRICS_LISTEN"]

    @property
    def runs(self) -> bool:
        """Whether its process is there."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Starts it, unless it runs. Its log goes on where it was."""
        if self.runs:
            return
        into_the_log = ("sh", "-c", 'exec "$@" >>"$0" 2>&1', str(self.log))
        self.process = start([*into_the_log, *SERVE], self.environment, self.folder / "start.log")
        (self.folder / "pid").write_text(f"{self.process.pid}\n")

    def kill(self) -> None:
        """Ends it at once."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def stop(self) -> None:
        """Ends it as a platform does: SIGTERM, and some time later SIGKILL. Blocks."""
        if self.process is not None and self.runs:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(MAX_DRAIN)
            end(self.process)

    async def is_ready(self) -> bool:
        """Whether it serves."""
        with suppress(aiohttp.ClientError):
            async with aiohttp.ClientSession() as session, session.get(f"http://{self.metrics}/ready") as reply:
                return reply.status == 200
        return False

    async def scrape(self) -> str:
        """Its metrics as text; empty when it does not answer."""
        with suppress(aiohttp.ClientError):
            async with aiohttp.ClientSession() as session, session.get(f"http://{self.metrics}/metrics") as reply:
                return await reply.text()
        return ""


def environment_of(folder: Path) -> dict[str, str]:
    """The environment by the file of settings in a replica's folder. Raises ValueError for a line without a value."""
    given = dict(word.split("=", 1) for word in shlex.split((folder / "settings").read_text(), comments=True))
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return clean_environment() | given | {"PATH": programs}
