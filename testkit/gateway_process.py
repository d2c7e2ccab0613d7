"""The gateway as a user starts it, from an event loop: a process with settings in its environment, on free ports."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from testkit.server_process import MAX_START, ROOT, DidNotStartError, gateway_environment, start


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
        """Whether the process has not ended."""
        return self.process.poll() is None

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Sends it a signal."""
        self.process.send_signal(number)

    async def ended(self, timeout: float) -> int | None:  # noqa: ASYNC109 (a timeout is no failure here)
        """Waits for its end, at most so many seconds. Returns the exit code, or None when it still runs."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self.runs:  # noqa: ASYNC110 (the end of a process raises no event)
                    await asyncio.sleep(0.01)
        return self.process.poll()

    def memory(self) -> float:
        """Its resident memory in MB; 0 after its end."""
        return self._status("VmRSS")

    def peak(self) -> float:
        """The maximum of its resident memory since `reset_peak`, in MB."""
        return self._status("VmHWM")

    def reset_peak(self) -> None:
        """Sets the peak to what it holds now."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def _status(self, name: str) -> float:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name + ":")), 0.0)

    def log(self) -> list[dict[str, object]]:
        """The lines of its log so far."""
        lines = (self._folder / "stdout").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def defects(self) -> list[str]:
        """The unexpected errors in its log, and one "traceback" for each traceback on stderr."""
        found = [str(line.get("error", "unexpected")) for line in self.log() if line.get("event") == "unexpected"]
        return found + ["traceback"] * self.errors().count("Traceback (most recent call last)")

    def errors(self) -> str:
        """Its output on stderr so far."""
        return (self._folder / "stderr").read_text(errors="replace")

    def logged(self, event: str) -> list[dict[str, object]]:
        """The lines of its log with that event."""
        return [line for line in self.log() if line.get("event") == event]

    def workers(self) -> dict[int, int]:
        """The process id of the latest worker in each slot, dead or alive; empty without workers."""
        return {int(str(line["worker"])): int(str(line["pid"])) for line in self.logged("a worker serves")}

    async def until(self, condition: Callable[[], object], timeout: float = 30.0) -> float:  # noqa: ASYNC109
        """Waits until the condition is true. Returns the seconds that it took. Raises TimeoutError."""
        begun = time.monotonic()
        async with asyncio.timeout(timeout):
            while not condition():  # noqa: ASYNC110 (another process raises no event)
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
        """Whether `/ready` answers 200."""
        with suppress(aiohttp.ClientError):
            async with aiohttp.ClientSession(self._metrics) as session, session.get("/ready") as reply:
                return reply.status == 200
        return False

    async def until_ready(self, seconds: float = MAX_START) -> None:
        """Waits until it and all its workers serve. Raises DidNotStartError, TimeoutError."""
        workers = int(self.environment.get("GATEWAY_WORKERS", "1"))
        async with asyncio.timeout(seconds):
            while not await self.is_ready() or (workers > 1 and len(self.workers()) < workers):
                if not self.runs:
                    raise DidNotStartError((self.errors().strip() or "no output").splitlines()[-1])
                await asyncio.sleep(0.05)

    def end(self) -> None:
        """Kills it and its workers."""
        self.process.send_signal(signal.SIGSTOP)  # it must not replace a worker meanwhile
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
    prefix: Sequence[str] = (),
    max_start: float = MAX_START,
    **settings: object,
) -> AsyncIterator[GatewayProcess]:
    """Starts a gateway in front of that vendor, and kills it when the block is left.

    vendor: its address; empty: the embedded sandbox. options: of its command line. core: the one core it may use.
    path: a folder of modules for Python. prefix: a command that runs the gateway, as `prlimit` does. max_start: seconds
    for its start. settings: `DRAIN_DELAY=0.2`, without their prefix.
    """
    defaults: dict[str, object] = {
        "VENDOR_URL": vendor,
        "VENDOR_CLIENT_ID": "client",
        "VENDOR_CLIENT_SECRET": "secret",
        "ALLOW_SANDBOX": "true",  # although there are credentials
        "LOG_FORMAT": "json",
        "DEFAULT_MAX_AGE": "0",  # every read reaches the vendor: that is where the faults are
        "FINAL_MAX_AGE": "0",
    }
    if port is not None:
        defaults["LISTEN"] = f"127.0.0.1:{port}"
    environment = gateway_environment(**(defaults | settings))
    if path:
        environment["PYTHONPATH"] = f"{path}{os.pathsep}{ROOT}"
    folder = Path(tempfile.mkdtemp(prefix="gateway-"))
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    command = [*prefix, *pinned, sys.executable, "-m", module, "serve", *options]
    gateway = GatewayProcess(start(command, environment, folder / "stdout", folder / "stderr"), environment, folder)
    try:
        await gateway.until_ready(max_start)
        yield gateway
    finally:
        gateway.end()
        shutil.rmtree(folder)


def _children(process: int) -> list[int]:
    with suppress(OSError):
        return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return []


def _is_ours(process: int) -> bool:
    """Whether the process is a gateway or a worker: the id of one that has ended may belong to a stranger."""
    with suppress(OSError):
        words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
        return b"serve" in words or b"worker" in words
    return False
