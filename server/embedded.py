"""The sandbox as the vendor of a gateway that has none configured."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .logs import get_log
from .settings import Settings, cannot_listen, parse_address


@asynccontextmanager
async def with_vendor(settings: Settings) -> AsyncIterator[Settings]:
    """The settings with a vendor: theirs, or a sandbox that is started here and says so. Raises SettingsError."""
    if settings.vendor_url is not None:
        yield settings
        return
    from .sandbox import Sandbox  # a gateway with a vendor has no use for its modules

    listen = parse_address(settings.sandbox_listen)
    sandbox = Sandbox(*listen)
    try:
        await sandbox.__aenter__()
    except OSError as error:
        raise cannot_listen("GATEWAY_SANDBOX_LISTEN", listen, error) from None
    try:
        get_log().warning("no vendor is configured: the sandbox plays it", vendor=sandbox.url)
        yield of_sandbox(settings, sandbox.url)
    finally:
        await sandbox.__aexit__(None, None, None)


def of_sandbox(settings: Settings, url: str) -> Settings:
    """The settings for a sandbox at that address."""
    from .sandbox import CLIENT_ID, CLIENT_SECRET

    return settings.with_vendor(url, CLIENT_ID, CLIENT_SECRET)
