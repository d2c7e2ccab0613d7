"""The gateway as a user starts it: a process with its settings in the environment, on ports of its own."""

import asyncio
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parents[1]
_MAX_START = 30.0  # seconds, on a machine with much else to do


class DidNotStartError(Exception):
    """The gateway ended while it started; the text is what it said, mostly of a setting that is not built."""


class GatewayProcess:
    """A running gateway: its ports, its memory, its log and its metrics."""

    def __init__(self, process: "subprocess.Popen[bytes]", environment: dict[str, str], folder: Path) -> None:
        self.process = process
        self.environment = environment
        self.target = environment["GATEWAY_LISTEN"]
        self.port = int(self.target.rpartition(":")[2])
        self._metrics = f"http://{environment['GATEWAY_METRICS_LISTEN']}"
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
        return found + ["traceback"] * self.errors().count("Traceback (most recent call last)")

    def errors(self) -> str:
        """What it wrote to stderr."""
        return (self._folder / "stderr").read_text(errors="replace")

    def told(self, event: str) -> list[dict[str, object]]:
        """The lines of its log about one kind of event."""
        return [line for line in self.log() if line.get("event") == event]

    def workers(self) -> dict[int, int]:
        """The process of each worker's place that served last, dead or alive; none without workers."""
        return {int(str(line["worker"])): int(str(line["pid"])) for line in self.told("a worker serves")}

    async def until(self, condition: Callable[[], object], most: float = 10.0) -> float:
        """Waits until something is so; gives the seconds that took. Raises TimeoutError."""
        begun = time.monotonic()
        async with asyncio.timeout(most):
            while not condition():  # noqa: ASYNC110 (nothing tells of another process)
                await asyncio.sleep(0.02)
        return time.monotonic() - begun

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

    async def is_ready(self) -> bool:
        """Whether `/ready` says so."""
        with suppress(aiohttp.ClientError):
            async with aiohttp.ClientSession(self._metrics) as session, session.get("/ready") as reply:
                return reply.status == 200
        return False

    async def until_ready(self) -> None:
        """Waits until it serves, with all its workers. Raises DidNotStartError."""
        workers = int(self.environment.get("GATEWAY_WORKERS", "1"))
        async with asyncio.timeout(_MAX_START):
            while not await self.is_ready() or (workers > 1 and len(self.workers()) < workers):
                if not self.runs:
                    raise DidNotStartError((self.errors().strip() or "nothing said").splitlines()[-1])
                await asyncio.sleep(0.02)

    def end(self) -> None:
        """Ends it and its workers at once."""
        self.process.send_signal(signal.SIGSTOP)  # so that it starts none meanwhile
        processes = [self.process.pid, *_children(self.process.pid), *self.workers().values()]
        for each in filter(_is_ours, processes):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        self.process.wait()


@asynccontextmanager
async def serving(
    vendor: str,
    *options: str,
    module: str = "server",
    core: int | None = None,
    port: int | None = None,
    path: Path | None = None,
    **settings: object,
) -> AsyncIterator[GatewayProcess]:
    """Starts a gateway in front of that vendor, and kills it at the end, however that comes.

    vendor: its address; empty: the sandbox that it brings along. options: of its command line. core: the one core it
    may use. path: a folder of modules for Python. settings: `DRAIN_DELAY=0.2`, without their prefix.
    """
    free, metrics_port, sandbox_port = free_ports(3)
    usual = {
        "LISTEN": f"127.0.0.1:{port or free}",
        "METRICS_LISTEN": f"127.0.0.1:{metrics_port}",
        "SANDBOX_LISTEN": f"127.0.0.1:{sandbox_port}",
        "VENDOR_URL": vendor,
        "VENDOR_CLIENT_ID": "client",
        "VENDOR_CLIENT_SECRET": "secret",
        "ALLOW_SANDBOX": "true",  # with credentials, and then without a vendor
        "LOG_FORMAT": "json",
        "DEFAULT_MAX_AGE": "0",  # every read asks the vendor: that is where the faults are
        "FINAL_MAX_AGE": "0",
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    environment |= {f"GATEWAY_{name}": str(value) for name, value in (usual | settings).items()}
    if path:
        environment["PYTHONPATH"] = f"{path}{os.pathsep}{ROOT}"
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = subprocess.Popen(  # noqa: ASYNC220 (it begins at once)
            [*pinned, sys.executable, "-m", module, "serve", *options],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    gateway = GatewayProcess(process, environment, folder)
    try:
        await gateway.until_ready()
        yield gateway
    finally:
        gateway.end()
        shutil.rmtree(folder)


def _children(process: int) -> list[int]:
    with suppress(OSError):
        return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return []


def _is_ours(process: int) -> bool:
    """Whether it is a gateway or a worker, and no other process that was given the number of one."""
    with suppress(OSError):
        words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
        return b"serve" in words or b"worker" in words
    return False


def free_ports(number: int) -> list[int]:
    """Ports of this machine that nobody listens on, and that it gives to no client either: those are from 32768 on."""
    ports: list[int] = []
    for port in random.sample(range(10_000, 32_768), 1_000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            ports.append(port)
        if len(ports) == number:
            break
    return ports
