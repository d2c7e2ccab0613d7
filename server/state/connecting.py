"""From GATEWAY_STATE_URL to clients of the engine: one server, Sentinel, a cluster, a Unix socket."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from ..reloading import Reloading
from ..settings import Address
from .bounded_parser import connect_bounded

TIMEOUT = 0.5
"""Seconds for a reply. Less is too little for a busy event loop; redis-py's defaults wait for a minute."""

Client = Any
"""redis.asyncio.Redis or RedisCluster: what both of them have is enough."""

_SCHEME = re.compile(r"(?P<tls>rediss|redis|valkeys|valkey)(?:\+(?P<kind>sentinel|cluster))?|unix")


@dataclass(frozen=True, slots=True)
class StateUrl:
    """A parsed GATEWAY_STATE_URL.

    nodes: (host, port). service: Sentinel's name of the master. path: of a Unix socket.
    """

    kind: str
    nodes: tuple[tuple[str, int], ...]
    tls: bool
    username: str | None
    password: str | None
    db: int
    service: str
    path: str

    @property
    def is_local(self) -> bool:
        """Whether nothing leaves this machine."""
        return self.kind == "unix" or all(host in {"localhost", "127.0.0.1", "::1"} for host, _ in self.nodes)


def parse_state_url(value: str) -> StateUrl:
    """Reads `redis://`, `rediss://`, `redis+sentinel://host,host/service`, `redis+cluster://`, `unix://`.

    Raises ValueError; its text holds nothing of the value.
    """
    try:
        parts = urlsplit(value)
        scheme = _SCHEME.fullmatch(parts.scheme)
        credentials, _, hosts = parts.netloc.rpartition("@")
        username, _, password = credentials.partition(":")
        if scheme is None or parts.query or parts.fragment or not value.isprintable() or " " in value:
            raise ValueError
        if parts.scheme == "unix":
            if not parts.path.startswith("/") or hosts:
                raise ValueError
            return StateUrl("unix", (), False, unquote(username) or None, unquote(password) or None, 0, "", parts.path)
        kind = scheme["kind"] or "server"
        *service, db = parts.path.strip("/").split("/") if kind == "sentinel" else ["", parts.path.strip("/")]
        if kind == "sentinel" and not any(service):
            service, db = [db], ""
        nodes = tuple(_node(host, 26379 if kind == "sentinel" else 6379) for host in hosts.split(","))
        if (
            (kind == "server" and len(nodes) != 1)
            or (kind == "sentinel" and not service[0])
            or (kind == "cluster" and db)
            or not re.fullmatch(r"[0-9]{0,5}", db)
        ):
            raise ValueError
        return StateUrl(
            kind,
            nodes,
            scheme["tls"] in {"rediss", "valkeys"},
            unquote(username) or None,
            unquote(password) or None,
            int(db or 0),
            service[0],
            "",
        )
    except ValueError:
        raise ValueError(
            "must be memory://, redis://, rediss://, redis+sentinel://host,host/service, redis+cluster:// or unix://"
        ) from None


def _node(text: str, default_port: int) -> tuple[str, int]:
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]\s]+))(?::(\d{1,5}))?", text)
    if match is None or not 0 < int(match[3] or default_port) < 65536:
        raise ValueError
    return match[1] or match[2], int(match[3] or default_port)


_OPTIONS: dict[str, Any] = {
    "socket_timeout": TIMEOUT,
    "socket_connect_timeout": TIMEOUT,
    "socket_keepalive": True,
    "retry": Retry(NoBackoff(), 0),  # ours is in engine.py: redis-py's hangs for a minute on a silent engine
    "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    "client_name": "call-request-gateway",
}
_BOUNDED: dict[str, Any] = {"redis_connect_func": connect_bounded}


def client_factory(url: StateUrl, ca: Reloading[str] | None) -> Callable[[], Client]:
    """Returns what makes a client with connections of its own. ca: by ca_file; a client trusts what it holds then."""
    options: dict[str, Any] = {"username": url.username, "password": url.password, **_OPTIONS}
    bounded = {**options, **_BOUNDED}

    def make() -> Client:
        tls = _tls(url, ca)
        if url.kind == "unix":
            return Redis(unix_socket_path=url.path, **bounded)
        if url.kind == "cluster":
            nodes = [ClusterNode(host, port) for host, port in url.nodes]
            return _bounded(RedisCluster(startup_nodes=nodes, **options, **tls))
        if url.kind == "sentinel":
            sentinel_options = {**_OPTIONS, **_BOUNDED, **tls, "username": None, "password": None}
            sentinel = Sentinel(list(url.nodes), sentinel_kwargs=sentinel_options)  # type: ignore[no-untyped-call]
            return sentinel.master_for(url.service, redis_class=_Master, db=url.db, **bounded, **tls)
        ((host, port),) = url.nodes
        return Redis(host=host, port=port, db=url.db, **bounded, **tls)

    return make


def sentinel_clients(url: StateUrl, ca: Reloading[str] | None) -> list[Client]:
    """A client of each sentinel, in the order of the URL."""
    options = {**_OPTIONS, **_BOUNDED, **_tls(url, ca)}
    return [Redis(host=host, port=port, decode_responses=True, **options) for host, port in url.nodes]


def _bounded(client: RedisCluster) -> RedisCluster:
    """Has its connections bound their replies. The client takes no redis_connect_func, and hands these on to them."""
    for options in (client.connection_kwargs, *(node.connection_kwargs for node in client.startup_nodes)):
        options.update(_BOUNDED)
    return client


def _tls(url: StateUrl, ca: Reloading[str] | None) -> dict[str, Any]:
    return {"ssl": True, "ssl_ca_data": None if ca is None else ca.value} if url.tls else {}


def server_of(client: Client) -> str:
    """The server that a client is connected to or was led to, `host:port` or a socket's path; empty: not yet known."""
    pool = getattr(client, "connection_pool", None)
    if pool is None:
        return ", ".join(sorted(f"{node.host}:{node.port}" for node in client.get_nodes()))
    if isinstance(pool, SentinelConnectionPool):
        return str(Address(pool.master_address)) if pool.master_address else ""
    options = pool.connection_kwargs
    return str(options["path"]) if "path" in options else str(Address((options["host"], options["port"])))


class _Master(Redis):
    """The master that Sentinel names: redis-py would leave the connections to the sentinels open."""

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        sentinels = self.connection_pool.sentinel_manager.sentinels  # type: ignore[attr-defined]
        for sentinel in sentinels:
            await sentinel.aclose()
