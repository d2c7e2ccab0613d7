"""What each signal does, to one process and to several; and that none is lost, however early it comes."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.process.signal_mask import DRAIN, HANDLED, LOGGED
from testkit.gateway_process import serving
from testkit.http2_connection import connected
from testkit.server_process import ROOT, SERVE, gateway_environment
from testkit.stateful_vendor import Vendor, after

FATAL = {getattr(signal, f"SIG{name}") for name in ("ABRT", "BUS", "FPE", "ILL", "KILL", "SEGV", "SYS", "TRAP")}
STOPPING = {getattr(signal, f"SIG{name}") for name in ("STOP", "TSTP", "TTIN", "TTOU")}
HARMLESS = {getattr(signal, f"SIG{name}") for name in ("CHLD", "CONT", "URG", "WINCH")}
IGNORED = {signal.SIGPIPE, signal.SIGXFSZ}  # by Python


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor() as played:
        played.on_read = after(1, played.result_of)
        yield played


def test_every_signal_has_its_effect() -> None:
    """Those that are not handled end or stop every process, or none; a new one must be decided."""
    assert signal.valid_signals() == HANDLED | FATAL | STOPPING | HARMLESS | IGNORED
    assert not HANDLED & (FATAL | STOPPING | HARMLESS | IGNORED)


@pytest.mark.parametrize("workers", [1, 2])
async def test_no_signal_but_those_that_drain_loses_a_call(vendor: Vendor, workers: int) -> None:
    """Each that is handled, to every process: the calls in progress are answered, and what was done is logged."""
    async with (
        serving(vendor.url, WORKERS=workers, DRAIN_DELAY=0.1, GRACE=5) as gateway,
        connected(gateway.port, 4) as client,
    ):
        calls = [asyncio.create_task(client.read(f"signalled{number:07}", 8)) for number in range(8)]
        await vendor.until(lambda: vendor.waiting == 8)
        processes = {gateway.process.pid, *gateway.workers().values()}
        for process in processes:
            for number in HANDLED - DRAIN:
                os.kill(process, number)
        assert {(await call).code for call in calls} == {0}
        assert len(gateway.logged("a signal without effect")) == len(processes) * len(LOGGED)
        assert len(gateway.logged("reading files again")) >= len(processes)
        stacks = gateway.logged("stack")
        assert len([line for line in stacks if line["thread"] == "MainThread"]) == len(processes)
        assert all("server/" in str(line["at"]) for line in stacks if line["thread"] == "signals")
        gateway.signal(signal.SIGQUIT)
        assert await gateway.ended(20) == 0


def test_sigterm_that_came_before_the_first_instruction_is_handled() -> None:
    """It is pending as the process begins, blocked by whoever started it, as in the image: exit code 0, soon."""
    pending = ["env", "--block-signal=TERM", "sh", "-c", 'kill -TERM $$; exec "$@"', "sh"]
    ended = subprocess.run(
        [*pending, *SERVE],
        cwd=ROOT,
        env=gateway_environment(DRAIN_DELAY=600, GRACE=900),
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert ended.returncode == 0
    assert "draining" in ended.stdout


SIGTERM_WHILE_IMPORTING = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "server.commands":
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, Finder())
"""


def test_sigterm_while_the_modules_load_is_handled(tmp_path: Path) -> None:
    """In the half second before the command begins: exit code 0, as later."""
    (tmp_path / "sitecustomize.py").write_text(SIGTERM_WHILE_IMPORTING)
    ended = subprocess.run(
        SERVE,
        cwd=ROOT,
        env=gateway_environment(DRAIN_DELAY=600, GRACE=900) | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert ended.returncode == 0
    assert "draining" in ended.stdout


async def test_the_workers_engine_is_ended_by_a_signal() -> None:
    """It inherits no blocked signals: it would not end when asked, and take a part of GRACE."""
    async with serving("", WORKERS=2) as gateway:
        statuses = _statuses_of_children(gateway.process.pid)
        (engine,) = [status for status in statuses if "valkey" in status.splitlines()[0]]
        assert "\nSigBlk:\t0000000000000000\n" in engine


def _statuses_of_children(process: int) -> list[str]:
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [Path(f"/proc/{child}/status").read_text() for child in children]
