"""The gateway under load: one that is started here as a user would start it, or one that runs elsewhere."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .plain_http import NoAnswerError, ask
from .usage import Lookout

ROOT = Path(__file__).parents[2]
_MAX_START = 30.0
_MAX_END = 10.0


class DidNotStartError(Exception):
    """The gateway ended while it started; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Target:
    """A gateway: its address, where to look at it, and the address of the sandbox behind it, if there is one."""

    address: str
    lookout: Lookout
    sandbox: str | None


@contextmanager
def started(log: Path, vendor_url: str | None, sandbox: str | None) -> Iterator[Target]:
    """Starts a gateway on loopback and free ports, and ends it when the block is left. Raises DidNotStartError.

    vendor_url: the vendor, with the credentials that the environment has; None: the embedded sandbox. sandbox: the
    address of one behind that vendor_url. All settings but those below are the user's own.
    """
    listen, metrics, embedded = (f"127.0.0.1:{port}" for port in free_ports(3))
    environment = os.environ | {
        "GATEWAY_LISTEN": listen,
        "GATEWAY_METRICS_LISTEN": metrics,
        "GATEWAY_SANDBOX_LISTEN": embedded,
        "GATEWAY_DRAIN_DELAY": "0",
        "GATEWAY_GRACE": "2",
        "GATEWAY_LOG_FORMAT": "json",
        # Empty is unset, wherever else it may be set: no vendor gets this load unless it was asked for here.
        "GATEWAY_VENDOR_URL": vendor_url or "",
        "GATEWAY_ALLOW_SANDBOX": "true",  # beside credentials that the environment may have
    }
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "server", "serve"], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
            stdout=out, stderr=out,
        )  # fmt: skip
    try:
        _until_ready(process, metrics, log)
        yield Target(listen, Lookout(metrics, process.pid), embedded if vendor_url is None else sandbox)
    finally:
        end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ends a server, by force when it takes too long."""
    process.terminate()
    try:
        process.wait(_MAX_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _until_ready(process: "subprocess.Popen[bytes]", metrics: str, log: Path) -> None:
    deadline = time.monotonic() + _MAX_START
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = log.read_text(errors="replace").strip().splitlines() or ["nothing said"]
            raise DidNotStartError("\n".join(said[-5:]))
        with suppress(NoAnswerError):
            ask(metrics, "/ready")
            return
        time.sleep(0.02)
    raise DidNotStartError(f"not ready after {_MAX_START:.0f} s")


def free_ports(number: int) -> list[int]:
    """Ports of this machine that nobody listens on."""
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports
