"""Several workers on one port: real processes over real sockets, and what keeps them there."""

import asyncio
import concurrent.futures
import fcntl
import itertools
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, ClassVar, TypeAlias
from weakref import WeakKeyDictionary

import grpc
import pytest

from callrequest.v1 import call_request_pb2 as pb
from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest, GetCallRequestResultResponse
from server.observability.debounce import DELAY
from server.process.metrics_folder import PREFIX, metrics_folder, shared_folder
from server.process.worker_process import MAX_PAUSE, Pauses, WorkerProcess
from testkit.calls import at_rate, code_of, identifier, recommended_clients
from testkit.gateway_process import GatewayProcess, serving
from testkit.http2_connection import Connection, Ended
from testkit.scripted_vendor import RESULT_ID, never
from testkit.server_process import ROOT, free_ports, gateway_environment
from testkit.sockets import clients_of
from testkit.stateful_vendor import Vendor, after, always

SOON, QUICK_START = 5.0, 1.5
"""Seconds within which a worker is replaced, where a gateway with two workers starts within so many."""
STUCK = ROOT / "measure" / "faults" / "stuck_workers"


STARTED_IN: "WeakKeyDictionary[GatewayProcess, float]" = WeakKeyDictionary()


def soon(gateway: GatewayProcess) -> float:
    """SOON, and later on a machine that has so much else to do that the gateway started late."""
    return SOON + max(STARTED_IN[gateway] - QUICK_START, 0)


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor() as played:
        yield played


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


_LISTEN = ("LISTEN", "METRICS_LISTEN", "SANDBOX_LISTEN")
FORCED = "a worker was ended by force: it did not end in time"


@contextmanager
def began(port: int, metrics: int, sandbox: int) -> Iterator["subprocess.Popen[str]"]:
    """A gateway with two workers whose log comes by a pipe, from its first moment on."""
    listen = {name: f"127.0.0.1:{number}" for name, number in zip(_LISTEN, (port, metrics, sandbox), strict=True)}
    process = subprocess.Popen(
        [sys.executable, "-m", "server", "serve", "--workers", "2"],
        cwd=ROOT,
        env=gateway_environment(**listen, DRAIN_DELAY=0),
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


READ = GetCallRequestResultRequest(call_request_id=RESULT_ID)


async def answering(port: int) -> grpc.aio.Server:
    """A server that answers all reads."""

    async def answer(request: GetCallRequestResultRequest, context: object) -> GetCallRequestResultResponse:
        return GetCallRequestResultResponse()

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        answer, GetCallRequestResultRequest.FromString, GetCallRequestResultResponse.SerializeToString
    )
    service = "callrequest.v1.CallRequestService"
    server.add_registered_method_handlers(service, {"GetCallRequestResult": handler})
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    return server


def folder_of(gateway: GatewayProcess) -> Path:
    """Where its workers count."""
    command = command_of(gateway.workers()[0])
    return Path(command[command.index("--metrics") + 1])


def children(process: int) -> list[int]:
    """The processes that a process has started."""
    return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


async def until(condition: Callable[[], object]) -> None:
    """Waits, at most 30 s, until something is so."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 (nothing tells of another process)
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


Test: TypeAlias = Callable[[Any], Coroutine[Any, Any, None]]


class Meanwhile:
    """Tests that wait more than they work: once the first is due all are done, a few at a time, beside the others."""

    tests: ClassVar[list[Test]] = []

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._places = asyncio.Semaphore(4)
        self._running = {test: asyncio.run_coroutine_threadsafe(self._run(test), loop) for test in self.tests}

    async def _run(self, test: Test) -> None:
        async with self._places:
            try:
                await test(None)
            except (AssertionError, TimeoutError):
                await test(None)  # once more: what else the machine does is no fault of the gateway's

    def until_over(self, test: Test) -> None:
        """Waits for a test; raises what it raised."""
        self._running[test].result(50)

    def until_all_over(self) -> None:
        """Waits for all of them."""
        concurrent.futures.wait(self._running.values())


@pytest.fixture(scope="module")
def meanwhile() -> Iterator[Meanwhile]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    begun = Meanwhile(loop)
    yield begun
    begun.until_all_over()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def beside_others(test: Test) -> Callable[[Any, Meanwhile], None]:
    """The test, done while others are."""
    Meanwhile.tests.append(test)

    def wait(self: object, meanwhile: Meanwhile) -> None:
        meanwhile.until_over(test)

    wait.__doc__ = test.__doc__
    return wait


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
        """Nothing serves then, and nobody would be told: exit code 1, and it is logged."""
        port, *others = free_ports(3)
        with began(port, *others) as process:
            await until(lambda: children(process.pid))
            os.kill(children(process.pid)[0], signal.SIGKILL)
            out, _ = await asyncio.to_thread(process.communicate, timeout=10)
        assert process.returncode == 1
        assert '"event":"a worker ended","worker":0,"exit":-9' in out

    @pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1), (2, 2)])
    async def test_a_second_gateway_on_the_port_ends_its_start(self, first: int, second: int) -> None:
        """With workers or without: it must not take some of the calls of the first one, which goes on."""
        async with started(WORKERS=first) as gateway:
            ended = await asyncio.to_thread(commanded, "serve", WORKERS=second, LISTEN=gateway.target)
            assert ended.returncode == 2
            told = f"GATEWAY_LISTEN: cannot listen on {gateway.target}; is the port taken?"
            assert ended.stderr.splitlines()[-1] == told  # gRPC's core has a line of its own before
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
            assert await gateway.ended(5) == 0
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
        mounts = [f"mount -t tmpfs -o ro none {folder}" for folder in ("/dev/shm", "/tmp", "/var/tmp")]
        script = " && ".join([*mounts, "cd /tmp", 'exec "$@"'])
        command = [sys.executable, "-m", "server", "serve", "--workers=2"]
        ended = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, "sh", *command],
            env=gateway_environment() | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith("GATEWAY_WORKERS: ")
        assert ended.stderr.count("\n") == 1


class TestReplacing:
    """A worker that is of no use any more is replaced in under 5 s, and no more often than does good."""

    async def test_a_killed_one_is_replaced(self) -> None:
        """The end is logged with its exit code, and the others serve meanwhile."""
        async with started() as gateway, connected(gateway) as connections:
            before = gateway.workers()
            os.kill(before[0], signal.SIGKILL)
            assert await codes(read_on(connections[1:], "404")) == {5}
            assert await gateway.until(lambda: gateway.workers()[0] != before[0]) < soon(gateway)
            assert gateway.workers()[1] == before[1]
            (told,) = gateway.logged("a worker ended")
            assert (told["level"], told["worker"], told["exit"]) == ("error", 0, -signal.SIGKILL)

    async def test_one_whose_event_loop_is_blocked_is_replaced_and_says_where(self, vendor: Vendor) -> None:
        """A handler holds the loop: SIGABRT has the stack written to stderr."""
        async with started(vendor.url, path=STUCK) as gateway, connected(gateway) as connections:
            before = gateway.workers()
            call = asyncio.create_task(connections[1][0].read("blocking00000000", 30))
            took = await gateway.until(lambda: gateway.workers()[1] != before[1])
            assert took < soon(gateway)
            assert (await call).code is None
            assert "in _stuck\n" in gateway.errors()
            assert [line["worker"] for line in gateway.logged("a worker is stuck")] == [1]
            assert gateway.workers()[0] == before[0]

    async def test_those_that_hang_are_replaced_all_at_once(self) -> None:
        """Stopped processes hear no SIGABRT; none waits for another's end."""
        async with started() as gateway:
            before = gateway.workers()
            for process in before.values():
                os.kill(process, signal.SIGSTOP)
            took = await gateway.until(lambda: not set(before.values()) & set(gateway.workers().values()))
            assert took < soon(gateway)
            assert not any(map(alive, before.values()))

    @pytest.mark.parametrize("lived", [0.1, 59.0])
    def test_one_that_dies_again_and_again_is_replaced_less_and_less_often(self, lived: float) -> None:
        """At once, after 1, 2, 4 … 30 s, and so on for ever; after a minute of life an end is a first one again."""
        pauses = Pauses()
        assert [pauses.after(lived) for _ in range(8)] == [0, 1, 2, 4, 8, 16, MAX_PAUSE, MAX_PAUSE]
        assert {pauses.after(lived) for _ in range(5000)} == {MAX_PAUSE}
        assert [pauses.after(61), pauses.after(lived), pauses.after(lived)] == [0, 1, 2]

    def test_the_pauses_are_kept(self) -> None:
        """A slot whose process ends at its start may be taken again only after its pause."""
        process = WorkerProcess(0, ["--no-such-option"])
        for pause in (0, 1, 2):
            process.start()
            while (code := process.reap()) is None:
                time.sleep(0.01)
            assert code == 2
            assert pause - 0.2 < process.may_start_at - time.monotonic() <= pause

    @beside_others
    async def test_one_that_cannot_be_started_is_started_later(self) -> None:
        """The machine has no room for a process or a file: the supervisor says so, and goes on."""
        async with started() as gateway:
            before = gateway.workers()
            resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (3, 1 << 10))
            os.kill(before[0], signal.SIGKILL)
            await gateway.until(lambda: len(gateway.logged("a worker could not be started")) == 2)
            resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (1 << 10, 1 << 10))
            await gateway.until(lambda: gateway.workers()[0] != before[0])

    async def test_one_whose_settings_are_broken_by_now_says_what_is_wrong(self, tmp_path: Path) -> None:
        """In the log, where its end is; it comes back when they are mended. No values of the file are told."""
        file = tmp_path / "callers.toml"
        callers = f'[[caller]]\nname = "desk"\ntoken_sha256 = "{"ab" * 32}"\nmay = ["read"]\n'
        file.write_text(callers)
        async with started(CALLERS=file) as gateway:
            before = gateway.workers()
            file.write_text(callers.replace("token_sha256", "secret_word"))
            os.kill(before[0], signal.SIGKILL)
            await gateway.until(lambda: gateway.logged("a worker cannot start"))
            told = gateway.logged("a worker cannot start")[0]
            assert (told["level"], told["worker"]) == ("error", 0)
            assert "GATEWAY_CALLERS: " in str(told["error"])
            assert "abab" not in str(told["error"])
            file.write_text(callers)
            await gateway.until(lambda: gateway.workers()[0] != before[0])

    @beside_others
    async def test_when_the_machine_stands_still_none_is_killed(self) -> None:
        """The supervisor itself was stopped for 5 s: who was silent for it is not stuck."""
        async with started() as gateway:
            before = gateway.workers()
            for process in (gateway.process.pid, *before.values()):
                os.kill(process, signal.SIGSTOP)
            await asyncio.sleep(5)
            gateway.signal(signal.SIGCONT)
            await asyncio.sleep(0.5)
            for process in before.values():
                os.kill(process, signal.SIGCONT)
            await asyncio.sleep(1)
            assert gateway.workers() == before
            assert all(map(alive, before.values()))
            assert gateway.logged("a worker is stuck") == []

    @beside_others
    async def test_a_log_that_nobody_reads_kills_none(self) -> None:
        """Writing it holds up the workers and the supervisor alike, until somebody reads on."""
        port, *others = free_ports(3)
        with began(port, *others) as process:
            assert process.stdout is not None
            fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
            serves: list[str] = []
            while len(serves) < 2:
                serves += [line for line in [await asyncio.to_thread(process.stdout.readline)] if "r serves" in line]
            before = children(process.pid)
            connections = [await Connection.to(port) for _ in range(8)]
            calls = [asyncio.create_task(each.read(RESULT_ID, 30)) for each in connections for _ in range(20)]
            await asyncio.sleep(5)
            reading = asyncio.create_task(asyncio.to_thread(process.stdout.read))
            assert await codes(calls) == {0}
            await asyncio.sleep(1)
            assert children(process.pid) == before
            process.send_signal(signal.SIGINT)
            assert "a worker ended" not in await reading
            for connection in connections:
                connection.transport.abort()


class TestClients:
    """What clients/service_config.json does for those whose worker dies."""

    async def test_a_second_without_a_connection_costs_no_read(self) -> None:
        """A channel that failed to connect waits for a second: all reads of 8 busy channels are repeated until then."""
        (port,) = free_ports(1)
        before = await answering(port)
        async with recommended_clients(f"127.0.0.1:{port}") as clients:
            assert len(clients) == 8
            load = asyncio.create_task(
                at_rate(100, 2, lambda number: code_of(clients[number % 8].GetCallRequestResult(READ)))
            )
            await asyncio.sleep(0.5)
            await before.stop(None)
            await asyncio.sleep(0.1)  # in which all of them try
            after = await answering(port)
            ended = Counter(await load)
            assert ended["OK"] >= 196, ended  # a few in the act of arriving: CANCELLED
            assert set(ended) <= {"OK", "CANCELLED"}
        await after.stop(None)


class TestMetrics:
    """What an operator sees of all workers together."""

    async def test_they_are_sums_that_never_fall(self, vendor: Vendor) -> None:
        """Calls of all workers are counted in one; a dead one's counts stay, what it had in flight does not."""
        async with started(vendor.url) as gateway, connected(gateway, each=2) as connections:
            assert await codes(read_on(connections, "first")) == {0}
            await asyncio.sleep(2 * DELAY)
            assert summed(await gateway.scrape(), "grpc_server_handled_total") == 4
            vendor.on_read = always(never())
            waiting = read_on(connections, "never")
            await vendor.until(lambda: vendor.waiting == 4)
            await asyncio.sleep(2 * DELAY)
            assert (await gateway.scrape())["calls_in_flight{kind=read}"] == 4
            before = gateway.workers()
            os.kill(before[0], signal.SIGKILL)
            await gateway.until(lambda: gateway.logged("a worker ended"))
            metrics = await gateway.scrape()
            assert metrics["calls_in_flight{kind=read}"] == 2
            assert summed(metrics, "grpc_server_handled_total") == 4
            assert metrics["workers_ended_total{}"] == 1
            await gateway.until(lambda: gateway.workers()[0] != before[0])
            assert (await gateway.scrape())["workers_serving{}"] == 2
            vendor.on_read = vendor.tell
            async with connected(gateway) as again:
                assert await codes(read_on(again, "again")) == {0}
            await asyncio.sleep(2 * DELAY)
            metrics = await gateway.scrape()
            assert summed(metrics, "grpc_server_handled_total") == 6
            assert summed(metrics, "grpc_server_handling_seconds_count") == 6
            for call in waiting:
                call.cancel()

    @beside_others
    async def test_ready_and_the_healthcheck_tell_whether_calls_are_welcome(self) -> None:
        """As long as any worker serves; from the first SIGTERM on no more."""
        async with started(DRAIN_DELAY=15, GRACE=20) as gateway:
            settings = {name.removeprefix("GATEWAY_"): value for name, value in gateway.environment.items()}
            check = {name: settings[name] for name in ("LISTEN", "METRICS_LISTEN", "WORKERS")}
            assert await gateway.is_ready()
            assert (await asyncio.to_thread(commanded, "healthcheck", **check)).returncode == 0
            gateway.signal()
            await gateway.until(lambda: len(gateway.logged("draining")) == 3)
            assert not await gateway.is_ready()
            ended = await asyncio.to_thread(commanded, "healthcheck", **check)
            assert (ended.returncode, ended.stderr) == (1, f"{gateway.target}: NOT_SERVING\n")


class TestEnd:
    """However it ends, within GRACE, and no call that was accepted is lost."""

    @pytest.fixture
    async def vendor(self) -> AsyncIterator[Vendor]:
        async with Vendor() as played:
            played.on_read = after(1, played.tell)
            yield played

    async def test_sigterm_drains_all_workers(self, vendor: Vendor) -> None:
        """Calls under way are finished, and those that come during DRAIN_DELAY are answered; exit code 0."""
        async with started(vendor.url, DRAIN_DELAY=0.6) as gateway, connected(gateway, each=2) as connections:
            calls = read_on(connections, "before")
            await vendor.until(lambda: vendor.waiting == 4)
            begun = time.monotonic()
            gateway.signal()
            await asyncio.sleep(0.3)
            calls += read_on(connections, "after")
            assert await codes(calls) == {0}
            assert await gateway.ended(5) == 0
            assert time.monotonic() - begun < 5
            assert not any(map(alive, gateway.workers().values()))
            assert gateway.log()[-1]["event"] == "stopped"

    @beside_others
    async def test_a_call_that_hangs_does_not_make_a_worker_be_killed(self) -> None:
        """Each worker ends by itself within GRACE, whatever the vendor does; exit code 0, as without workers."""
        async with Vendor() as vendor:
            vendor.on_read = after(1, vendor.tell)
            async with started(vendor.url) as gateway, connected(gateway) as connections:
                vendor.on_read = always(never())
                calls = read_on(connections, "never")
                await vendor.until(lambda: vendor.waiting == 2)
                gateway.signal()
                assert await gateway.ended(5.5) == 0
                assert {(await call).code for call in calls} <= {14, None}

    @beside_others
    async def test_ctrl_c_ends_all_without_the_delay(self) -> None:
        """A person at a terminal does not wait for load balancers."""
        async with started(DRAIN_DELAY=20, GRACE=30) as gateway:
            gateway.signal(signal.SIGINT)
            assert await gateway.ended(5) == 0

    @beside_others
    async def test_a_second_signal_ends_the_drain_at_once(self) -> None:
        """Who sends a second signal does not want to wait."""
        async with started(DRAIN_DELAY=20, GRACE=30) as gateway:
            gateway.signal()
            await asyncio.sleep(0.5)
            assert gateway.runs
            gateway.signal()
            assert await gateway.ended(5) == 0

    async def test_a_worker_that_does_not_end_is_ended_by_force(self, vendor: Vendor) -> None:
        """In time, with exit code 1 and a line in the log; the calls of the others are finished."""
        async with started(vendor.url, GRACE=2) as gateway, connected(gateway) as connections:
            processes = gateway.workers()
            calls = read_on(connections, "before")
            await vendor.until(lambda: vendor.waiting == 2)
            os.kill(processes[0], signal.SIGSTOP)
            gateway.signal()
            assert await gateway.ended(2.5) == 1
            assert [(await call).code for call in calls] == [None, 0]
            assert [line["worker"] for line in gateway.logged(FORCED)] == [0]
            assert not any(map(alive, processes.values()))

    @beside_others
    async def test_workers_without_a_supervisor_end_by_themselves(self) -> None:
        """After kill -9 of the supervisor they drain within GRACE, and one whose event loop is stuck ends then, too.

        They serve on for DRAIN_DELAY: the whole gateway ends. The last of them leaves nothing behind.
        """
        async with Vendor() as vendor:
            vendor.on_read = after(1, vendor.tell)
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
                assert time.monotonic() - begun < 5.5
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
            (told,) = gateway.logged("a worker ended")
            assert told["exit"] == 0

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
            assert await gateway.ended(10) == 0

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
            assert await gateway.ended(5) == 0


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
