"""The sandbox's page: what is on it, and what its buttons do."""

import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser

import aiohttp
import pytest

from sandbox import Sandbox
from sandbox.page import MAX_ROWS
from tests.sandbox.caller import PENDING

MARKUP = "<script>alert(1)</script>\"'&"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


class Page(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data + "\n"


async def read(sandbox: Sandbox) -> str:
    """The page."""
    async with aiohttp.ClientSession() as session, session.get(sandbox.url + "/sandbox/") as reply:
        assert (reply.status, reply.content_type) == (200, "text/html")
        return await reply.text()


async def ask(sandbox: Sandbox, method: str, path: str, body: object = None) -> int:
    """The status of a request as the page's script sends it."""
    headers = {"Origin": sandbox.url, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
    data = body if isinstance(body, str | None) else json.dumps(body)
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, sandbox.url + path, data=data, headers=headers) as reply,
    ):
        return reply.status


async def test_it_shows_each_call_request_with_its_life_on_the_clock(sandbox: Sandbox) -> None:
    """First what moves: when the hotel is phoned, when it is completed, for how long it has been."""
    await ask(sandbox, "PUT", "/sandbox/call-requests/onTheClock000001", {"call_in": 1000, "call_takes": 300})
    for advance, words in ((0, "phoned in 17 min"), (1100, "completed in 3 min"), (7400, "completed 2 h ago")):
        await ask(sandbox, "POST", "/sandbox/clock", {"advance": advance})
        rows = re.findall(r"<tr><td><code>(\w+)</code><td>(.*?)</tr>", await read(sandbox))
        life = dict(rows)["onTheClock000001"]
        assert words in life
        assert "<meter" in life
        moving = ["stays so" not in row for _, row in rows]
        assert moving == sorted(moving, reverse=True)
    assert "stays so" in dict(rows)["statusCompleted1"]
    assert "77b2c4d5e6f7g890" in dict(rows)


async def test_each_button_does_what_its_path_does(sandbox: Sandbox) -> None:
    """None leads nowhere, and none sends what its path refuses."""
    found = Page(await read(sandbox)).found
    buttons = [given for tag, given in found if tag == "button" and "data-path" in given]
    assert len(buttons) == 8
    for given in buttons:
        assert await ask(sandbox, str(given["data-method"]), str(given["data-path"]), given.get("data-body")) == 200
    forms = {given["data-path"] for tag, given in found if tag == "form"}
    assert forms == {"/sandbox/call-requests", "/sandbox/faults"}
    names = {given["name"] for tag, given in found if tag in {"input", "select"} and "name" in given}
    assert names == {"id", "status", "call_in", "call_takes", "fault", "operation", "times", "seconds"}
    assert await ask(sandbox, "POST", "/sandbox/faults", {"fault": "slow", "operation": "any", "times": 1}) == 200
    assert "Clear all 1" in await read(sandbox)


async def test_planned_faults_are_shown_as_long_as_they_last(sandbox: Sandbox) -> None:
    """Which, for what, and for how many requests more."""
    await ask(sandbox, "POST", "/sandbox/faults", {"fault": "html_page", "operation": "result", "times": 2})
    await ask(sandbox, "POST", "/sandbox/faults", {"fault": "slow", "seconds": 1.5})
    assert "<tr><td>html_page<td>result<td>2 more</tr><tr><td>slow<td>any<td>always, 1.5 s</tr>" in await read(sandbox)


async def test_requests_are_shown_by_what_they_are_about(sandbox: Sandbox) -> None:
    """The id of the call request; without one, as for a token, method and path."""
    await ask(sandbox, "GET", f"/api/v1/call-request/{PENDING}/result")
    await ask(sandbox, "POST", "/authorizer/token")
    page = await read(sandbox)
    assert f'<td>result<td class="long"><code>{PENDING}</code>' in page
    assert '<td>token<td class="long"><code>POST /authorizer/token</code>' in page


async def test_what_others_have_sent_is_escaped(sandbox: Sandbox) -> None:
    """Paths of requests, which may be anything."""
    async with aiohttp.ClientSession() as session:
        await session.get(f"{sandbox.url}/{MARKUP}")
        await session.get(f"{sandbox.url}/api/v1/call-request/{MARKUP}/result")
    page = Page(await read(sandbox))
    assert [tag for tag, _ in page.found].count("script") == 1  # its own
    assert page.text.count("<script>alert(1)</script>") == 2


async def test_it_loads_nothing_and_no_other_page_lays_itself_over_it(sandbox: Sandbox) -> None:
    """Its style and script are the only ones that a browser takes, and no frame shows it."""
    async with aiohttp.ClientSession() as session, session.get(sandbox.url + "/sandbox") as reply:
        html, policy = await reply.text(), reply.headers["Content-Security-Policy"]
        assert reply.headers["X-Frame-Options"] == "DENY"
    for kind in ("style", "script"):
        (text,) = re.findall(rf"<{kind}>(.*?)</{kind}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"src=|href=|url\(|@import|\bon\w+=", html)


async def test_it_stays_short_however_many_call_requests_there_are(sandbox: Sandbox) -> None:
    """The latest, and those that are there from the start; the page says how many are left out."""
    for _ in range(MAX_ROWS):
        await ask(sandbox, "POST", "/sandbox/call-requests", {})
    page = await read(sandbox)
    assert page.count("<tr><td><code>") <= MAX_ROWS + 1
    assert "more are not shown" in page


async def test_it_takes_no_part_in_what_a_test_measures(sandbox: Sandbox) -> None:
    """Looking at it is no request to the vendor."""
    await read(sandbox)
    async with aiohttp.ClientSession() as session, session.get(sandbox.url + "/sandbox/requests") as reply:
        assert (await reply.json())["requests"] == []
