"""The sandbox as the vendor of a gateway that has none configured."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

from ..observability.logs import get_log
from ..settings import Settings, cannot_listen, parse_address


@asynccontextmanager
async def with_vendor(settings: Settings) -> AsyncIterator[Settings]:
    """Yields the settings with a vendor: the configured one, or a sandbox that is started here and logged.

    Raises SettingsError.
    """
    if settings.vendor_url is not None:
        yield settings
        return
    listen = parse_address(settings.sandbox_listen)
    sandbox = sandbox_package().Sandbox(*listen)
    try:
        await sandbox.__aenter__()
    except OSError as error:
        raise cannot_listen("GATEWAY_SANDBOX_LISTEN", listen, error) from None
    try:
        get_log().warning("no vendor is configured: the sandbox plays it", vendor=sandbox.url)
        yield with_sandbox(settings, sandbox.url)
    finally:
        await sandbox.__aexit__(None, None, None)


def with_sandbox(settings: Settings, url: str) -> Settings:
    """Returns the settings with the sandbox at that address as the vendor."""
    sandbox = sandbox_package()
    return settings.with_vendor(url, sandbox.CLIENT_ID, sandbox.CLIENT_SECRET)


def sandbox_package() -> Any:
    """Returns the package `sandbox`, imported only here: a gateway with a vendor has no use for its modules.

    It stands beside `server`: at the top of the repository, below `call_request_gateway` in the wheel.
    """
    top = __name__.removesuffix("server.process.embedded_sandbox")
    return import_module(f"{top}sandbox")
