"""The end of several workers: within GRACE, and without losing an accepted call."""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from testkit.scripted_vendor import never
from testkit.server_process import accepts, free_ports
from testkit.stateful_vendor import Vendor, after, always

from .beside import beside_others
from .workers import (
    STUCK,
    alive,
    began,
    codes,
    connected,
    folder_of,
    read_on,
    started,
    until,
    workers_of,
)

FORCED = "a worker was ended by force: it did not end in time"
STOPPED = """
import os, signal, sys
if "--slot 1" in " ".join(sys.orig_argv):
    os.kill(os.getpid(), signal.SIGSTOP)
"""
"""A sitecustomize.py with which the second worker starts, and comes no further."""


class TestEnd:
    """However it ends, within GRACE, and no call that was accepted is lost."""

    @pytest.fixture
    async def vendor(self) -> AsyncIterator[Vendor]:
        async with Vendor() as played:
            played.on_read = after(1, played.result_of)
            yield played

    async def test_sigterm_drains_all_workers(self, vendor: Vendor) -> None:
        """Calls under way are finished, and those that come during DRAIN_DELAY are answered; exit code 0."""
        async with started(vendor.url, DRAIN_DELAY=0.6) as gateway, connected(gateway, each=2) as connections:
            calls = read_on(connections, "before")
            await vendor.until(lambda: vendor.waiting == 4)
            gateway.signal()
            await asyncio.sleep(0.3)
            calls += read_on(connections, "after")
            assert await codes(calls) == {0}
            assert await gateway.ended(20) == 0
            assert not any(map(alive, gateway.workers().values()))
            assert gateway.log()[-1]["event"] == "stopped"

    @beside_others
    async def test_a_call_that_hangs_does_not_make_a_worker_be_killed(self) -> None:
        """Each worker ends by itself within GRACE, whatever the vendor does; exit code 0, as without workers."""
        async with Vendor() as vendor:
            vendor.on_read = after(1, vendor.result_of)
            async with started(vendor.url) as gateway, connected(gateway) as connections:
                vendor.on_read = always(never())
                calls = read_on(connections, "never")
                await vendor.until(lambda: vendor.waiting == 2)
                gateway.signal()
                assert await gateway.ended(20) == 0
                assert {(await call).code for call in calls} <= {14, None}

    @beside_others
    async def test_ctrl_c_ends_all_without_the_delay(self) -> None:
        """A person at a terminal does not wait for load balancers."""
        async with started(DRAIN_DELAY=20, GRACE=30) as gateway:
            gateway.signal(signal.SIGINT)
            assert await gateway.ended(15) == 0

    @beside_others
    async def test_a_second_signal_ends_the_drain_at_once(self) -> None:
        """Who sends a second signal does not want to wait."""
        async with started(DRAIN_DELAY=20, GRACE=30) as gateway:
            gateway.signal()
            await asyncio.sleep(0.5)
            assert gateway.runs
            gateway.signal()
            assert await gateway.ended(15) == 0

    @beside_others
    async def test_a_worker_that_does_not_end_is_ended_by_force(self) -> None:
        """In time, with exit code 1 and a line in the log; the calls of the others are finished."""
        async with Vendor() as vendor:
            vendor.on_read = after(1, vendor.result_of)
            async with started(vendor.url, GRACE=5) as gateway, connected(gateway) as connections:
                processes = gateway.workers()
                calls = read_on(connections, "before")
                await vendor.until(lambda: vendor.waiting == 2)
                os.kill(processes[0], signal.SIGSTOP)
                gateway.signal()
                assert await gateway.ended(20) == 1
                assert [(await call).code for call in calls] == [None, 0]
                assert [line["worker"] for line in gateway.logged(FORCED)] == [0]
                assert not any(map(alive, processes.values()))

    @beside_others
    async def test_a_worker_that_is_still_starting_then_is_no_failure(self) -> None:
        """It has no calls, and may take long on a machine that has much else to do: exit code 0, within GRACE."""
        port, *others = free_ports(3)
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "sitecustomize.py").write_text(STOPPED)
            with began(port, *others, path=Path(folder), GRACE=6) as process:
                await until(lambda: accepts(port))
                await until(lambda: len(workers_of(process.pid)) == 2)
                process.terminate()
                out, _ = await asyncio.to_thread(process.communicate, timeout=20)
        assert process.returncode == 0, out
        assert FORCED not in out

    @beside_others
    async def test_workers_without_a_supervisor_end_by_themselves(self) -> None:
        """After kill -9 of the supervisor they drain within GRACE, and one whose event loop is stuck ends then, too.

        They serve on for DRAIN_DELAY: the whole gateway ends. The last of them leaves nothing behind.
        """
        async with Vendor() as vendor:
            vendor.on_read = after(1, vendor.result_of)
            async with (
                started(vendor.url, path=STUCK) as stuck,
                connected(stuck) as to_stuck,
                started(vendor.url, DRAIN_DELAY=1) as gateway,
                connected(gateway, each=2) as connections,
            ):
                files = folder_of(gateway)
                blocked = asyncio.create_task(to_stuck[1][0].read("blocking00000000", 30))
                calls = read_on(connections, "orphan")
                await vendor.until(lambda: vendor.waiting == 4)
                await asyncio.sleep(0.3)
                processes = [*gateway.workers().values(), *stuck.workers().values()]
                begun = time.monotonic()
                stuck.signal(signal.SIGKILL)
                gateway.signal(signal.SIGKILL)
                await asyncio.sleep(0.5)
                calls += read_on(connections, "late")
                assert await codes(calls) == {0}
                await gateway.until(lambda: not any(map(alive, processes)))
                assert not await asyncio.to_thread(files.exists)
                assert time.monotonic() - begun < 20
                assert (await blocked).code is None

    async def test_one_worker_that_is_told_to_end_drains_and_is_replaced(self, vendor: Vendor) -> None:
        """SIGTERM by hand to one of them: its calls are finished, the others serve on.

        Without DRAIN_DELAY: its clients know no other address to turn to, and are sent to the others at once.
        """
        async with (
            started(vendor.url, DRAIN_DELAY=20, GRACE=30) as gateway,
            connected(gateway, each=2) as connections,
        ):
            before = gateway.workers()
            calls = read_on(connections, "before")
            await vendor.until(lambda: vendor.waiting == 4)
            os.kill(before[0], signal.SIGTERM)
            assert await codes(calls) == {0}
            await gateway.until(lambda: gateway.workers()[0] != before[0])
            assert gateway.workers()[1] == before[1]
            (line,) = gateway.logged("a worker ended")
            assert line["exit"] == 0

    async def test_a_worker_that_drains_alone_takes_the_gateways_own_signal_for_no_second_one(
        self, vendor: Vendor
    ) -> None:
        """SIGTERM by hand to one worker, and then to the gateway: the calls of both are finished."""
        async with started(vendor.url, GRACE=10) as gateway, connected(gateway, each=2) as connections:
            calls = read_on(connections, "before")
            await vendor.until(lambda: vendor.waiting == 4)
            os.kill(gateway.workers()[0], signal.SIGTERM)
            await gateway.until(lambda: gateway.logged("draining"))
            gateway.signal()
            assert await codes(calls) == {0}
            assert await gateway.ended(20) == 0

    @beside_others
    async def test_one_worker_drains_at_once_when_the_supervisor_is_stuck(self) -> None:
        """It says nothing then, and the worker does not wait for its word."""
        async with started(DRAIN_DELAY=20, GRACE=30) as gateway:
            before = gateway.workers()
            gateway.signal(signal.SIGSTOP)
            os.kill(before[0], signal.SIGTERM)
            await gateway.until(lambda: not alive(before[0]), 5)
            assert alive(before[1])

    async def test_sigterm_to_all_processes_at_once_is_one_signal(self, vendor: Vendor) -> None:
        """So does systemd, by default (KillMode=control-group): no call is lost, and all serve on for DRAIN_DELAY."""
        async with started(vendor.url, DRAIN_DELAY=0.8) as gateway, connected(gateway, each=2) as connections:
            calls = read_on(connections, "before")
            await vendor.until(lambda: vendor.waiting == 4)
            for process in (*gateway.workers().values(), gateway.process.pid):
                os.kill(process, signal.SIGTERM)
            await asyncio.sleep(0.5)
            calls += read_on(connections, "after")
            assert await codes(calls) == {0}
            assert await gateway.ended(20) == 0
