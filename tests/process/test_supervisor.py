"""Several workers on one port: how they start, and what they share."""

import asyncio
import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from callrequest.v1 import call_request_pb2 as pb
from server.process.metrics_folder import PREFIX, metrics_folder, shared_folder
from testkit.gateway_process import serving
from testkit.http2_connection import Connection
from testkit.scripted_vendor import RESULT_ID
from testkit.server_process import ROOT, commanded, free_ports, gateway_environment
from testkit.sockets import clients_of
from testkit.stateful_vendor import Vendor

from .beside import beside_others
from .workers import (
    began,
    codes,
    connected,
    folder_of,
    read_on,
    started,
    until,
    workers_of,
)


class TestStart:
    """How it begins, and what keeps it from beginning."""

    @beside_others
    async def test_all_workers_serve_on_one_port(self) -> None:
        """Each takes connections and answers; the supervisor itself serves none, and says once that it serves."""
        async with started() as gateway, connected(gateway) as connections:
            assert await codes(read_on(connections, "404")) == {5}
            assert len(set(gateway.workers().values())) == 2
            assert clients_of(gateway.process.pid, gateway.port) == set()
            assert len(gateway.logged("serving")) == 1

    @beside_others
    async def test_the_option_goes_before_the_setting(self) -> None:
        """`serve --workers 3`, whatever GATEWAY_WORKERS is."""
        async with serving("", "--workers", "3", WORKERS=2) as gateway:
            await gateway.until(lambda: len(gateway.workers()) == 3)

    @pytest.mark.parametrize("number", ["0", "65", "x"])
    async def test_a_wrong_number_ends_the_start(self, number: str) -> None:
        """Exit code 2 and a line that names the setting, by the option as by the environment."""
        by_option, by_setting = await asyncio.gather(
            asyncio.to_thread(commanded, "serve", f"--workers={number}"),
            asyncio.to_thread(commanded, "serve", WORKERS=number),
        )
        for ended in (by_option, by_setting):
            assert ended.returncode == 2
            assert ended.stderr.startswith("GATEWAY_WORKERS: ")
            assert ended.stderr.count("\n") == 1
            assert ended.stdout == ""

    @pytest.mark.parametrize("wrong", ["GRACE", "CALLERS", "TLS"])
    async def test_a_wrong_setting_is_said_once(self, wrong: str, tmp_path: Path) -> None:
        """In the words that it has without workers, though it may be a worker that finds it out; exit code 2."""
        rubbish = tmp_path / "rubbish"
        rubbish.write_text("rubbish")
        names = ("TLS_CERTIFICATE", "TLS_KEY") if wrong == "TLS" else (wrong,)
        settings: dict[str, object] = dict.fromkeys(names, rubbish)
        alone, several = await asyncio.gather(
            asyncio.to_thread(commanded, "serve", **settings),
            asyncio.to_thread(commanded, "serve", WORKERS=3, **settings),
        )
        assert alone.returncode == several.returncode == 2
        assert several.stderr == alone.stderr
        assert several.stderr.count("\n") == 1

    async def test_a_first_worker_that_is_killed_ends_the_start(self) -> None:
        """Nothing serves then, and nobody would know: exit code 1, and it is logged."""
        port, *others = free_ports(3)
        with began(port, *others) as process:
            await until(lambda: workers_of(process.pid))
            os.kill(workers_of(process.pid)[0], signal.SIGKILL)
            out, _ = await asyncio.to_thread(process.communicate, timeout=40)
        assert process.returncode == 1
        assert '"event":"a worker ended","worker":0,"exit":-9' in out

    @pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1), (2, 2)])
    async def test_a_second_gateway_on_the_port_ends_its_start(self, first: int, second: int) -> None:
        """With workers or without: it must not take some of the calls of the first one, which goes on."""
        async with started(WORKERS=first) as gateway:
            ended = await asyncio.to_thread(commanded, "serve", WORKERS=second, LISTEN=gateway.target)
            assert ended.returncode == 2
            hint = f"GATEWAY_LISTEN: cannot listen on {gateway.target}; is the port taken? 127.0.0.1:0 takes a free one"
            assert ended.stderr.splitlines()[-1] == hint  # gRPC's core has a line of its own before
            connection = await Connection.to(gateway.port)
            assert (await connection.read(RESULT_ID, 5)).code == 0
            connection.transport.abort()

    async def test_the_port_is_held_while_no_worker_listens(self) -> None:
        """Another gateway does not slip in when all workers have died; they get their port back."""
        async with started() as gateway:
            before = gateway.workers()
            gateway.signal(signal.SIGSTOP)
            for process in before.values():
                os.kill(process, signal.SIGKILL)
            for number in (1, 2):
                ended = await asyncio.to_thread(commanded, "serve", WORKERS=number, LISTEN=gateway.target)
                assert ended.returncode == 2
            gateway.signal(signal.SIGCONT)
            await gateway.until(lambda: not set(before.values()) & set(gateway.workers().values()))

    @beside_others
    async def test_what_an_earlier_gateway_left_on_the_port_is_no_hindrance(self) -> None:
        """Connections that it closed keep its port for a minute (TIME_WAIT); a restart with workers goes through."""
        with socket.socket() as earlier:
            earlier.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            earlier.bind(("127.0.0.1", 0))
            earlier.listen()
            port = earlier.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port)):
                accepted, _ = earlier.accept()
                accepted.close()
        async with serving("", port=port, WORKERS=2):
            pass

    @beside_others
    async def test_the_metrics_are_kept_in_memory_and_go_with_the_gateway(self) -> None:
        """A container may have nowhere else to write (docs/container.md); nothing is left behind."""
        async with started() as gateway:
            files = folder_of(gateway)
            assert files.parent == Path("/dev/shm")
            gateway.signal()
            assert await gateway.ended(20) == 0
            assert not await asyncio.to_thread(files.exists)

    def test_what_gateways_that_are_gone_left_in_memory_is_removed(self) -> None:
        """At the next start; never the folder of one that lives, if only one worker of it does."""
        left = Path(tempfile.mkdtemp(prefix=PREFIX, dir="/dev/shm"))
        (left / "counter_0.db").touch()
        with metrics_folder() as (first, lock):
            assert not left.exists()
            with metrics_folder() as (second, _):
                assert Path(first).is_dir()
                with shared_folder(second, os.dup(lock)):
                    pass
                assert Path(second).is_dir()
            assert not Path(second).exists()

    def test_the_last_worker_of_a_supervisor_that_is_gone_removes_it(self, tmp_path: Path) -> None:
        """As long as another one counts there it stays."""
        files = tmp_path / "metrics"
        files.mkdir()
        lock = os.open(files, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        with shared_folder(str(files), lock):
            with shared_folder(str(files), os.dup(lock)):
                pass
            assert files.exists()
        assert not files.exists()

    @pytest.mark.skipif(os.geteuid() != 0, reason="mounts of its own need root")
    def test_nowhere_to_write_is_a_wrong_setting(self) -> None:
        """A container without any writable folder: one line, exit code 2, as for every other setting."""
        read_only = "mount --bind {0} {0} && mount -o remount,bind,ro {0}"  # what is there, this checkout say, stays
        mounts = [read_only.format(folder) for folder in ("/dev/shm", "/tmp", "/var/tmp")]
        script = " && ".join([*mounts, "cd /tmp", 'exec "$@"'])
        command = [sys.executable, "-m", "server", "serve", "--workers=2"]
        environment = gateway_environment() | {"PYTHONPATH": str(ROOT)}
        ended = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, "sh", *command],
            # The coverage would want to write, too.
            env={name: value for name, value in environment.items() if not name.startswith("COVERAGE_")},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith("GATEWAY_WORKERS: ")
        assert ended.stderr.count("\n") == 1


class TestTogether:
    """What all workers share."""

    async def test_the_rate_limit_on_vendor_calls_is_shared(self, vendor: Vendor) -> None:
        """Ten a second for both, and a burst of ten: each worker takes its half."""
        async with (
            started(vendor.url, VENDOR_MAX_CALLS_PER_SECOND=10) as gateway,
            connected(gateway) as connections,
        ):
            begun = time.monotonic()
            calls = [each for number in range(30) for each in read_on(connections, f"r{number:02}", 3)]
            await asyncio.sleep(2)
            passed, asked = time.monotonic() - begun, sum(vendor.reads.values())
            assert 25 <= asked <= 10 + 10 * passed
            for call in calls:
                call.cancel()

    @beside_others
    async def test_the_sandbox_is_one_for_all(self) -> None:
        """What is cancelled through one worker is cancelled for all."""
        async with started() as gateway, connected(gateway) as ((one, *_), (other, *_)):
            asked = "66a1b2c3d4e5f678"
            assert (await other.read(asked, 5)).result.status == pb.CALL_REQUEST_STATUS_PENDING_TO_CALL
            assert (await one.cancel(asked, 5)).code == 0
            assert (await other.read(asked, 5, max_age=0)).result.status == pb.CALL_REQUEST_STATUS_CANCELLED
