"""Asks a running gateway whether it serves, as a container's or a supervisor's probe."""

import http.client
import socket
import ssl
from contextlib import suppress
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from .rpc.service import SERVICE
from .settings import Address, Settings, parse_address

TIMEOUT = 3.0
"""Seconds for the whole check."""


def find_failure(settings: Settings) -> str | None:
    """Returns None when the gateway of these settings answers SERVING; else its address and what it answered."""
    address = reachable(settings.listen)
    if settings.tls_client_ca is not None:
        return _ask_operations(settings, address)
    try:
        with _channel(settings, address) as channel:
            check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]  # its types miss it
            reply = check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=TIMEOUT)
    except grpc.RpcError as error:
        return f"{address}: {error.code().name}"
    except OSError as error:
        return f"{address}: {type(error).__name__}"
    if reply.status != health_pb2.HealthCheckResponse.SERVING:
        return f"{address}: {health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)}"
    return None


def _ask_operations(settings: Settings, address: Address) -> str | None:
    """Asks at /ready instead: a probe has no client certificate, and the server's own is seldom one."""
    if not settings.metrics_listen:
        return f"{address}: needs GATEWAY_METRICS_LISTEN, since GATEWAY_TLS_CLIENT_CA is set"
    operations = reachable(settings.metrics_listen)
    try:
        connection = http.client.HTTPConnection(*operations, timeout=TIMEOUT)  # it never uses a proxy by itself
        connection.request("GET", "/ready")
        status = connection.getresponse().status
        connection.close()
    except (OSError, http.client.HTTPException) as error:
        return f"{operations}: {type(error).__name__}"
    return None if status == http.HTTPStatus.OK else f"{operations}: /ready answers {status}"


def reachable(listen: str) -> Address:
    """An address at which this machine reaches that one: for a wildcard the loopback of either family."""
    wanted = parse_address(listen)
    if not wanted.is_wildcard:
        return wanted
    loopbacks = [Address((host, wanted[1])) for host in ("127.0.0.1", "::1")]
    for address in loopbacks:
        with suppress(OSError), socket.create_connection(address, TIMEOUT):
            return address
    return loopbacks[0]


def _channel(settings: Settings, address: Address) -> grpc.Channel:
    options: tuple[tuple[str, Any], ...] = (("grpc.enable_http_proxy", 0),)
    if settings.tls_certificate is None:
        return grpc.insecure_channel(str(address), options)
    # The server's own certificate is the only one trusted: so the probe needs no CA, and no name that fits the address.
    trusted = settings.tls_certificate.read_bytes()
    options += (("grpc.ssl_target_name_override", _name(settings, address)),)
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
