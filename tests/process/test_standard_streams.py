"""Standard streams that are closed, broken or read by nobody: the gateway serves, and ends with exit code 0."""

import fcntl
import os
import shlex
import signal
import subprocess
import sys
import time

import grpc
import pytest

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceStub
from testkit.scripted_vendor import RESULT_ID
from testkit.server_process import ROOT, SERVE, accepts, gateway_environment

GET = GetCallRequestResultRequest(call_request_id=RESULT_ID)
MANY_CALLS = 600
"""More lines than fit into a pipe of 64 KiB."""


def until_it_accepts(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Waits until the process listens on its port."""
    while not accepts(port):
        assert process.poll() is None
        time.sleep(0.05)


def serves_and_ends(process: "subprocess.Popen[bytes]", environment: dict[str, str], calls: int = 3) -> None:
    """Asserts that a gateway answers so many calls, and then ends as it should."""
    try:
        target = environment["GATEWAY_LISTEN"]
        until_it_accepts(int(target.rpartition(":")[2]), process)
        with grpc.insecure_channel(target) as channel:
            client = CallRequestServiceStub(channel)
            for _ in range(calls):
                assert client.GetCallRequestResult(GET, timeout=10).call_request_result.status
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    "closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"], ids=["standard input", "standard output", "standard error", "all"]
)
def test_a_closed_stream_is_no_hindrance(closed: str, workers: int) -> None:
    """Nothing else gets its number: a connection would be sent the log."""
    environment = gateway_environment(DRAIN_DELAY=0, GRACE=30, WORKERS=workers)
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", *SERVE]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    serves_and_ends(process, environment)


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_stream_whose_reader_is_gone_is_no_hindrance(name: str) -> None:
    """EPIPE, from the first line to what Python itself tries again at its end."""
    environment = gateway_environment(DRAIN_DELAY=0, GRACE=30)
    reader, writer = os.pipe()
    os.close(reader)
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | {name: writer}
    process = subprocess.Popen(SERVE, cwd=ROOT, env=environment, **streams)  # type: ignore[call-overload]
    os.close(writer)
    serves_and_ends(process, environment)


@pytest.mark.parametrize("workers", [1, 2])
def test_streams_that_nobody_reads_are_no_hindrance(workers: int) -> None:
    """Both are one pipe, full from the first line on: calls are answered, SIGTERM is heard, the end is in time."""
    environment = gateway_environment(DRAIN_DELAY=0, GRACE=30, WORKERS=workers)
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, b"x" * 4096)
    process = subprocess.Popen(SERVE, cwd=ROOT, env=environment, stdout=writer, stderr=writer)
    os.close(writer)
    serves_and_ends(process, environment, MANY_CALLS)
    os.close(reader)


def test_a_command_that_prints_into_a_closed_pipe_exits_as_it_would() -> None:
    """`… --help | head -1`: no traceback, no exit code 120."""
    command = f'{{ {shlex.quote(sys.executable)} -m server --help; echo "code $?" >&3; }} 3>&1 >/dev/full'
    ended = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert (ended.stdout, ended.stderr) == ("code 0\n", "")
