"""Which requests come from this machine's own programs, and which from a page of another site in its browser.

A browser reaches loopback for any page that it shows. Such a page is recognized by its Origin or Referer, by what the
browser says in Sec-Fetch-Site, or, when its name was made to resolve to this machine (DNS rebinding), by the public
name in Host.
"""

import re
from ipaddress import ip_address
from typing import Protocol

PRIVATE_DOMAINS = ("localhost", "local", "internal", "lan", "svc", "test")
"""Last labels of names that nobody can register; a name of one label is private, too."""

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::\d{1,5})?")
_PASSED_ON = (
    *("Forwarded", "Via", "X-Real-IP", "X-Client-IP", "X-Cluster-Client-IP", "True-Client-IP", "CF-Connecting-IP"),
    *(f"X-Forwarded{what}" for what in ("", "-For", "-Host", "-Proto", "-Port", "-Server", "-Prefix")),
)
"""Headers of a proxy: it may be on this machine, and whom it serves is not known."""


class Headers(Protocol):
    """The headers of a request, of any letter case."""

    def getall(self, name: str, default: list[str], /) -> list[str]: ...


def has_private_host(headers: Headers) -> bool:
    """Whether the request names its host as only this network can: by an address or a name that nobody can register."""
    hosts = headers.getall("Host", [])
    return len(hosts) == 1 and _is_private(hosts[0])


def may_change(headers: Headers, peer: str | None) -> bool:
    """Whether the request may change something: from loopback, by no proxy, and by no page of another origin.

    peer: the address that the connection came from.
    """
    hosts = [host.lower() for host in headers.getall("Host", [])]
    sites = headers.getall("Sec-Fetch-Site", [])
    return (
        is_loopback(peer)
        and len(hosts) == 1
        and _names_loopback(hosts[0])
        and all(origin.lower() == f"http://{hosts[0]}" for origin in headers.getall("Origin", []))
        and all(page.lower().startswith(f"http://{hosts[0]}/") for page in headers.getall("Referer", []))
        and all(site in ("same-origin", "none") for site in sites)
        and not any(headers.getall(name, []) for name in _PASSED_ON)
    )


def is_loopback(address: str | None) -> bool:
    """Whether it is an address of this machine's loopback."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return False
    return (getattr(parsed, "ipv4_mapped", None) or parsed).is_loopback


def _names_loopback(host: str) -> bool:
    name = _name(host)
    return name == "localhost" or is_loopback(name)


def _is_private(host: str) -> bool:
    name = _name(host)
    if name is None:
        return False
    return "." not in name or name.rpartition(".")[2] in PRIVATE_DOMAINS or _is_address(name)


def _name(host: str) -> str | None:
    match = _HOST.fullmatch(host)
    return None if match is None else (match[1] or match[2]).lower().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
