"""The gateway as a user starts it: a process with its settings in the environment, on ports of its own."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parents[1]
_LONGEST_START = 20.0  # seconds, on a machine with much else to do


class DidNotStartError(Exception):
    """The gateway ended while it started; the text is what it said, mostly of a setting that is not built."""


class GatewayProcess:
    """A running gateway: its ports, its memory, its log and its metrics."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, metrics_port: int, folder: Path) -> None:
        self.process = process
        self.port = port
        self.target = f"127.0.0.1:{port}"
        self._metrics = f"http://127.0.0.1:{metrics_port}"
        self._folder = folder

    @property
    def runs(self) -> bool:
        """Whether the process is there."""
        return self.process.poll() is None

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Sends it a signal."""
        self.process.send_signal(number)

    async def ended(self, most: float) -> int | None:
        """Waits for its end; gives the exit code, None when it still runs after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(most):
                while self.runs:  # noqa: ASYNC110 (nothing tells of another process' end)
                    await asyncio.sleep(0.01)
        return self.process.poll()

    def memory(self) -> float:
        """What it holds in memory, in MB; 0 once it has ended."""
        return self._status("VmRSS")

    def peak(self) -> float:
        """The most that it held since `forget_peak`, in MB."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Begins to look for a new peak."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def _status(self, name: str) -> float:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name + ":")), 0.0)

    def log(self) -> list[dict[str, object]]:
        """The lines of its log so far."""
        lines = (self._folder / "stdout").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def defects(self) -> list[str]:
        """What it logged as unexpected, and tracebacks on stderr."""
        found = [str(line.get("error", "unexpected")) for line in self.log() if line.get("event") == "unexpected"]
        errors = (self._folder / "stderr").read_text(errors="replace")
        return found + ["traceback"] * errors.count("Traceback (most recent call last)")

    async def scrape(self) -> dict[str, float]:
        """Its metrics, by `name{label=value,…}` with the labels in alphabetical order."""
        async with aiohttp.ClientSession(self._metrics) as session, session.get("/metrics") as reply:
            text = await reply.text()
        return {
            sample.name
            + "{"
            + ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            + "}": float(sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    async def until_ready(self) -> None:
        """Waits until it serves. Raises DidNotStartError."""
        async with asyncio.timeout(_LONGEST_START), aiohttp.ClientSession(self._metrics) as session:
            while True:
                if not self.runs:
                    said = (self._folder / "stderr").read_text().strip() or "nothing said"
                    raise DidNotStartError(said.splitlines()[-1])
                with suppress(aiohttp.ClientError):
                    async with session.get("/ready") as reply:
                        if reply.status == 200:
                            return
                await asyncio.sleep(0.02)


@asynccontextmanager
async def serving(
    vendor: str, *, module: str = "server", core: int | None = None, port: int | None = None, **settings: object
) -> AsyncIterator[GatewayProcess]:
    """Starts a gateway in front of that vendor, and kills it at the end, however that comes.

    core: the one core it may use. settings: `DRAIN_DELAY=0.2`, without their prefix.
    """
    free, metrics_port = free_ports(2)
    usual = {
        "LISTEN": f"127.0.0.1:{port or free}",
        "METRICS_LISTEN": f"127.0.0.1:{metrics_port}",
        "VENDOR_URL": vendor,
        "VENDOR_CLIENT_ID": "client",
        "VENDOR_CLIENT_SECRET": "secret",
        "LOG_FORMAT": "json",
        "DEFAULT_MAX_AGE": "0",  # every read asks the vendor: that is where the faults are
        "FINAL_MAX_AGE": "0",
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    environment |= {f"GATEWAY_{name}": str(value) for name, value in (usual | settings).items()}
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = subprocess.Popen(  # noqa: ASYNC220 (it begins at once)
            [*pinned, sys.executable, "-m", module, "serve"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    gateway = GatewayProcess(process, port or free, metrics_port, folder)
    try:
        await gateway.until_ready()
        yield gateway
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(folder)


def free_ports(number: int) -> list[int]:
    """Ports of this machine that nobody listens on."""
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports
