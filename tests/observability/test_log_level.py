"""The level of the log while the gateway runs: who may change it, and what then is logged."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from multidict import CIMultiDict

from server.app import Gateway
from server.observability.own_origin import may_change
from testkit.gateway import settings_for


@pytest.fixture
async def changed() -> AsyncIterator[tuple[Gateway, list[str]]]:
    """A gateway, and the levels that its log was set to."""
    levels: list[str] = []
    async with Gateway(settings_for(None), set_log_level=levels.append) as gateway:
        yield gateway, levels


async def post(gateway: Gateway, body: bytes, **headers: str) -> tuple[int, str]:
    """The answer to a change of the level. In the headers PORT is the port's number."""
    url, port = f"http://{gateway.metrics_address}/log-level", str(gateway.metrics_address).rpartition(":")[2]
    given = {name.replace("_", "-"): value.replace("PORT", port) for name, value in headers.items()}
    given = {"Content-Type": "application/x-www-form-urlencoded"} | given
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=given) as reply:
        return reply.status, await reply.text()


async def test_it_is_changed_from_this_machine(changed: tuple[Gateway, list[str]]) -> None:
    """The page shows the level that holds."""
    gateway, levels = changed
    assert await post(gateway, b"level=debug") == (200, "debug\n")
    assert levels[-1] == "debug"
    async with aiohttp.ClientSession() as session, session.get(f"http://{gateway.metrics_address}/") as reply:
        assert "level is <b>debug</b>" in await reply.text()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"level=", id="empty"),
        pytest.param(b"level=DEBUG", id="in capitals"),
        pytest.param(b"level=critical", id="of another system"),
        pytest.param(b"level=%3Cscript%3E", id="markup"),
        pytest.param(b"\xff\xfe", id="no text"),
    ],
)
async def test_another_word_changes_nothing(changed: tuple[Gateway, list[str]], body: bytes) -> None:
    """The answer names the levels, and not what was sent."""
    gateway, levels = changed
    status, text = await post(gateway, body)
    assert (status, text, levels) == (400, "level must be debug, info, warning or error.\n", [])


async def test_a_long_body_changes_nothing(changed: tuple[Gateway, list[str]]) -> None:
    """It is not read to its end."""
    gateway, levels = changed
    assert (await post(gateway, b"level=debug&" + b"x" * 5000))[0] == 413
    assert levels == []


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Origin": "https://evil.example"}, id="another origin"),
        pytest.param({"Origin": "null"}, id="an origin that is hidden"),
        pytest.param({"Origin": "http://127.0.0.1:1"}, id="another port's page"),
        pytest.param({"Origin": "https://127.0.0.1:PORT"}, id="another scheme's page"),
        pytest.param({"Sec_Fetch_Site": "cross-site"}, id="a browser that names no origin"),
        pytest.param({"Sec_Fetch_Site": "same-site"}, id="another port of this machine"),
        pytest.param({"Host": "evil.example:PORT"}, id="a name that was made to resolve to this machine"),
        pytest.param({"Host": "evil.example", "Origin": "http://evil.example"}, id="the page of such a name"),
        pytest.param({"Host": "gateway:PORT"}, id="a name of the network"),
        pytest.param({"Host": "127.0.0.1.evil.example"}, id="a name that begins as an address"),
        pytest.param({"Host": ""}, id="no host"),
        pytest.param({"X_Forwarded_For": "127.0.0.1"}, id="a proxy on this machine"),
        pytest.param({"Forwarded": "for=127.0.0.1"}, id="a proxy of the standard"),
        pytest.param({"Via": "1.1 proxy"}, id="any proxy"),
        pytest.param({"X_Forwarded_Proto": "https"}, id="a proxy that says only how it was asked"),
        pytest.param({"CF_Connecting_IP": "127.0.0.1"}, id="a CDN's"),
        pytest.param({"Referer": "http://evil.example/page"}, id="a browser that names only the page"),
        pytest.param({"Referer": "http://127.0.0.1:PORT.evil.example/"}, id="a page whose name begins as the address"),
    ],
)
async def test_a_page_of_another_origin_changes_nothing(
    changed: tuple[Gateway, list[str]], headers: dict[str, str]
) -> None:
    """Nor anybody whom a proxy serves."""
    gateway, levels = changed
    assert (await post(gateway, b"level=debug", **headers))[0] == 403
    assert levels == []


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Host": "localhost:PORT"}, id="by name"),
        pytest.param({"Host": "[::1]:PORT"}, id="IPv6"),
        pytest.param({"Host": "127.0.0.1:PORT", "Origin": "http://127.0.0.1:PORT"}, id="a page of its own"),
        pytest.param({"Referer": "http://127.0.0.1:PORT/"}, id="a page of its own, named so"),
        pytest.param({"Sec_Fetch_Site": "none"}, id="a person's own request in a browser"),
    ],
)
async def test_programs_of_this_machine_change_it(changed: tuple[Gateway, list[str]], headers: dict[str, str]) -> None:
    """By any name of loopback."""
    gateway, _ = changed
    assert (await post(gateway, b"level=warning", **headers))[0] == 200


@pytest.mark.parametrize(
    ("peer", "may"),
    [
        pytest.param("127.0.0.1", True, id="loopback"),
        pytest.param("127.8.9.10", True, id="all of it"),
        pytest.param("::1", True, id="IPv6"),
        pytest.param("::ffff:127.0.0.1", True, id="IPv4 in IPv6"),
        pytest.param("10.1.2.3", False, id="the network"),
        pytest.param("::ffff:10.1.2.3", False, id="the network, IPv4 in IPv6"),
        pytest.param("fe80::1%eth0", False, id="the link"),
        pytest.param("", False, id="a socket without an address"),
        pytest.param(None, False, id="a connection that is gone"),
    ],
)
def test_only_loopback_changes_it(peer: str | None, may: bool) -> None:
    """Whatever the headers are: anybody can send those."""
    assert may_change(CIMultiDict({"Host": "127.0.0.1:9464"}), peer) is may
