"""Machines in miniature: network namespaces of Linux, each with a link of its own to this one."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache

_NETWORK = "10.231"  # of private use


@dataclass(frozen=True, slots=True)
class Machine:
    """A namespace. address: its own. here: of this namespace on their link."""

    name: str
    address: str
    here: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """Runs a command on it, which takes the place of `ip`."""
        return ("ip", "netns", "exec", self.name)


@cache
def lacking() -> str:
    """What keeps this machine from having namespaces; empty: nothing."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "Debian's package iproute2 is not installed"
    try:
        with machines(1):
            return ""
    except subprocess.CalledProcessError as error:
        return f"no network namespaces: {error.stderr.decode().strip()}"


@contextmanager
def machines(number: int) -> Iterator[list[Machine]]:
    """So many machines that reach this one and each other by no other way. Raises CalledProcessError."""
    with ExitStack() as stack:
        made = []
        for each in range(number):
            machine = Machine(f"crg{os.getpid()}m{each}", f"{_NETWORK}.{each}.2", f"{_NETWORK}.{each}.1")
            link = f"crg{os.getpid()}v{each}"
            _ip("netns", "add", machine.name)
            stack.callback(_ip, "netns", "delete", machine.name)
            _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", machine.name)
            stack.callback(_ip, "link", "delete", link)  # with the namespace alone it would stay for a while
            _ip("address", "add", f"{machine.here}/30", "dev", link)
            _ip("link", "set", link, "up")
            for arguments in (
                ("address", "add", f"{machine.address}/30", "dev", "eth0"),
                ("link", "set", "eth0", "up"),
                ("link", "set", "lo", "up"),
            ):
                _ip("-netns", machine.name, *arguments)
            made.append(machine)
        yield made


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
