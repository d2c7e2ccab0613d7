"""Who reaches the sandbox: programs, and its own pages; not the pages of other sites in a browser on this machine."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from sandbox import Sandbox


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


async def status(sandbox: Sandbox, method: str, path: str, **headers: str) -> int:
    """The status of a request with these headers, `Host` and `Origin`; in them PORT is the sandbox's."""
    given = {name: value.replace("PORT", str(sandbox.port)) for name, value in headers.items()}
    async with aiohttp.ClientSession() as session, session.request(method, sandbox.url + path, headers=given) as reply:
        return reply.status


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Host": "evil.example:PORT"}, id="a name that was made to resolve to this machine"),
        pytest.param({"Host": "evil.example"}, id="without a port"),
        pytest.param({"Host": "localhost.evil.example:PORT"}, id="a name that begins well"),
        pytest.param({"Host": "127.0.0.1.evil.example:PORT"}, id="a name that begins as an address"),
        pytest.param({"Host": "127.0.0.1:PORT@evil.example"}, id="no host"),
        pytest.param({"Host": ""}, id="an empty one"),
        pytest.param({"Origin": "https://evil.example"}, id="another origin"),
        pytest.param({"Origin": "null"}, id="an origin that is hidden"),
        pytest.param({"Origin": "http://127.0.0.1:1"}, id="another port's page"),
        pytest.param({"Origin": "https://127.0.0.1:PORT"}, id="another scheme's page"),
        pytest.param({"Host": "evil.example", "Origin": "http://evil.example"}, id="both"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/sandbox/reset"), ("GET", "/sandbox/requests"), ("POST", "/authorizer/token"), ("GET", "/")],
)
async def test_another_sites_page_is_refused(sandbox: Sandbox, method: str, path: str, headers: dict[str, str]) -> None:
    """On every path, and nothing of it is carried out or noted."""
    assert await status(sandbox, method, path, **headers) == 403
    async with aiohttp.ClientSession() as session, session.get(sandbox.url + "/sandbox/requests") as reply:
        assert (await reply.json())["requests"] == []


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/sandbox/reset"),
        ("POST", "/sandbox/clock"),
        ("DELETE", "/sandbox/faults"),
        ("PUT", "/sandbox/call-requests/0123456789abcdef"),
        ("POST", "/api/v1/call-request/cancel"),
    ],
)
async def test_a_browser_that_names_no_origin_names_the_site(
    sandbox: Sandbox, method: str, path: str, site: str
) -> None:
    """A form of another site changes nothing, whatever its browser leaves out; a link may lead to the page."""
    assert await status(sandbox, method, path, **{"Sec-Fetch-Site": site}) == 403
    assert await status(sandbox, "GET", "/sandbox/", **{"Sec-Fetch-Site": site}) == 200


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="a program"),
        pytest.param({"Host": "localhost:PORT"}, id="localhost"),
        pytest.param({"Host": "LOCALHOST.:PORT"}, id="localhost, in another spelling"),
        pytest.param({"Host": "[::1]:PORT"}, id="IPv6"),
        pytest.param({"Host": "10.1.2.3"}, id="an address"),
        pytest.param({"Host": "sandbox:50080"}, id="a container's name"),
        pytest.param({"Host": "sandbox.tests.svc.cluster.local"}, id="a cluster's name"),
        pytest.param({"Host": "localhost:PORT", "Origin": "http://localhost:PORT"}, id="its own page"),
        pytest.param({"Sec-Fetch-Site": "same-origin"}, id="its own page, by what the browser says"),
    ],
)
async def test_everybody_else_is_served(sandbox: Sandbox, headers: dict[str, str]) -> None:
    """By any name that is private, and by addresses."""
    assert await status(sandbox, "POST", "/sandbox/reset", **headers) == 200


async def test_the_name_that_it_listens_on_is_its_own() -> None:
    """Whatever it is."""
    async with Sandbox("localhost") as sandbox:
        assert await status(sandbox, "GET", "/sandbox/requests") == 200
