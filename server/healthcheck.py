"""Asks a running gateway whether it serves, as a container's or a supervisor's probe."""

import http.client
import socket
import ssl
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from .process.standard_streams import write_stderr
from .rpc.service import SERVICE
from .settings import Address, Settings, parse_address

TIMEOUT = 3.0
"""Seconds for the whole check."""

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (the other way round: from any to loopback)


def run(settings: Settings) -> int:
    """Gives the exit code: 0 when the gateway of these settings says SERVING, else 1 with a line on stderr."""
    address = _reachable(settings.listen)
    if settings.tls_client_ca is not None:
        return _ask_operations(settings, address)
    try:
        with _channel(settings, address) as channel:
            check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]  # its types miss it
            reply = check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=TIMEOUT)
    except grpc.RpcError as error:
        return _no(address, error.code().name)
    except OSError as error:
        return _no(address, type(error).__name__)
    if reply.status != health_pb2.HealthCheckResponse.SERVING:
        return _no(address, health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status))
    return 0


def _ask_operations(settings: Settings, address: Address) -> int:
    """Asks at /ready instead: a probe has no client's certificate, and the server's own is seldom one."""
    if not settings.metrics_listen:
        return _no(address, "needs GATEWAY_METRICS_LISTEN, since GATEWAY_TLS_CLIENT_CA is set")
    operations = _reachable(settings.metrics_listen)
    try:
        connection = http.client.HTTPConnection(*operations, timeout=TIMEOUT)
        connection.request("GET", "/ready")
        status = connection.getresponse().status
        connection.close()
    except (OSError, http.client.HTTPException) as error:
        return _no(operations, type(error).__name__)
    return 0 if status == http.HTTPStatus.OK else _no(operations, f"/ready says {status}")


def _reachable(listen: str) -> Address:
    host, port = parse_address(listen)
    return Address((_ANY.get(host, host), port))


def _no(address: Address, why: str) -> int:
    write_stderr(f"{address}: {why}\n")
    return 1


def _channel(settings: Settings, address: Address) -> grpc.Channel:
    if settings.tls_certificate is None:
        return grpc.insecure_channel(str(address))
    # The server's own certificate is the only one trusted: so the probe needs no CA, and no name that fits the address.
    trusted = settings.tls_certificate.read_bytes()
    options = (("grpc.ssl_target_name_override", _name(settings, address)),)
    return grpc.secure_channel(str(address), grpc.ssl_channel_credentials(trusted), options)


def _name(settings: Settings, address: Address) -> str:
    """A name that the server's certificate holds."""
    context = ssl.create_default_context(cafile=settings.tls_certificate)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((address[0], address[1]), TIMEOUT) as connection,
        context.wrap_socket(connection) as secured,
    ):
        certificate: dict[str, Any] = dict(secured.getpeercert() or {})
    names = certificate.get("subjectAltName", ())
    return next((str(name) for kind, name in names if kind in ("DNS", "IP Address")), address[0])
