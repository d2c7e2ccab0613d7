"""The channel to the gateway: one for the whole program, made at its start."""

import os
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Self

import grpc


def recommended() -> str:
    """The service config in the package of stubs: reads are repeated, cancels are not, unhealthy gateways are left."""
    return files("callrequest.v1").joinpath("service_config.json").read_text()


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where the gateway is, and who calls it.

    ca: the authority that the gateway's certificate is checked against, in PEM; None: plaintext. token: sent over TLS
    only.
    """

    address: str
    ca: bytes | None = None
    token: str | None = field(default=None, repr=False)
    service_config: str = field(default_factory=recommended, repr=False)

    @classmethod
    def of_environment(cls) -> Self:
        """The gateway of CALL_REQUEST_GATEWAY, CALL_REQUEST_CA (a file) and CALL_REQUEST_TOKEN."""
        ca = os.environ.get("CALL_REQUEST_CA")
        return cls(
            address=os.environ.get("CALL_REQUEST_GATEWAY", "127.0.0.1:50051"),
            ca=Path(ca).read_bytes() if ca else None,
            token=os.environ.get("CALL_REQUEST_TOKEN"),
        )

    def channel(self) -> grpc.Channel:
        """For blocking programs; safe to share between threads."""
        if self.ca is None:
            return grpc.insecure_channel(self.address, self._options)
        return grpc.secure_channel(self.address, self._credentials(self.ca), self._options)

    def aio_channel(self) -> grpc.aio.Channel:
        """For asyncio; belongs to the loop that runs."""
        if self.ca is None:
            return grpc.aio.insecure_channel(self.address, self._options)
        return grpc.aio.secure_channel(self.address, self._credentials(self.ca), self._options)

    @property
    def _options(self) -> tuple[tuple[str, str | int], ...]:
        return (
            ("grpc.service_config", self.service_config),
            # A process that ends may still take a connection, and break it: without this the channel would then wait
            # for a second before it tries another.
            ("grpc.initial_reconnect_backoff_ms", 100),
            # A connection that is gone without a word is noticed within 30 s. Without pings calls on it fail, and
            # watches wait, until the kernel gives it up. The gateway takes a ping every 10 s.
            ("grpc.keepalive_time_ms", 10_000),
            ("grpc.http2.ping_timeout_ms", 10_000),  # keepalive_timeout_ms does nothing here
            ("grpc.http2.max_pings_without_data", 0),  # else two in a row are the last for a minute
            # Another channel has a connection of its own: one carries 96 watches.
            ("grpc.use_local_subchannel_pool", 1),
        )

    def _credentials(self, ca: bytes) -> grpc.ChannelCredentials:
        tls = grpc.ssl_channel_credentials(ca)
        if self.token is None:
            return tls
        return grpc.composite_channel_credentials(tls, grpc.access_token_call_credentials(self.token))
