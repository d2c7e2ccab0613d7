"""Gateways and a shell, in which the commands of a page are run."""

import os
import re
import shlex
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

from testkit.server_process import ROOT, SERVE, accepts, clean_environment, free_ports, serving
from tools.examples.pages import Section

_SANDBOX = "127.0.0.1:50080"
_ADDRESSES = {
    "GATEWAY_LISTEN": "127.0.0.1:50051",
    "GATEWAY_METRICS_LISTEN": "127.0.0.1:9464",
    "GATEWAY_SANDBOX_LISTEN": _SANDBOX,
}
_START = re.compile(r"((?:[A-Z_]+=\S* +(?:\\\n +)?)*)make run\n")
_END = "-- end of block"


class PageError(Exception):
    """A page cannot be run. The text has the reason."""


class Ports:
    """Which free port stands for which port of a page."""

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        self._free = dict(known or {})

    def copy(self) -> "Ports":
        return Ports(self._free)

    def take(self, address: str) -> None:
        """Replaces the port of an address by a free one."""
        (port,) = free_ports(1)
        self._free[address.rpartition(":")[2]] = str(port)

    def real(self, text: str) -> str:
        """The text with free ports in place of the page's."""
        return self._replaced(text, self._free)

    def shown(self, text: str) -> str:
        """The text with the page's ports again."""
        return self._replaced(text, {free: port for port, free in self._free.items()})

    def _replaced(self, text: str, ports: Mapping[str, str]) -> str:
        return re.sub(r"(?<=127\.0\.0\.1:)\d+|(?<=localhost:)\d+", lambda found: ports.get(found[0], found[0]), text)


class Shell:
    """A bash in the project's folder, which keeps its variables from block to block."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["/bin/bash"],
            cwd=ROOT,
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # with what its blocks left behind
        self._process.communicate()

    def run(self, command: str) -> tuple[str, int]:
        """Runs a block. Returns its output and its exit code. Raises PageError when it ends the shell."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{{\n{command}}} < /dev/null\nprintf '\\n{_END} %s\\n' $?\n".encode())
        self._process.stdin.flush()
        lines: list[str] = []
        while not lines or not lines[-1].startswith(_END):
            lines.append(self._process.stdout.readline().decode())
            if not lines[-1]:
                raise PageError(f"the shell ended after {''.join(lines)!r}")
        printed = "".join(f"{line.expandtabs().rstrip()}\n" for line in lines[:-1]).removesuffix("\n")
        return printed, int(lines[-1].split()[-1])


class Page:
    """A gateway of the usual settings and a way to run a section against it."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def run(self, section: Section) -> list[str | None]:
        """Runs all blocks. Returns the output of each; None for those of which the page shows none.

        Raises PageError when one of these fails.
        """
        self._reset()
        outputs: list[str | None] = []
        ports = self._ports.copy()
        with ExitStack() as running:
            shell = running.enter_context(Shell())
            for block in section.blocks:
                if started := _START.search(block.command):
                    if settings := _settings(started[1]):
                        running.enter_context(gateway(settings, ports))
                    outputs.append(None)
                    continue
                printed, code = shell.run(ports.real(block.command))
                if block.output is None and code != 0:
                    raise PageError(f"{section.title}: exit code {code}\n{block.command}{printed}")
                outputs.append(None if block.output is None else ports.shown(printed))
        return outputs

    def _reset(self) -> None:
        """Resets the sandbox, but for its tokens: the gateway does not replace a young one."""
        url = self._ports.real(f"http://{_SANDBOX}/sandbox/reset")
        with urllib.request.urlopen(urllib.request.Request(url, b'{"keep_tokens": true}'), timeout=5):  # noqa: S310 (our own server)
            pass


def _settings(assignments: str) -> dict[str, str]:
    words = shlex.split(assignments.replace("\\\n", " "))
    return {name: value for name, _, value in (word.partition("=") for word in words)}


@contextmanager
def running_page() -> Iterator[Page]:
    """Starts a gateway of the usual settings, and ends it."""
    ports = Ports()
    with gateway({}, ports):
        yield Page(ports)


@contextmanager
def gateway(settings: Mapping[str, str], ports: Ports) -> Iterator[None]:
    """Runs a gateway with these settings until the block is left, on free ports in place of those of the page."""
    environment = {**_ADDRESSES, **settings}
    if "GATEWAY_VENDOR_URL" in settings:
        del environment["GATEWAY_SANDBOX_LISTEN"]  # that gateway has no sandbox; the page's keeps its port
    for name in filter(environment.get, _ADDRESSES):
        ports.take(environment[name])
    real = {name: ports.real(value) for name, value in environment.items()}
    settled = clean_environment() | real | {"GATEWAY_DRAIN_DELAY": "0", "GATEWAY_GRACE": "1"}
    port = int(real["GATEWAY_LISTEN"].rpartition(":")[2])
    with (
        tempfile.TemporaryDirectory(prefix="examples-") as folder,
        serving(SERVE, settled, Path(folder, "log"), lambda: accepts(port)),
    ):
        yield
