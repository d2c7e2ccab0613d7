"""A server as a process of its own: its environment, its start, and its end. Blocking; `gateway_process` is not."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]
SERVE: tuple[str, ...] = (sys.executable, "-m", "server", "serve")
"""The command that starts a gateway."""
MAX_START, MAX_END = 30.0, 10.0
"""Seconds that a server may take to start and to end, on a machine that has much else to do."""
_OURS = ("GATEWAY_", "CALL_REQUEST_", "PROMETHEUS_MULTIPROC_DIR")
_CLIENT_PORTS = 32_768  # from here on Linux assigns ports to outgoing connections


class DidNotStartError(Exception):
    """A server ended while it started, or was not ready in time. The text is the end of its output."""


def clean_environment() -> dict[str, str]:
    """The environment of this process, without settings of the gateway and of its clients."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}


def gateway_environment(**settings: object) -> dict[str, str]:
    """A clean environment with settings for a gateway: `gateway_environment(GRACE=5)` sets GATEWAY_GRACE.

    It listens on free ports of loopback, unless the settings differ.
    """
    names = ("LISTEN", "METRICS_LISTEN", "SANDBOX_LISTEN")
    free = {name: f"127.0.0.1:{port}" for name, port in zip(names, free_ports(len(names)), strict=True)}
    return clean_environment() | {f"GATEWAY_{name}": str(value) for name, value in (free | settings).items()}


def free_ports(number: int) -> list[int]:
    """Ports of loopback on which nothing listens, and which the kernel assigns to no outgoing connection."""
    ports: list[int] = []
    for port in random.sample(range(10_000, _CLIENT_PORTS), 1_000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            ports.append(port)
        if len(ports) == number:
            break
    return ports


def commanded(*command: str, **settings: object) -> "subprocess.CompletedProcess[str]":
    """Runs a command to its end, with these settings only."""
    return subprocess.run(
        [sys.executable, "-m", "server", *command],
        cwd=ROOT,
        env=gateway_environment(**settings),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def start(
    command: Sequence[str | Path], environment: Mapping[str, str], log: Path, errors: Path | None = None
) -> "subprocess.Popen[bytes]":
    """Starts a process in a session of its own: Ctrl-C reaches only us.

    log: the file for its output. errors: the file for its stderr; None: the same.
    """
    with log.open("wb") as out, (errors or log).open("ab") as err:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err if errors else out,
            start_new_session=True,
        )


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ends a process and all that it started: SIGTERM, and SIGKILL for what is left after MAX_END seconds."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(MAX_END)


@contextmanager
def started(
    command: Sequence[str | Path], environment: Mapping[str, str], log: Path
) -> "Iterator[subprocess.Popen[bytes]]":
    """Runs a process until the block is left."""
    process = start(command, environment, log)
    try:
        yield process
    finally:
        end(process)


@contextmanager
def serving(
    command: Sequence[str | Path], environment: Mapping[str, str], log: Path, is_ready: Callable[[], bool]
) -> "Iterator[subprocess.Popen[bytes]]":
    """Runs a server until the block is left, which begins when the server is ready. Raises DidNotStartError."""
    with started(command, environment, log) as process:
        latest = time.monotonic() + MAX_START
        while not is_ready():
            if process.poll() is not None or time.monotonic() > latest:
                raise DidNotStartError(last_lines(log))
            time.sleep(0.02)
        yield process


def last_lines(log: Path) -> str:
    """The end of a log, for a failure's text."""
    return "\n".join(log.read_text(errors="replace").strip().splitlines()[-5:]) or "no output"


def accepts(port: int) -> bool:
    """Whether a connection to that port of loopback is accepted."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
