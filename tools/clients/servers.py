"""The servers that a client is checked against, each a process as a user would start it."""

import hashlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc

ROOT = Path(__file__).parents[2]
SERVICE = "callrequest.v1.CallRequestService"
_MAX_START, _MAX_END = 30.0, 10.0  # seconds, on a machine with much else to do
_SETTINGS = {
    "GATEWAY_METRICS_LISTEN": "",
    "GATEWAY_DEFAULT_MAX_AGE": "0",  # what a test changes in the sandbox is seen by its next read
    "GATEWAY_FINAL_MAX_AGE": "0",
    "GATEWAY_DRAIN_DELAY": "0",  # nobody is left to be served when a check is over
}
_CALLERS = """
[[caller]]
name = "booking-desk"
token_sha256 = "{CALL_REQUEST_TOKEN}"
may = ["read", "cancel"]

[[caller]]
name = "reports"
token_sha256 = "{CALL_REQUEST_READER_TOKEN}"
may = ["read"]
"""


class DidNotStartError(Exception):
    """A server ended, or did not serve in time; the text names its log."""


@contextmanager
def all_servers(folder: Path) -> Iterator[dict[str, str]]:
    """Starts them, with their logs in that folder, gives a check's environment, and ends them."""
    with _gateway(folder) as plain, _secured_gateway(folder) as secured, _later_gateway(folder) as later:
        yield plain | secured | later


@contextmanager
def started(
    command: Sequence[str | Path], environment: Mapping[str, str], log: Path
) -> "Iterator[subprocess.Popen[bytes]]":
    """Starts a process, its output in a log, and ends it and all that it started: asks, then kills what is left."""
    with log.open("wb") as written:
        process = subprocess.Popen(  # noqa: S603 (our own commands)
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so Ctrl-C reaches us alone, and the check ends before its servers
        )
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_MAX_END)


def clean_environment() -> dict[str, str]:
    """The environment of this process, without what would change a gateway or a client."""
    ours = {"CONTRACT", "OUT", "REPORT", "REQUIRE_ALL"}
    ours |= {name for name in os.environ if name.startswith(("GATEWAY_", "CALL_REQUEST_"))}
    return {name: value for name, value in os.environ.items() if name not in ours}


@contextmanager
def _gateway(folder: Path) -> Iterator[dict[str, str]]:
    address, sandbox = _free_address(), _free_address()
    settings = _SETTINGS | {"GATEWAY_LISTEN": address, "GATEWAY_SANDBOX_LISTEN": sandbox}
    with _serving(["server", "serve"], settings, folder / "gateway.log", address):
        yield {"CALL_REQUEST_GATEWAY": address, "CALL_REQUEST_SANDBOX": f"http://{sandbox}"}


@contextmanager
def _secured_gateway(folder: Path) -> Iterator[dict[str, str]]:
    ca = trustme.CA()
    issued = ca.issue_cert("localhost")
    tokens = {name: secrets.token_urlsafe(32) for name in ("CALL_REQUEST_TOKEN", "CALL_REQUEST_READER_TOKEN")}
    hashes = {name: hashlib.sha256(token.encode()).hexdigest() for name, token in tokens.items()}
    address = _free_address()
    named = address.replace("127.0.0.1", "localhost")  # as its certificate says
    with tempfile.TemporaryDirectory(prefix="clients-") as made:
        authority, certificate, key, callers = (Path(made, name) for name in ("ca", "certificate", "key", "callers"))
        authority.write_bytes(ca.cert_pem.bytes())
        certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        callers.write_text(_CALLERS.format(**hashes))
        settings = _SETTINGS | {
            "GATEWAY_LISTEN": address,
            "GATEWAY_SANDBOX_LISTEN": _free_address(),
            "GATEWAY_TLS_CERTIFICATE": str(certificate),
            "GATEWAY_TLS_KEY": str(key),
            "GATEWAY_CALLERS": str(callers),
        }
        with _serving(["server", "serve"], settings, folder / "gateway_tls.log", named, ca=ca.cert_pem.bytes()):
            yield tokens | {"CALL_REQUEST_GATEWAY_TLS": named, "CALL_REQUEST_CA": str(authority)}


@contextmanager
def _later_gateway(folder: Path) -> Iterator[dict[str, str]]:
    address = _free_address()
    with _serving(["tools.clients.later_version", address], {}, folder / "gateway_next.log", address):
        yield {"CALL_REQUEST_GATEWAY_NEXT": address}


def _free_address() -> str:
    """One of this machine's that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return f"127.0.0.1:{bound.getsockname()[1]}"


@contextmanager
def _serving(
    module: list[str], settings: Mapping[str, str], log: Path, address: str, ca: bytes | None = None
) -> Iterator[None]:
    """Runs a module of Python, from when it serves at that address."""
    options = (("grpc.enable_http_proxy", 0), ("grpc.initial_reconnect_backoff_ms", 100))
    channel = (
        grpc.insecure_channel(address, options)
        if ca is None
        else grpc.secure_channel(address, grpc.ssl_channel_credentials(ca), options)
    )
    with started([sys.executable, "-m", *module], clean_environment() | dict(settings), log) as process:
        with channel:
            check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]  # its types miss it
            latest = time.monotonic() + _MAX_START
            while True:
                if process.poll() is not None or time.monotonic() > latest:
                    raise DidNotStartError(f"no server at {address}: {log}")
                with suppress(grpc.RpcError):
                    health = check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=0.5, wait_for_ready=True)
                    if health.status == health_pb2.HealthCheckResponse.SERVING:
                        break
        yield
