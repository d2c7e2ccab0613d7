"""Builds the image of this tree and runs it: python -m tools.deploy.image. BASE: its base image.

Read-only, as a user without a name, without capabilities, as the first process of its own. Without root or Debian's
packages it is skipped, and the line says so; in CI that is a failure.
"""

import os
import re
import signal
import sys
import time
from collections.abc import Callable

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceStub
from testkit.server_process import free_ports
from tools.contract import ROOT
from tools.deploy.container import Container, container
from tools.release import image

EPOCH = 1_700_000_000
READ = GetCallRequestResultRequest(call_request_id="77b2c4d5e6f7g890")
SOON = 30.0
"""Seconds within which something happens, on a machine that has much else to do."""
_WRONG_SETTING = 2


def settings(**more: str) -> tuple[str, dict[str, str]]:
    """The gateway's address, and the environment of a container that listens there, in plaintext, with a sandbox."""
    listen, metrics, sandbox = (f"127.0.0.1:{port}" for port in free_ports(3))
    names = {"LISTEN": listen, "METRICS_LISTEN": metrics, "SANDBOX_LISTEN": sandbox, "ALLOW_SANDBOX": "true"} | more
    return listen, {f"GATEWAY_{name}": value for name, value in names.items()}


def answered(address: str) -> None:
    """Waits for the answer to a read. Raises grpc.RpcError."""
    options = (("grpc.enable_http_proxy", 0), ("grpc.initial_reconnect_backoff_ms", 100))
    with grpc.insecure_channel(address, options=options) as channel:
        CallRequestServiceStub(channel).GetCallRequestResult(READ, timeout=SOON, wait_for_ready=True)


def serving(address: str) -> bool:
    """Whether the gateway's health is SERVING."""
    with grpc.insecure_channel(address, options=(("grpc.enable_http_proxy", 0),)) as channel:
        reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)  # type: ignore[attr-defined]
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


def until(holds: Callable[[], bool], what: str) -> None:
    """Waits until it holds. Raises AssertionError after SOON."""
    end = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def refuses_to_start_without_a_decision_on_tls(identity: str) -> None:
    _, environment = settings(LISTEN="0.0.0.0:50051")
    with container(identity, environment) as made:
        made.start()
        assert made.wait() == _WRONG_SETTING, made.log.read_text()
        assert "GATEWAY_ALLOW_PLAINTEXT" in made.log.read_text()


def serves_locked_down(identity: str) -> None:
    address, environment = settings(DRAIN_DELAY="1")
    with container(identity, environment) as made:
        started = time.monotonic()
        made.start()
        answered(address)
        print(f"first answer after {time.monotonic() - started:.1f} s")
        status = made.run("cat", "/proc/1/status").stdout
        for line in ("Uid:\t65532", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"):
            assert line in status, (line, status)
        for folder in ("/", "/app", "/tmp", "/venv", "/run"):  # noqa: S108 (nothing may be written there)
            assert made.run("touch", f"{folder}/file").returncode != 0, folder
        probe = made.run("python", "-m", "server", "healthcheck")
        assert probe.returncode == 0, probe.stderr
        made.kill(signal.SIGHUP)
        answered(address)
        ends_by_itself(made, address)


def ends_by_itself(made: Container, address: str) -> None:
    """SIGTERM: NOT_SERVING first, and exit code 0 without a signal that kills."""
    started = time.monotonic()
    made.kill(signal.SIGTERM)
    until(lambda: not serving(address), "SIGTERM did not change the health")
    assert made.wait() == 0, made.log.read_text()
    print(f"ended {time.monotonic() - started:.1f} s after SIGTERM, with a drain delay of 1 s")


def an_early_signal_is_not_lost(identity: str) -> None:
    """The kernel drops what the first process of a container neither blocks nor handles: Python alone would lose it."""
    _, environment = settings()
    with container(identity, environment) as made:
        made.start()
        made.wait_until_it_runs("python")
        made.kill(signal.SIGTERM)
        assert made.wait() == 0, made.log.read_text()


def serves_with_workers(identity: str) -> None:
    address, environment = settings(WORKERS="2", DRAIN_DELAY="0")
    with container(identity, environment) as made:
        made.start()
        answered(address)
        made.kill(signal.SIGTERM)
        assert made.wait() == 0, made.log.read_text()


def size(identity: str) -> str:
    """The sum of its layers, uncompressed, and of ours on top of the base."""
    described = image.buildah("images", "--format", "{{.ID}} {{.Size}}", "--all")
    sizes = dict(line.split(" ", 1) for line in described.splitlines())
    return next(each for start, each in sizes.items() if identity.removeprefix("sha256:").startswith(start))


CHECKS = (
    refuses_to_start_without_a_decision_on_tls,
    serves_locked_down,
    an_early_signal_is_not_lost,
    serves_with_workers,
)


def main() -> int:
    """Prints a line for each check; returns the exit code."""
    try:
        image.require_buildah()
        base, _ = image.prepare_base(os.environ.get("BASE", image.LOCAL))
    except image.NoImageError as error:
        print(f"skipped: {error}")
        return 1 if os.environ.get("CI") == "true" else 0
    version = re.search(r'"(.+)"', (ROOT / "server/__init__.py").read_text().partition("__version__")[2])
    assert version is not None
    identity = image.build(ROOT, base, version[1], "of-this-tree", EPOCH)
    try:
        print(f"{size(identity)}, base included")
        for check in CHECKS:
            check(identity)
            print(f"{check.__name__.replace('_', ' ')}: ok", flush=True)
    finally:
        image.remove(identity)
    return 0


if __name__ == "__main__":
    sys.exit(main())
