"""Asks the engine, for a person who looks for what is wrong, whether it answers and how it is set up."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis.exceptions import AuthenticationError, NoPermissionError, OutOfMemoryError, ReadOnlyError, RedisError

from ..settings import Settings
from .ca_file import ca_file
from .connecting import StateUrl, client_factory, parse_state_url
from .connection import FAILURES
from .encryption import parse_keys
from .keys import CHANNEL
from .opening import open_state
from .scripts import DOCTOR
from .sentinels import SentinelView, ask_sentinels

TIMEOUT = 3.0
"""Seconds for all questions to the engine."""


class EngineFailedError(Exception):
    """The engine is of no use. why: in constant texts, and addresses. advice: what to do."""

    def __init__(self, why: str, advice: str = "compare address, user, password and CA") -> None:
        self.why, self.advice = why, advice
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What is known of an engine. policy: of eviction; unknown where INFO is not permitted, as is the version.

    is_bounded: whether maxmemory is set, as far as is known.
    keys: how many keys encrypt results. is_local: whether nothing leaves this machine. sentinel: what Sentinel has of
    it, if the gateway finds it by that.
    """

    version: str
    policy: str
    is_bounded: bool
    keys: int
    is_local: bool
    tls: bool
    sentinel: SentinelView | None


def check_settings(settings: Settings) -> None:
    """Raises SettingsError, a line for each that is wrong."""
    open_state(settings, _Nobody(), lambda _: None)  # it is not entered


async def ask_engine(settings: Settings) -> EngineFacts:
    """Connects, PINGs, runs a script, and asks for version and policy. Raises SettingsError, EngineFailedError."""
    check_settings(settings)
    assert settings.state_url is not None
    url = parse_state_url(settings.state_url.get_secret_value())
    keys = parse_keys(settings.state_keys.get_secret_value()) if settings.state_keys else []
    view = await _ask_sentinels(url, settings) if url.kind == "sentinel" else None
    client = client_factory(url, ca_file(settings.state_ca))()
    try:
        async with asyncio.timeout(TIMEOUT):
            await client.ping()
            await client.execute_command("EVAL", DOCTOR.text, 1, "cr:doctor", CHANNEL)
            facts = await _information(client, url)
    except AuthenticationError:
        raise EngineFailedError("it refuses the user and the password") from None
    except NoPermissionError:
        raise _lacks_rights() from None
    except ReadOnlyError:
        advice = "name the master in GATEWAY_STATE_URL, or Sentinel, which knows it"
        raise EngineFailedError("it is a replica, which takes no writes", advice) from None
    except OutOfMemoryError:
        advice = "set maxmemory-policy volatile-lru, or a higher maxmemory"
        raise EngineFailedError("it is full, and stores nothing more", advice) from None
    except FAILURES as error:
        if "ACL failure in script" in str(error):  # of a command in it; NoPermissionError is of EVAL and the keys
            raise _lacks_rights() from None
        raise (EngineFailedError(_why(error)) if view is None else _master_failed(view, _why(error))) from None
    finally:
        with suppress(*FAILURES):
            async with asyncio.timeout(TIMEOUT):
                await client.aclose()
    policy, is_bounded = str(facts.get("maxmemory_policy", "unknown")), bool(facts.get("maxmemory"))
    return EngineFacts(_version(facts), policy, is_bounded, len(keys), url.is_local, url.tls, view)


async def _ask_sentinels(url: StateUrl, settings: Settings) -> SentinelView:
    """Raises EngineFailedError when they are of no use."""
    view = await ask_sentinels(url, ca_file(settings.state_ca))
    if view is None:
        raise EngineFailedError("no sentinel answers", "compare their addresses and ports, and the CA")
    if view.master is None:
        raise EngineFailedError("the sentinels know no master of that name", "compare the name behind the slash")
    return view


def _lacks_rights() -> EngineFailedError:
    return EngineFailedError("the user lacks rights", "compare its rights with those in docs/state.md")


def _master_failed(view: SentinelView, why: str) -> EngineFailedError:
    named = f"the master that Sentinel names, {view.master}: {why}"
    if view.is_master_down:
        named = f"the master that Sentinel names, {view.master}, is down"
    advice = (
        "a failover may be in progress, which ends within a minute or so: try again; if it goes on, start that server, "
        f"and look at its {view.replicas} replicas, {len(view.replicas_down)} of which are down"
    )
    return EngineFailedError(named, advice)


async def _information(client: Any, url: StateUrl) -> dict[str, Any]:
    """What INFO has: nothing where the user may not ask, as with the rights that docs/state.md lists."""
    facts: dict[str, Any] = {}
    with suppress(RedisError):
        facts = await client.info("server") | await client.info("memory")
    if url.kind == "cluster":  # by node
        facts = {name: value for node in facts.values() if isinstance(node, dict) for name, value in node.items()}
    return facts


def _version(facts: dict[str, Any]) -> str:
    for name, key in (("Valkey", "valkey_version"), ("Redis", "redis_version")):
        if key in facts:
            return f"{name} {facts[key]}"
    return "an engine of unknown version"


def _why(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:  # TLS's check stands behind redis-py's own error
        if type(cause).__name__ == "SSLCertVerificationError":
            return f"{cause.verify_message} ({cause.verify_code})"  # type: ignore[attr-defined]
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        cause = cause.__cause__ or cause.__context__
    return "no answer" if "Timeout" in type(error).__name__ else type(error).__name__


class _Nobody:
    def published(self, message: object) -> None: ...
    def missed(self) -> None: ...
