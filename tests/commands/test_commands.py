"""The commands as users type them: processes with their output, exit codes and ends."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import grpc
import pytest
import trustme

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceStub
from server import __version__
from server.settings import Settings
from testkit.certificate_authority import Pki
from testkit.scripted_vendor import RESULT_ID
from testkit.server_process import MAX_START, ROOT, SERVE, accepts, commanded, free_ports, gateway_environment
from tests.lacking import need_command

GET = GetCallRequestResultRequest(call_request_id=RESULT_ID)


class Running:
    """A process of ours, its ports and what it has written."""

    def __init__(self, process: "subprocess.Popen[str]", ports: tuple[int, int], environment: dict[str, str]) -> None:
        self.process = process
        self.gateway, self.sandbox = ports
        self.environment = environment

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Sends a signal and waits. Returns the exit code, stdout and stderr."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=40)
        return self.process.returncode, out, err


@contextmanager
def running(*command: str, **settings: str) -> Iterator[Running]:
    """Starts a command of ours on free ports, and waits until the gateway serves."""
    environment = gateway_environment(**{"DRAIN_DELAY": "0.2", "GRACE": "5"} | settings)
    gateway, sandbox = (
        int(environment[name].rpartition(":")[2]) for name in ("GATEWAY_LISTEN", "GATEWAY_SANDBOX_LISTEN")
    )
    process = subprocess.Popen(
        command or SERVE,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        _wait_for(gateway)
        yield Running(process, (gateway, sandbox), environment)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with what `make` has started
        process.communicate()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + MAX_START
    while not accepts(port):
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)


def test_wrong_settings_end_the_start_with_a_line_each() -> None:
    """Exit code 2, one line on stderr for each, nothing else, and no secret."""
    ended = commanded("serve", GRACE="s3cr3t", VENDOR_URL="ftp://vendor.example", VENDOR_CLIENT_SECRET="s3cr3t")
    assert ended.returncode == 2
    assert [line.partition(":")[0] for line in ended.stderr.splitlines()] == ["GATEWAY_VENDOR_URL", "GATEWAY_GRACE"]
    assert "s3cr3t" not in ended.stderr + ended.stdout


def test_a_port_that_is_taken_ends_the_start() -> None:
    """Exit code 2 and a line that names the setting."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = commanded("serve", LISTEN=f"127.0.0.1:{port}", METRICS_LISTEN="", SANDBOX_LISTEN="127.0.0.1:0")
    assert ended.returncode == 2
    assert "GATEWAY_LISTEN: cannot listen" in ended.stderr


def test_every_port_that_is_taken_is_named_with_its_address() -> None:
    """The gateway's, the metrics', the sandbox's in it and alone; what is no host is reported as such."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        free = dict.fromkeys(("LISTEN", "METRICS_LISTEN", "SANDBOX_LISTEN"), "127.0.0.1:0")
        for address, why in (
            (f"127.0.0.1:{port}", "is the port taken? 127.0.0.1:0 takes a free one"),
            ("no.invalid:1", "the host cannot be resolved"),
        ):
            for name in ("METRICS_LISTEN", "SANDBOX_LISTEN"):
                ended = commanded("serve", **free | {name: address, "ALLOW_SANDBOX": "true"})
                assert ended.returncode == 2
                assert ended.stderr == f"GATEWAY_{name}: cannot listen on {address}; {why}\n"
            ended = commanded("sandbox", "--listen", address, ALLOW_SANDBOX="true")
            assert (ended.returncode, ended.stderr) == (2, f"--listen: cannot listen on {address}; {why}\n")


def test_a_port_that_the_failing_start_held_itself_is_not_named() -> None:
    """What else would fail is tried once the start has failed: its own port is free by then."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = commanded("serve", METRICS_LISTEN=f"127.0.0.1:{taken.getsockname()[1]}")
    assert ended.returncode == 2
    assert [line.partition(":")[0] for line in ended.stderr.splitlines()] == ["GATEWAY_METRICS_LISTEN"]


def test_the_sandbox_beyond_loopback_must_be_allowed() -> None:
    """Alone as in a gateway: whoever reaches it can change what it answers."""
    ended = commanded("sandbox", "--listen", "0.0.0.0:0")
    assert (ended.returncode, ended.stderr) == (2, "--listen: beyond loopback it needs GATEWAY_ALLOW_SANDBOX=true\n")


def test_the_help_and_the_version_are_for_people() -> None:
    """Commands that people use, not those that it starts itself; the version as it is logged."""
    ended = commanded("--help")
    assert ended.returncode == 0
    assert re.findall(r"^    (\w+)", ended.stdout, re.MULTILINE) == [
        "serve",
        "sandbox",
        "healthcheck",
        "doctor",
        "call",
    ]
    assert "worker," not in ended.stdout
    assert ",worker" not in ended.stdout
    assert commanded("--version").stdout == f"call-request-gateway {__version__}\n"


def test_the_log_for_people_begins_with_the_time() -> None:
    """Time, level, event, and then the fields in their order; metrics that are off have no field."""
    with running(LOG_FORMAT="console", METRICS_LISTEN="") as gateway:
        with grpc.insecure_channel(f"127.0.0.1:{gateway.gateway}") as channel:
            CallRequestServiceStub(channel).GetCallRequestResult(GET)
        _, out, _ = gateway.end()
    lines = [re.sub(r"\x1b\[\d*m", "", line) for line in out.splitlines()]
    serving = next(line for line in lines if "serving" in line)
    call = next(line for line in lines if "GetCallRequestResult" in line)
    at = rf"\d{{4}}-\d\d-\d\dT[\d:.]+Z \[info +\] serving +address=127.0.0.1:{gateway.gateway} version=\S+"
    assert re.fullmatch(at, serving)
    assert re.findall(r"(\w+)=", call)[:2] == ["method", "code"]


@pytest.mark.parametrize("no_color", [pytest.param("", id="unset"), pytest.param("1", id="set")])
def test_no_color_is_obeyed(no_color: str) -> None:
    """A terminal has colours, unless NO_COLOR is set and not empty."""
    leader, follower = os.openpty()
    environment = gateway_environment() | {"NO_COLOR": no_color}
    command = [sys.executable, "-m", "server", "sandbox", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=follower) as sandbox:
        os.close(follower)
        shown = b""
        while b"\n" not in shown:
            shown += os.read(leader, 4096)
        sandbox.send_signal(signal.SIGTERM)
    os.close(leader)
    assert b"vendor=" in re.sub(rb"\x1b\[\d*m", b"", shown)
    assert (b"\x1b[" in shown) is not bool(no_color)


def test_errors_name_no_command_that_people_do_not_use() -> None:
    """A command that is misspelt is answered with those of people."""
    ended = commanded("wroker")
    assert ended.returncode == 2
    assert "sandbox" in ended.stderr
    assert "worker" not in ended.stderr.replace("wroker", "")


@pytest.mark.parametrize("workers", [1, 2])
def test_all_files_and_rules_that_are_wrong_are_named_at_once(tmp_path: Path, workers: int) -> None:
    """Nobody mends one after the other, start by start; each has one line."""
    (garbage := tmp_path / "garbage").write_text("garbage")
    ended = commanded(
        "serve",
        WORKERS=workers,
        VENDOR_CA=garbage,
        TLS_CERTIFICATE=garbage,
        TLS_KEY=garbage,
        CALLERS=garbage,
        WEBHOOK_LISTEN="127.0.0.1:0",
        WEBHOOK_BASIC="user",
        STATE_URL="redis://127.0.0.1:1",
        STATE_KEYS="short",
    )
    assert ended.returncode == 2
    assert sorted(line.partition(":")[0] for line in ended.stderr.splitlines()) == [
        "GATEWAY_CALLERS",
        "GATEWAY_STATE_KEYS",
        "GATEWAY_TLS_CERTIFICATE",
        "GATEWAY_VENDOR_CA",
        "GATEWAY_WEBHOOK_BASIC",
    ]


def test_all_ports_that_are_taken_are_named_at_once() -> None:
    """Nobody sets one port after the other; what takes a free one stands beside each."""
    with ExitStack() as opened:
        holders = [opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        taken = [f"127.0.0.1:{each.getsockname()[1]}" for each in holders]
        for workers in ("1", "2"):
            ended = commanded(
                "serve", LISTEN=taken[0], METRICS_LISTEN=taken[1], SANDBOX_LISTEN=taken[2], WORKERS=workers
            )
            assert ended.returncode == 2
            names = sorted(line.partition(":")[0] for line in ended.stderr.splitlines())
            assert names == ["GATEWAY_LISTEN", "GATEWAY_METRICS_LISTEN", "GATEWAY_SANDBOX_LISTEN"]
            assert ended.stderr.count("127.0.0.1:0 takes a free one") == 3


def test_hints_work_over_tls_without_reflection(tmp_path: Path) -> None:
    """They name the certificate and what it is valid for; broken into lines, they can be pasted as they are."""
    issued = trustme.CA().issue_cert("gateway.internal.example")
    certificate, key = tmp_path / "server's.pem", tmp_path / "server.key"
    certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(key))
    with running(TLS_CERTIFICATE=str(certificate), TLS_KEY=str(key), REFLECTION="false") as gateway:
        printed = ""
        while "More ids" not in printed:
            assert gateway.process.stderr is not None
            printed += gateway.process.stderr.readline()
    with running(
        **{
            name.removeprefix("GATEWAY_"): value
            for name, value in gateway.environment.items()
            if name.startswith("GATEWAY_")
        }
    ):
        shown = _shell(re.findall(r"^    (\S.*(?:\n      .*)?)", printed, re.MULTILINE)[0])
    assert "CALL_STATUS_SUCCESS" in shown.stdout, shown.stderr


def test_calls_to_try_are_not_printed_where_they_could_not_work(tmp_path: Path) -> None:
    """Who would need a certificate of their own, or a token, is not shown calls without."""
    pki = Pki(tmp_path)
    with running(**{name.upper(): str(path) for name, path in pki.settings().items()}) as gateway:
        _, _, err = gateway.end()
    assert "Calls to try" not in err


def test_the_help_of_serve_lists_the_settings_with_their_defaults() -> None:
    """Who has only the wheel reads them there; what they mean is in docs/settings.md."""
    ended = commanded("serve", "--help")
    listed = dict(re.findall(r"^  GATEWAY_(\w+)=(.*)$", ended.stdout, re.MULTILINE))
    assert set(listed) == {name.upper() for name in Settings.model_fields}
    assert (listed["GRACE"], listed["REFLECTION"], listed["VENDOR_URL"]) == ("30.0", "true", "")


def test_the_sandboxs_help_lists_its_ids() -> None:
    """Whoever tests against it finds an id for each case."""
    ended = commanded("sandbox", "--help")
    assert ended.returncode == 0
    for known in (RESULT_ID, "bcpFuj1ipoBKLz5G", "66a1b2c3d4e5f678", "faultLostReply01"):
        assert known in ended.stdout


def test_the_sandbox_runs_alone_and_a_gateway_reads_from_it() -> None:
    """`sandbox` and `serve` as two processes, with the sandbox's credentials."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "server", "sandbox", "--listen", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as sandbox:
        _wait_for(port)
        settings = {
            "VENDOR_URL": f"http://127.0.0.1:{port}",
            "VENDOR_CLIENT_ID": "sandbox",
            "VENDOR_CLIENT_SECRET": "sandbox-secret",
        }
        with running(**settings) as gateway, grpc.insecure_channel(f"127.0.0.1:{gateway.gateway}") as channel:
            assert CallRequestServiceStub(channel).GetCallRequestResult(GET).call_request_result.status
        sandbox.send_signal(signal.SIGTERM)
        assert sandbox.wait(5) == 0


def test_the_healthcheck_is_0_for_a_server_and_1_without_one() -> None:
    """0 while it serves; 1 with a line when nothing does."""
    with running() as gateway:
        command = [sys.executable, "-m", "server", "healthcheck"]
        assert subprocess.run(command, cwd=ROOT, env=gateway.environment, timeout=10, check=False).returncode == 0
        gateway.end()
        after = subprocess.run(
            command, cwd=ROOT, env=gateway.environment, timeout=10, check=False, capture_output=True, text=True
        )
    assert after.returncode == 1
    assert after.stderr == f"127.0.0.1:{gateway.gateway}: UNAVAILABLE\n"


def test_the_healthcheck_uses_no_proxy() -> None:
    """Whatever the environment names as one: it asks this machine."""
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY"), "http://127.0.0.1:9")
    with running() as gateway:
        command = [sys.executable, "-m", "server", "healthcheck"]
        environment = gateway.environment | proxies
        assert subprocess.run(command, cwd=ROOT, env=environment, timeout=30, check=False).returncode == 0


def test_the_healthcheck_works_over_tls(tmp_path: Path) -> None:
    """It trusts the server's own certificate, whatever name that has, and no other."""
    authority = trustme.CA()
    paths = []
    for name in ("one", "two"):
        issued = authority.issue_cert("gateway.internal.example")
        certificate, key = tmp_path / f"{name}.pem", tmp_path / f"{name}.key"
        certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(key))
        paths.append((str(certificate), str(key)))
    (certificate_path, key_path), (other, other_key) = paths
    with running(TLS_CERTIFICATE=certificate_path, TLS_KEY=key_path) as gateway:
        for chain, private, code in ((certificate_path, key_path, 0), (other, other_key, 1)):
            environment = gateway.environment | {"GATEWAY_TLS_CERTIFICATE": chain, "GATEWAY_TLS_KEY": private}
            command = [sys.executable, "-m", "server", "healthcheck"]
            assert subprocess.run(command, cwd=ROOT, env=environment, timeout=10, check=False).returncode == code


async def test_sigterm_under_load_loses_no_call() -> None:
    """Clients that turn elsewhere once NOT_SERVING is sent have every call answered; the exit code is 0."""
    with running(DRAIN_DELAY="1", GRACE="10") as gateway:
        answered = 0
        async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.gateway}") as channel:
            client = CallRequestServiceStub(channel)

            async def call() -> None:
                nonlocal answered
                await client.GetCallRequestResult(GET, timeout=10)
                answered += 1

            calls = []
            for number in range(300):
                if number == 100:
                    gateway.process.send_signal(signal.SIGTERM)
                calls.append(asyncio.ensure_future(call()))
                await asyncio.sleep(0.005)
                if number == 220:
                    break  # 0.6 s after the signal: a client that watches health has turned away by now
            await asyncio.gather(*calls)
        code, out, _ = gateway.end(0)
    assert code == 0
    assert answered == len(calls)
    events = [json.loads(line)["event"] for line in out.splitlines()]
    assert events[-1] == "stopped"
    assert events.count("call") == answered


def test_a_second_signal_ends_the_drain_at_once() -> None:
    """Who sends a second signal does not want to wait."""
    with running(DRAIN_DELAY="20", GRACE="30") as gateway:
        gateway.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        begun = time.monotonic()
        code, _, _ = gateway.end()
        assert code == 0
        assert time.monotonic() - begun < 15


def test_ctrl_c_ends_without_the_delay() -> None:
    """A person at a terminal does not wait for load balancers."""
    with running(DRAIN_DELAY="20", GRACE="30") as gateway:
        begun = time.monotonic()
        code, _, _ = gateway.end(signal.SIGINT)
        assert code == 0
        assert time.monotonic() - begun < 15


def _shell(line: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)


def _blocks(language: str) -> list[str]:
    readme = (ROOT / "README.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)


def test_make_run_prints_calls_that_work_when_pasted() -> None:
    """Each call that `make run` prints answers as its title announces."""
    with running("make", "--silent", "run") as gateway:
        printed = ""
        while "More ids" not in printed:
            assert gateway.process.stderr is not None
            printed += gateway.process.stderr.readline()
        calls = re.findall(r"^    (\S.*)$", printed, re.MULTILINE)
        assert max(map(len, calls)) <= 100
        shown = [_shell(call) for call in calls]
        assert [each.returncode == 0 for each in shown] == [True, True, False]
        assert "CALL_STATUS_SUCCESS" in shown[0].stdout
        assert "CALL_TYPE_AUTHORIZATION_VERIFICATION" in shown[0].stdout
        assert '"CANCELLATION_OUTCOME_CANCELLED"' in shown[1].stdout
        assert '"field": "call_request_id"' in shown[2].stderr  # decoded
        assert '"CANCELLATION_OUTCOME_ALREADY_CANCELLED"' in _shell(calls[1]).stdout


def test_the_readmes_commands_work() -> None:
    """The calls of the README succeed, and its program prints what stands there."""
    need_command("curl")
    with running() as gateway:

        def here(text: str) -> str:
            text = text.replace("server call", f"server call --address 127.0.0.1:{gateway.gateway}")
            return text.replace("127.0.0.1:50051", f"127.0.0.1:{gateway.gateway}").replace(
                "127.0.0.1:50080", f"127.0.0.1:{gateway.sandbox}"
            )

        commands = [line for block in _blocks("sh") for line in block.replace("\\\n", "").splitlines()]
        calls = [line for line in commands if "127.0.0.1" in line or "server call" in line]
        assert len(calls) == 5
        shells = [_shell(here(line)) for line in calls]
        assert [each.returncode for each in shells] == [0, 0, 0, 0, 0]
        outputs = [each.stdout for each in shells]
        (shown,) = _blocks("json")
        assert outputs[0].startswith(shown.partition("      ...")[0])
        assert "PENDING_TO_CALL" in outputs[1]
        assert "COMPLETED" in outputs[3]

        (program,) = _blocks("python")
        printed = subprocess.run(
            [sys.executable, "-c", here(program)], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        assert printed[0].startswith("CALL_STATUS_ERROR_OUTCOME Front desk agent didnt find")
        assert printed[1] == "FAILED_PRECONDITION CANCELLATION_NOT_ALLOWED"


def test_the_settings_page_lists_every_setting_with_its_default() -> None:
    """docs/settings.md and Settings name the same settings and defaults."""
    page = (ROOT / "docs" / "settings.md").read_text()
    rows = dict(re.findall(r"^\| `GATEWAY_(\w+)` \| (.*?) \|", page, re.MULTILINE))
    assert set(rows) == {name.upper() for name in Settings.model_fields} | {"SECRETS_DIR"}
    for name, field in Settings.model_fields.items():
        if field.default is not None:
            default = str(field.default).lower() if isinstance(field.default, bool) else field.default
            said = rows[name.upper()].strip("`")
            assert said == str(default) or float(said) == default
