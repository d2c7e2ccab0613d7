"""Keeps pages of other sites away. A browser on this machine reaches the sandbox for any page that it shows.

Such a page is recognized by its Origin, or, when its name was made to resolve to this machine (DNS rebinding), by
the name in Host: it is a public name, and never an address. A browser that names no Origin names the site, in
Sec-Fetch-Site. Programs send neither.
"""

import re
from ipaddress import ip_address

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

PRIVATE_DOMAINS = ("localhost", "local", "internal", "lan", "svc", "test")
"""Last labels of names that nobody can register; a name of one label is private, too."""

_SITE, _OWN_SITES = "Sec-Fetch-Site", frozenset({"same-origin", "none"})
_READING = frozenset({"GET", "HEAD"})
"""A link of another site may lead to the sandbox's page; it changes nothing."""

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::\d{0,5})?")


def own_pages_only(listen_host: str) -> Middleware:
    """Returns what answers 403 to requests whose Host or Origin is another site's. listen_host: may be any name."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        hosts = request.headers.getall("Host", [])
        origins = request.headers.getall("Origin", [])
        own = {f"http://{host.lower()}" for host in hosts}
        is_own = all(_is_private(host, listen_host) for host in hosts) and {each.lower() for each in origins} <= own
        if is_own and (request.method in _READING or _OWN_SITES.issuperset(request.headers.getall(_SITE, []))):
            return await handler(request)
        return web.json_response({"error": "Host or Origin is another site's."}, status=403)

    return check


def _is_private(host: str, listen_host: str) -> bool:
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = (match[1] or match[2]).lower().removesuffix(".")
    if name == listen_host.lower() or "." not in name:
        return True
    return name.rpartition(".")[2] in PRIVATE_DOMAINS or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
