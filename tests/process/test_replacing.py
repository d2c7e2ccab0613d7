"""A worker that has died or is stuck is replaced, and what that costs clients."""

import asyncio
import fcntl
import os
import resource
import signal
import time
from collections import Counter
from pathlib import Path

import grpc
import pytest

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest, GetCallRequestResultResponse
from server.process.worker_process import MAX_PAUSE, Pauses, WorkerProcess
from testkit.calls import at_rate, code_of, recommended_clients
from testkit.http2_connection import Connection
from testkit.scripted_vendor import RESULT_ID
from testkit.server_process import free_ports
from testkit.stateful_vendor import Vendor

from .beside import beside_others
from .workers import (
    STUCK,
    alive,
    began,
    codes,
    connected,
    read_on,
    soon,
    started,
    workers_of,
)

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
            (line,) = gateway.logged("a worker ended")
            assert (line["level"], line["worker"], line["exit"]) == ("error", 0, -signal.SIGKILL)

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
        """In the log, where its end is; it comes back when they are mended. No values of the file are logged."""
        file = tmp_path / "callers.toml"
        callers = f'[[caller]]\nname = "desk"\ntoken_sha256 = "{"ab" * 32}"\nmay = ["read"]\n'
        file.write_text(callers)
        async with started(CALLERS=file) as gateway:
            before = gateway.workers()
            file.write_text(callers.replace("token_sha256", "secret_word"))
            os.kill(before[0], signal.SIGKILL)
            await gateway.until(lambda: gateway.logged("a worker cannot start"))
            line = gateway.logged("a worker cannot start")[0]
            assert (line["level"], line["worker"]) == ("error", 0)
            assert "GATEWAY_CALLERS: " in str(line["error"])
            assert "abab" not in str(line["error"])
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
            before = workers_of(process.pid)
            connections = [await Connection.to(port) for _ in range(8)]
            calls = [asyncio.create_task(each.read(RESULT_ID, 30)) for each in connections for _ in range(20)]
            await asyncio.sleep(5)
            reading = asyncio.create_task(asyncio.to_thread(process.stdout.read))
            assert await codes(calls) == {0}
            await asyncio.sleep(1)
            assert workers_of(process.pid) == before
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
            try:
                ended = Counter(await load)
            finally:
                await after.stop(None)
            assert ended["OK"] > 0.9 * ended.total(), ended  # a few in the act of arriving: CANCELLED
            assert set(ended) <= {"OK", "CANCELLED"}
