"""Asks the sentinels, for a person who looks for what is wrong, which server is the master, and which are down."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from ..reloading import Reloading
from ..settings import Address
from .connecting import StateUrl, sentinel_clients
from .connection import FAILURES

TIMEOUT = 2.0
"""Seconds for a sentinel."""

_DOWN = {"s_down", "o_down", "disconnected"}


@dataclass(frozen=True, slots=True)
class SentinelView:
    """What the first sentinel that answers has. master: the server that it names; None: it knows no such name.

    is_master_down: whether it holds that server for down. replicas_down: of its replicas those that it does.
    silent: the sentinels of the URL that do not answer.
    """

    master: Address | None
    is_master_down: bool
    replicas: int
    replicas_down: tuple[Address, ...]
    silent: tuple[Address, ...]


async def ask_sentinels(url: StateUrl, ca: Reloading[str] | None) -> SentinelView | None:
    """Asks all of them at once, and takes the first answer in the order of the URL. None: no sentinel answers."""
    clients = sentinel_clients(url, ca)
    replies = await asyncio.gather(*(_ask(client, url.service) for client in clients))
    silent = tuple(Address(node) for node, reply in zip(url.nodes, replies, strict=True) if reply is None)
    answered = [reply for reply in replies if reply is not None]
    if not answered:
        return None
    master, replicas = next((reply for reply in answered if reply[0]), answered[0])
    if not master:
        return SentinelView(None, is_master_down=False, replicas=0, replicas_down=(), silent=silent)
    down = tuple(_address(each) for each in replicas if _is_down(each))
    return SentinelView(_address(master), _is_down(master), len(replicas), down, silent)


_State = Mapping[str, Any]


async def _ask(client: Any, service: str) -> tuple[_State, list[_State]] | None:
    """The states of the master and of its replicas, empty for a name that it does not know; None: no answer."""
    try:
        async with asyncio.timeout(TIMEOUT):
            try:
                return await client.sentinel_master(service), await client.sentinel_slaves(service)
            except ResponseError:
                return {}, []
    except FAILURES:
        return None
    finally:
        with suppress(*FAILURES):
            async with asyncio.timeout(TIMEOUT):
                await client.aclose()


def _is_down(state: _State) -> bool:
    flags = state["flags"]
    return bool(_DOWN & set(flags.split(",") if isinstance(flags, str) else flags))


def _address(state: _State) -> Address:
    return Address((str(state["ip"]), int(state["port"])))
