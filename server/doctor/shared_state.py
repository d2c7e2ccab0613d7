"""The shared state: whether the engine answers, and how it is set up."""

from typing import TYPE_CHECKING

from ..settings import Settings, SettingsError, needs_extra
from .finding import Finding

if TYPE_CHECKING:
    from ..state.sentinels import SentinelView

CHECK = "shared state"
_WRONG_POLICIES = {
    "noeviction": "it stores nothing more",
    "volatile-ttl": "it evicts leases first, so that readers no longer wait for each other",
}


def wrong_state_settings(settings: Settings) -> list[str]:
    """A line for each setting of the state that is wrong; the engine is not asked."""
    if settings.state_url is None or settings.state_url.get_secret_value() == "memory://":
        return []
    try:
        from ..state.probe import check_settings
    except ImportError:
        return [needs_extra("GATEWAY_STATE_URL", "state")]
    try:
        check_settings(settings)
    except SettingsError as error:
        return error.lines
    return []


async def check_shared_state(settings: Settings) -> list[Finding]:
    """One finding for the engine, or one for each wrong setting."""
    if settings.state_url is None or settings.state_url.get_secret_value() == "memory://":
        return [Finding.skipped(CHECK, "GATEWAY_STATE_URL is not set: nothing is shared with other machines")]
    try:
        from ..state.probe import EngineFailedError, ask_engine  # its libraries are an extra
    except ImportError:
        return [Finding.failed(CHECK, needs_extra("GATEWAY_STATE_URL", "state"))]
    try:
        facts = await ask_engine(settings)
    except SettingsError as error:
        return [Finding.failed(CHECK, line) for line in error.lines]
    except EngineFailedError as error:
        return [Finding.failed(CHECK, f"GATEWAY_STATE_URL: {error.why}: {error.advice}")]
    if facts.is_bounded and (why := _WRONG_POLICIES.get(facts.policy)):
        return [Finding.failed(CHECK, f"maxmemory-policy {facts.policy}: once it is full, {why}: set volatile-lru")]
    protection = f"results encrypted, keys: {facts.keys}" if facts.keys else "results not encrypted"
    way = "on this machine" if facts.is_local else "by TLS" if facts.tls else "without TLS"
    if facts.sentinel is None:
        return [Finding.ok(CHECK, f"{facts.version}, {way}, maxmemory-policy {facts.policy}, {protection}")]
    named = f"{facts.sentinel.master} is the master by Sentinel, with {facts.sentinel.replicas} replicas"
    text = f"{facts.version}, {way}, maxmemory-policy {facts.policy}, {protection}; {named}"
    return [*_missing(facts.sentinel), Finding.ok(CHECK, text)]


def _missing(sentinel: "SentinelView") -> list[Finding]:
    """What fails nobody yet, but would at the next failover."""
    found = []
    if sentinel.replicas_down:
        down = ", ".join(map(str, sentinel.replicas_down))
        found.append(
            Finding.failed(
                CHECK, f"Sentinel holds replicas for down: {down}: start them, or the next failover finds none"
            )
        )
    if sentinel.silent:
        silent = ", ".join(map(str, sentinel.silent))
        found.append(Finding.failed(CHECK, f"sentinels of GATEWAY_STATE_URL do not answer: {silent}: start them"))
    return found
