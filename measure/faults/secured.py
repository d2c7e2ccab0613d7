"""A gateway with TLS, its files, and clients with any certificate or token."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from callrequest.v1.call_request_service_pb2 import CancelCallRequestRequest, GetCallRequestResultRequest
from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceStub
from testkit.calls import CHANNEL, code_of
from testkit.certificate_authority import DNS, Authority, Issued, replace
from testkit.gateway_process import GatewayProcess, serving
from testkit.stateful_vendor import Vendor

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub


class Site:
    """A gateway with TLS, its files, and clients of any kind."""

    def __init__(self, folder: Path, callers: str) -> None:
        self.authority = Authority()
        self.certificate, self.key, self.client_ca, self.callers = (
            folder / name for name in ("server.pem", "server.key", "ca.pem", "callers.toml")
        )
        self.renew()
        replace(self.client_ca, self.authority.pem)
        replace(self.callers, callers.encode())
        self.gateway: GatewayProcess

    def renew(self) -> str:
        """Gives the server a new certificate of the same authority; gives it in PEM."""
        issued = self.authority.issue(DNS("localhost"))
        issued.write(self.certificate, self.key)
        return issued.certificate.decode()

    @asynccontextmanager
    async def connected(self, client: Issued | None = None) -> AsyncIterator["CallRequestServiceAsyncStub"]:
        """A client with that certificate, on a connection of its own."""
        credentials = self.authority.credentials(client)
        target = f"localhost:{self.gateway.port}"
        async with grpc.aio.secure_channel(target, credentials, options=CHANNEL) as channel:
            yield CallRequestServiceStub(channel)

    async def read(self, asked: str, client: Issued | None = None, token: str | None = None) -> str:
        """The code that a read on a connection of its own ends with."""
        async with self.connected(client) as stub:
            request = GetCallRequestResultRequest(call_request_id=asked)
            return await code_of(stub.GetCallRequestResult(request, timeout=3, metadata=_bearer(token)))

    async def cancel(self, asked: str, client: Issued | None = None, token: str | None = None) -> str:
        """The code that a cancel on a connection of its own ends with."""
        async with self.connected(client) as stub:
            request = CancelCallRequestRequest(call_request_id=asked)
            return await code_of(stub.CancelCallRequest(request, timeout=3, metadata=_bearer(token)))


def _bearer(token: str | None) -> tuple[tuple[str, str], ...]:
    return () if token is None else (("authorization", token if " " in token else f"Bearer {token}"),)


@asynccontextmanager
async def secured(vendor: Vendor, callers: str, *, mutual: bool) -> AsyncIterator[Site]:
    """callers: what its file of callers holds. mutual: whether clients need a certificate."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        site = Site(Path(folder), callers)
        client_ca = site.client_ca if mutual else ""
        async with serving(
            vendor.url,
            TLS_CERTIFICATE=site.certificate,
            TLS_KEY=site.key,
            TLS_CLIENT_CA=client_ca,
            CALLERS=site.callers,
        ) as site.gateway:
            yield site
