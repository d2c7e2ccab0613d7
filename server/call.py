"""Makes one call of a gateway, for a first try: no other client needs to be installed."""

import json
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2  # noqa: F401 (the types of details are known once they are imported)
from grpc_status import rpc_status

from callrequest.v1.call_request_service_pb2 import DESCRIPTOR

from .files import BrokenFileError, load_authorities, load_pair
from .process.standard_streams import write_stdout
from .settings import Address

TIMEOUT = 30.0
"""Seconds for a call; a watch has no deadline."""

_SERVICE = DESCRIPTOR.services_by_name["CallRequestService"]
METHODS = tuple(method.name for method in _SERVICE.methods)


class WrongRequestError(Exception):
    """There is no such method, the text is no request of it, or a file of TLS is missing or cannot be used."""


@dataclass(frozen=True, slots=True)
class ClientTls:
    """PEM files. ca: the CAs that are trusted; None: plaintext. certificate, key: the client's own; both or neither.

    name: what the server's certificate must be valid for, instead of the address.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    name: str | None = None


def call(address: Address, method: str, text: str, tls: ClientTls, token: str | None) -> int:
    """Calls a method; prints the response, or each response of a stream, as JSON; returns the exit code.

    text: the request as JSON, or a call request id alone. token: a bearer token. A failure is printed on stderr with
    its details decoded, exit code 1. Raises WrongRequestError.
    """
    request = _request(method, text)
    metadata = () if token is None else (("authorization", f"Bearer {token}"),)
    try:
        with _channel(address, tls) as channel:
            for response in _responses(channel, method, request, metadata):
                write_stdout(json.dumps(MessageToDict(response), indent=2, ensure_ascii=False) + "\n")
    except grpc.RpcError as error:
        sys.stderr.write(json.dumps(_described(error), indent=2, ensure_ascii=False) + "\n")
        return 1
    return 0


def _request(method: str, text: str) -> Message:
    if method not in METHODS:
        raise WrongRequestError(f"no method {method}; there are {', '.join(METHODS)}")
    message: Message = GetMessageClass(_SERVICE.methods_by_name[method].input_type)()
    try:
        fields = json.loads(text) if text.lstrip().startswith("{") else {"callRequestId": text}
        return ParseDict(fields, message)
    except (ValueError, RecursionError, ParseError) as error:
        raise WrongRequestError(f"no {message.DESCRIPTOR.name} in JSON: {error}") from None


def _channel(address: Address, tls: ClientTls) -> grpc.Channel:
    options: list[tuple[str, Any]] = [("grpc.enable_http_proxy", 0)]
    if (tls.certificate is None) != (tls.key is None):
        raise WrongRequestError("--cert, --key: set both or neither")
    if tls.ca is None:
        if tls.certificate is not None:
            raise WrongRequestError("--cert, --key: need --cacert, else the connection is plaintext")
        return grpc.insecure_channel(str(address), options)
    if tls.name is not None:
        options.append(("grpc.ssl_target_name_override", tls.name))
    return grpc.secure_channel(str(address), _credentials(tls.ca, tls), options)


def _credentials(ca: Path, tls: ClientTls) -> grpc.ChannelCredentials:
    """Tries the files with OpenSSL first: of broken ones grpc only logs that a handshake failed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        load_authorities(context, ca, "--cacert")
        if tls.certificate is None or tls.key is None:
            return grpc.ssl_channel_credentials(ca.read_bytes())
        load_pair(context, tls.certificate, tls.key, ("--cert", "--key"))
        return grpc.ssl_channel_credentials(ca.read_bytes(), tls.key.read_bytes(), tls.certificate.read_bytes())
    except BrokenFileError as error:
        raise WrongRequestError(str(error)) from None


def _responses(
    channel: grpc.Channel, method: str, request: Message, metadata: tuple[tuple[str, str], ...]
) -> Iterator[Message]:
    described = _SERVICE.methods_by_name[method]
    deserialize = GetMessageClass(described.output_type).FromString
    path = f"/{_SERVICE.full_name}/{method}"
    if described.server_streaming:
        yield from channel.unary_stream(path, type(request).SerializeToString, deserialize)(request, metadata=metadata)
    else:
        unary = channel.unary_unary(path, type(request).SerializeToString, deserialize)
        yield unary(request, timeout=TIMEOUT, metadata=metadata)


def _described(error: Any) -> dict[str, Any]:
    """The status with its details as JSON; a detail of an unknown type only by its type."""
    status, details = rpc_status.from_call(error), []
    for detail in () if status is None else status.details:
        try:
            details.append(MessageToDict(detail))
        except (TypeError, ValueError):
            details.append({"@type": detail.type_url})
    return {"code": error.code().name, "message": error.details()} | ({"details": details} if details else {})


def name_of_certificate(certificate: Path) -> str | None:
    """A DNS name for which the first certificate of a PEM file is valid, if it has any."""
    try:
        extensions = x509.load_pem_x509_certificates(certificate.read_bytes())[0].extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return None
    return next((name.replace("*", "gateway") for name in names.get_values_for_type(x509.DNSName)), None)
