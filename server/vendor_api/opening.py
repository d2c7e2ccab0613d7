"""From settings to the vendor's client."""

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ..files import BrokenFileError
from ..reloading import Reloading, Watched
from ..settings import Settings, SettingsError
from .client import VendorClient
from .credential_files import CLIENT_ID, CLIENT_SECRET, CredentialFiles
from .exchange import MAX_BYTES, Observer
from .proxy import Proxy
from .rate_limit import RateLimiter
from .tls_files import TlsFiles
from .token_endpoint import Credentials, TokenRequest
from .transport import Http1Transport


class VendorSettings(NamedTuple):
    """What the settings say of the vendor. url: without a slash at its end."""

    url: str
    token_request: TokenRequest
    credentials: Credentials
    tls: TlsFiles
    proxy: Proxy | None

    @classmethod
    def of(cls, settings: Settings) -> "VendorSettings":
        """Reads settings that name a vendor."""
        client_id, secret = settings.vendor_client_id, settings.vendor_client_secret
        assert settings.vendor_url is not None
        assert client_id is not None
        assert secret is not None
        url = settings.vendor_url.rstrip("/")
        token_url = settings.vendor_token_url or url + settings.vendor_token_path
        return cls(
            url,
            TokenRequest(token_url, settings.vendor_token_method, settings.vendor_token_auth),
            Credentials(client_id, secret.get_secret_value()),
            TlsFiles(
                settings.vendor_ca,
                settings.vendor_certificate,
                settings.vendor_key,
                are_used=any(urlsplit(each).scheme == "https" for each in (url, token_url)),
            ),
            Proxy.from_url(settings.vendor_proxy.get_secret_value()) if settings.vendor_proxy else None,
        )


class OpenedVendor(NamedTuple):
    """The client, and the files that it is made of: whoever watches them has it use what was loaded again."""

    client: VendorClient
    files: list[Watched[Any]]


@asynccontextmanager
async def open_vendor(
    settings: Settings, observer: Observer, note_certificates: Callable[[Mapping[str, Path | None]], None]
) -> AsyncIterator[OpenedVendor]:
    """Yields the client of these settings; its connections are closed at the end. Raises SettingsError.

    note_certificates: receives the files of certificates, by the settings that name them, whenever they were loaded.
    """
    vendor = VendorSettings.of(settings)
    credentials = CredentialFiles(settings.secret_files(CLIENT_ID, CLIENT_SECRET), vendor.credentials)
    try:
        tls_files = Reloading(vendor.tls.paths, vendor.tls.load)
        credential_files = Reloading(credentials.files.paths, credentials.load)
    except BrokenFileError as error:
        raise SettingsError([str(error)]) from None

    def transport(origin: str, max_connections: int) -> Http1Transport:
        max_age, proxy = settings.vendor_max_connection_age, vendor.proxy
        return Http1Transport(origin, tls_files.value, max_connections, MAX_BYTES, max_age=max_age, proxy=proxy)

    reads = transport(vendor.url, settings.vendor_max_connections)
    reserved = transport(vendor.url, settings.max_cancels)
    tokens = transport(vendor.token_request.url, 2)  # one overtakes another that hangs

    def renew_tls(context: ssl.SSLContext) -> None:
        for each in (reads, reserved, tokens):
            each.renew(context)
        note_certificates(vendor.tls.certificates)

    async with AsyncExitStack() as stack:
        for each in (reads, reserved, tokens):
            await stack.enter_async_context(each)
        client = VendorClient(
            reads,
            reserved,
            tokens,
            vendor.url,
            vendor.token_request,
            credential_files.value,
            cancel_path=settings.vendor_cancel_path,
            connect_timeout=settings.vendor_connect_timeout,
            attempt_timeout=settings.vendor_timeout,
            rate_limiter=RateLimiter(settings.vendor_max_calls_per_second),
            observer=observer,
        )
        stack.push_async_callback(client.aclose)
        note_certificates(vendor.tls.certificates)
        files: list[Watched[Any]] = []
        if vendor.tls.paths:
            files.append(Watched(vendor.tls.settings, tls_files, renew_tls))
        if credentials.files:
            files.append(Watched(credentials.files.settings, credential_files, client.renew_credentials))
        yield OpenedVendor(client, files)
