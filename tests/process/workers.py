"""What the tests of several workers share: a gateway with two of them, connections to each, other processes."""

import asyncio
import itertools
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from testkit.calls import identifier
from testkit.gateway_process import GatewayProcess, serving
from testkit.http2_connection import Connection, Ended
from testkit.server_process import ROOT, gateway_environment
from testkit.sockets import clients_of

SOON, QUICK_START = 5.0, 0.7
"""Seconds within which a worker is replaced, where a gateway with two workers starts within so many."""
STUCK = ROOT / "measure" / "faults" / "stuck_workers"


STARTED_IN: "WeakKeyDictionary[GatewayProcess, float]" = WeakKeyDictionary()


def soon(gateway: GatewayProcess) -> float:
    """SOON, and later on a machine that has so much else to do that the gateway started late."""
    return SOON + 3 * max(STARTED_IN[gateway] - QUICK_START, 0)


@asynccontextmanager
async def started(vendor: str = "", *, path: Path | None = None, **settings: object) -> AsyncIterator[GatewayProcess]:
    """A gateway with two workers, in front of that vendor or of its own sandbox."""
    changed: dict[str, Any] = {"WORKERS": 2, "DRAIN_DELAY": 0.2, "GRACE": 5} | settings
    begun = time.monotonic()
    async with serving(vendor, path=path, **changed) as gateway:
        STARTED_IN[gateway] = time.monotonic() - begun
        yield gateway


@asynccontextmanager
async def connected(gateway: GatewayProcess, each: int = 1) -> AsyncIterator[list[list[Connection]]]:
    """As many connections to each worker, by its slot. Which one gets a connection is the kernel's choice."""
    opened: list[Connection] = []
    found: list[list[Connection]] = [[] for _ in gateway.workers()]
    try:
        while min(map(len, found)) < each:
            connection = await Connection.to(gateway.port)
            opened.append(connection)
            client = connection.transport.get_extra_info("sockname")[1]
            holds = [client in clients_of(process, gateway.port) for _, process in sorted(gateway.workers().items())]
            slot = found[holds.index(True)]
            if len(slot) < each:
                slot.append(connection)
        yield found
    finally:
        for connection in opened:
            connection.transport.abort()


def read_on(connections: list[list[Connection]], prefix: str, seconds: float = 8) -> "list[asyncio.Task[Ended]]":
    """Begins a read on each connection, of an id of its own."""
    numbered = enumerate(itertools.chain.from_iterable(connections))
    return [asyncio.create_task(each.read(identifier(prefix, number), seconds)) for number, each in numbered]


async def codes(calls: "list[asyncio.Task[Ended]]") -> set[int | None]:
    """The codes that calls end with."""
    return {each.code for each in await asyncio.gather(*calls)}


_LISTEN = ("LISTEN", "METRICS_LISTEN", "SANDBOX_LISTEN")


@contextmanager
def began(
    port: int, metrics: int, sandbox: int, *, path: Path | None = None, **settings: object
) -> Iterator["subprocess.Popen[str]"]:
    """A gateway with two workers whose log comes by a pipe, from its first moment on. path: of modules for Python."""
    listen = {name: f"127.0.0.1:{number}" for name, number in zip(_LISTEN, (port, metrics, sandbox), strict=True)}
    process = subprocess.Popen(
        [sys.executable, "-m", "server", "serve", "--workers", "2"],
        cwd=ROOT,
        env=gateway_environment(**listen, DRAIN_DELAY=0, **settings) | ({"PYTHONPATH": str(path)} if path else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def command_of(process: int) -> list[str]:
    """The words of a process' command line."""
    return Path(f"/proc/{process}/cmdline").read_text().split("\0")


def folder_of(gateway: GatewayProcess) -> Path:
    """Where its workers count."""
    command = command_of(gateway.workers()[0])
    return Path(command[command.index("--metrics") + 1])


def workers_of(supervisor: int) -> list[int]:
    """The workers that a supervisor has started; its engine is another child of it."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return [int(each) for each in children if b"worker" in _command(each)]


def _command(process: str) -> list[bytes]:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    except OSError:  # it has ended meanwhile
        return []


async def until(condition: Callable[[], object]) -> None:
    """Waits, at most 30 s, until something is so."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 (no event for another process)
            await asyncio.sleep(0.01)


def alive(process: int) -> bool:
    """Whether a process runs: one that has ended may wait for long until its parent takes notice."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def summed(metrics: dict[str, float], name: str) -> float:
    """The sum of a metric over its labels."""
    return sum(value for metric, value in metrics.items() if metric.startswith(name + "{"))
