"""All checks, in the order in which an operator would try them."""

from collections.abc import AsyncIterator

from ..settings import PREFIX, Settings, SettingsError, load_settings, unused_settings
from .files import check_callers, check_certificates, check_permissions
from .finding import Finding
from .machine import check_open_files, check_ports, check_workers_folder
from .shared_state import check_shared_state
from .traces import check_traces
from .vendor import check_vendor
from .webhook import check_webhook

AFTER_SETTINGS = (
    *("files", "certificates", "callers", "ports", "open files", "workers' folder"),
    *("name", "proxy", "connection", "tls", "token", "clock", "read", "shared state", "webhook", "traces"),
)
"""The checks that need right settings."""


async def examine() -> AsyncIterator[Finding]:
    """Yields the findings as the checks end; those that wait for a network take some seconds at most each."""
    try:
        settings = load_settings()
    except SettingsError as error:
        for line in error.lines:
            yield Finding.failed("settings", line)
        for check in AFTER_SETTINGS:
            yield Finding.skipped(check, "the settings are wrong")
        return
    yield _settings(settings)
    for finding in (*check_permissions(settings), *check_certificates(settings), check_callers(settings)):
        yield finding
    for finding in (*await check_ports(settings), check_open_files(settings), *check_workers_folder(settings)):
        yield finding
    async for finding in check_vendor(settings):
        yield finding
    for finding in (*await check_shared_state(settings), *check_webhook(settings), *await check_traces(settings)):
        yield finding


def _settings(settings: Settings) -> Finding:
    if unused := unused_settings():
        return Finding.failed("settings", f"{', '.join(unused)}: without effect: correct the name, or remove it")
    names = [f"{PREFIX}{name.upper()}" for name in sorted(settings.model_fields_set)]
    return Finding.ok("settings", f"set: {', '.join(names)}" if names else "nothing is set")
