"""The servers that a client is checked against, each a process as a user would start it."""

import hashlib
import secrets
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc

from testkit.server_process import clean_environment, free_ports, serving

SERVICE = "callrequest.v1.CallRequestService"
_SETTINGS = {
    "GATEWAY_METRICS_LISTEN": "",
    "GATEWAY_DEFAULT_MAX_AGE": "0",  # what a test changes in the sandbox is seen by its next read
    "GATEWAY_FINAL_MAX_AGE": "0",
    "GATEWAY_DRAIN_DELAY": "0",  # a check leaves no callers
    "GATEWAY_WATCH_PENDING_INTERVAL": "0.2",  # nor does a watch of a call request that lives for seconds
    "GATEWAY_WATCH_IN_PROGRESS_INTERVAL": "0.2",
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


@contextmanager
def all_servers(folder: Path) -> Iterator[dict[str, str]]:
    """Runs them until the block is left, with their logs in that folder. Yields a check's environment."""
    with (
        _gateway(folder) as plain,
        _restless_gateway(folder, plain["CALL_REQUEST_SANDBOX"]) as restless,
        _silent_gateway(folder, plain["CALL_REQUEST_GATEWAY"]) as silent,
        _secured_gateway(folder) as secured,
        _scripted_gateway(folder, "later_version") as later,
        _scripted_gateway(folder, "flawed_gateway") as flawed,
    ):
        more = {"CALL_REQUEST_GATEWAY_NEXT": later, "CALL_REQUEST_GATEWAY_FLAWED": flawed}
        yield plain | restless | silent | secured | more


@contextmanager
def _gateway(folder: Path) -> Iterator[dict[str, str]]:
    address, sandbox = _free_address(), _free_address()
    settings = _SETTINGS | {"GATEWAY_LISTEN": address, "GATEWAY_SANDBOX_LISTEN": sandbox}
    with _serving(["server", "serve"], settings, folder / "gateway.log", address):
        yield {"CALL_REQUEST_GATEWAY": address, "CALL_REQUEST_SANDBOX": f"http://{sandbox}"}


@contextmanager
def _restless_gateway(folder: Path, sandbox: str) -> Iterator[dict[str, str]]:
    """In front of the same sandbox; it ends a watch after 1 to 2 s."""
    address = _free_address()
    settings = _SETTINGS | {
        "GATEWAY_LISTEN": address,
        "GATEWAY_MAX_CONNECTION_AGE": "3",
        "GATEWAY_VENDOR_URL": sandbox,
        "GATEWAY_VENDOR_CLIENT_ID": "sandbox",
        "GATEWAY_VENDOR_CLIENT_SECRET": "sandbox-secret",
    }
    with _serving(["server", "serve"], settings, folder / "gateway_restless.log", address):
        yield {"CALL_REQUEST_GATEWAY_RESTLESS": address}


@contextmanager
def _silent_gateway(folder: Path, gateway: str) -> Iterator[dict[str, str]]:
    address = _free_address()
    with _serving(["tools.clients.silent_proxy", address, gateway], {}, folder / "silent_proxy.log", address):
        yield {"CALL_REQUEST_GATEWAY_SILENT": address}


@contextmanager
def _secured_gateway(folder: Path) -> Iterator[dict[str, str]]:
    ca = trustme.CA()
    issued = ca.issue_cert("localhost")
    tokens = {name: secrets.token_urlsafe(32) for name in ("CALL_REQUEST_TOKEN", "CALL_REQUEST_READER_TOKEN")}
    hashes = {name: hashlib.sha256(token.encode()).hexdigest() for name, token in tokens.items()}
    address = _free_address()
    named = address.replace("127.0.0.1", "localhost")  # the name in its certificate
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
def _scripted_gateway(folder: Path, name: str) -> Iterator[str]:
    """One that is played by a module of this package, at the address that it yields."""
    address = _free_address()
    with _serving([f"tools.clients.{name}", address], {}, folder / f"{name}.log", address):
        yield address


def _free_address() -> str:
    return f"127.0.0.1:{free_ports(1)[0]}"


@contextmanager
def _serving(
    module: list[str], settings: Mapping[str, str], log: Path, address: str, ca: bytes | None = None
) -> Iterator[None]:
    """Runs a module of Python until the block is left, which begins when gRPC's health at that address is SERVING."""
    options = (("grpc.enable_http_proxy", 0), ("grpc.initial_reconnect_backoff_ms", 100))
    channel = (
        grpc.insecure_channel(address, options)
        if ca is None
        else grpc.secure_channel(address, grpc.ssl_channel_credentials(ca), options)
    )
    with channel:
        check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]  # its types miss it

        def is_serving() -> bool:
            with suppress(grpc.RpcError):
                health = check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=0.5, wait_for_ready=True)
                return bool(health.status == health_pb2.HealthCheckResponse.SERVING)
            return False

        with serving([sys.executable, "-m", *module], clean_environment() | dict(settings), log, is_serving):
            yield
