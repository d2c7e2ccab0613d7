"""What this machine grants: ports, open files, a folder for workers."""

import asyncio
import resource
import socket
from collections.abc import Iterator

from ..healthcheck import find_failure
from ..observability.listening import addresses_that_fail
from ..process.descriptors import raise_open_files_limit
from ..process.metrics_folder import metrics_folder
from ..settings import Settings, SettingsError
from .finding import Finding

OTHER_FILES = 500
"""Files and connections beside those to the vendor: callers' connections above all."""


async def check_ports(settings: Settings) -> list[Finding]:
    """Whether each port is free, or in use by the gateway of these settings."""
    taken = addresses_that_fail(settings)
    free = [str(address) for name, address in settings.listened().items() if name not in taken]
    if not taken:
        return [Finding.ok("ports", f"free: {', '.join(free)}")]
    if "listen" in taken and await asyncio.to_thread(find_failure, settings) is None:
        return [Finding.ok("ports", "in use by the gateway of these settings, which serves")]
    return [Finding.failed("ports", line) for line in taken.values()]


def check_open_files(settings: Settings) -> Finding:
    """Whether enough files and connections may be open, with the soft limit raised as the gateway raises it."""
    raise_open_files_limit()
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.vendor_max_connections + settings.max_cancels + OTHER_FILES
    if limit == resource.RLIM_INFINITY or limit >= needed:
        return Finding.ok("open files", f"at most {'unlimited' if limit == resource.RLIM_INFINITY else limit}")
    return Finding.failed(
        "open files",
        f"at most {limit}: raise the hard limit (ulimit -Hn, LimitNOFILE) to {needed} or more, "
        "or lower GATEWAY_VENDOR_MAX_CONNECTIONS",
    )


def check_workers_folder(settings: Settings, parent: str | None = None) -> Iterator[Finding]:
    """Whether several workers have a folder to count in. parent: instead of the usual places."""
    if settings.workers == 1:
        yield Finding.skipped("workers' folder", "GATEWAY_WORKERS is 1")
        return
    if not hasattr(socket, "SO_REUSEPORT"):
        yield Finding.failed("workers' folder", "GATEWAY_WORKERS: this system cannot share a port: set it to 1")
        return
    try:
        with metrics_folder(parent):
            yield Finding.ok("workers' folder", "can be written")
    except SettingsError as error:
        yield from (Finding.failed("workers' folder", line) for line in error.lines)
