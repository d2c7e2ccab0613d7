"""The status page: what it shows, what it never shows, and what a browser may do with it."""

import asyncio
import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from pydantic import SecretStr

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from server import __version__
from server.app import Gateway
from server.observability.history import History
from server.observability.samples import Key, Samples
from server.observability.sampling import EVERY
from server.observability.status_page import CONTENT_SECURITY_POLICY, StatusPage
from server.settings import Settings, shown
from server.vendor_api.quirks import Quirk
from testkit.gateway import connected, settings_for, started, status_page_of
from testkit.scripted_vendor import RESULT_ID, ScriptedVendor, pending, send

GET = GetCallRequestResultRequest(call_request_id=RESULT_ID)
MARKUP = "<script>alert(1)</script>\"'&"


class Elements(HTMLParser):
    """The elements of a page and their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data + "\n"


async def page(settings: Settings, values: dict[Key, float] | None = None) -> str:
    """The page of these settings when this is counted."""
    samples = Samples(values or {})
    return StatusPage(settings, {}).html(samples, History(lambda: samples), "info", is_ready=True)


async def text_of(gateway: Gateway) -> str:
    """The words of its page."""
    return re.sub(r"\s+", " ", Elements(await status_page_of(gateway)).text)


async def test_it_shows_how_the_gateway_is(vendor: ScriptedVendor) -> None:
    """Version, vendor, calls, quirks with their sentences and unknown words by field, settings."""
    vendor.answer("result", send(pending() | {"callRequetStatus": "ON_HOLD"}))
    async with started(vendor.url, default_max_age=60, final_max_age=60) as gateway, connected(gateway) as client:
        assert "not tried yet" in await status_page_of(gateway)
        for _ in range(3):
            await client.GetCallRequestResult(GET)
        async with asyncio.timeout(30):  # the token is looked at every second
            while not re.search(r"sent \d+ s old 23 h \d\d min left", text := await text_of(gateway)):  # noqa: ASYNC110
                await asyncio.sleep(EVERY / 4)
    for shown_text in (
        f"{__version__}, Python",
        "serving",
        f"{vendor.url} reachable reads token this process for ",
        "result 1 0 ",
        "GetCallRequestResult 3 100.0 %",
        "cache 2 66.7 %",
        "anonymous 3 100.0 % 0",
        f"Q14 {Quirk.UNKNOWN_ENUM_VALUE.sentence.partition('`')[0]}",
        "our field values status 1",
        "1 results, ",
        "GATEWAY_DEFAULT_MAX_AGE 60.0 set",
        "GATEWAY_VENDOR_CLIENT_SECRET set set",
    ):
        assert shown_text in text, shown_text


async def test_it_shows_for_how_long_the_vendor_cannot_be_reached(vendor: ScriptedVendor) -> None:
    """And no token."""
    async with started("http://127.0.0.1:9") as gateway, connected(gateway) as client:
        for _ in range(2):
            with pytest.raises(grpc.aio.AioRpcError):
                await client.GetCallRequestResult(GET)
        assert "not tried yet" in await status_page_of(gateway)  # only a token was asked for
    async with started(vendor.url) as gateway, connected(gateway) as client:
        await client.GetCallRequestResult(GET)
        await vendor.__aexit__()
        with pytest.raises(grpc.aio.AioRpcError):
            await client.GetCallRequestResult(GET)
        assert "not for " in await status_page_of(gateway)


SECRETS = [name for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation)]


def test_the_secrets_are_found() -> None:
    """The sweep below sweeps something: each setting that names a secret in its documentation is one of them."""
    assert {"vendor_client_secret", "vendor_proxy", "state_url", "state_keys", "webhook_secrets"} <= set(SECRETS)


@pytest.mark.parametrize("name", [*SECRETS, "vendor_client_id"])
async def test_a_secret_is_never_on_it(name: str) -> None:
    """It is only said to be set, whatever it is."""
    value: Any = "canary-7Q" if name == "vendor_client_id" else SecretStr("canary-7Q")
    settings = settings_for("https://vendor.example").model_copy(update={name: value})
    assert "canary-7Q" not in await page(settings)
    assert {each.name: each.value for each in shown(settings)}[f"GATEWAY_{name.upper()}"] == "set"


async def test_what_is_no_markup_of_ours_is_escaped() -> None:
    """Settings, and labels that a file or somebody else has named: in every section."""
    settings = settings_for("https://vendor.example").model_copy(
        update={"secrets_dir": Path(f"/{MARKUP}"), "vendor_url": MARKUP, "webhook_listen": MARKUP, "callers": Path("x")}
    )
    labels = ("settings", "caller", "quirk", "field", "source", "cause", "settled_by", "grpc_method", "grpc_code")
    names = sorted(set(re.findall(r'"(\w+_(?:total|seconds|in_flight))"', _sources())))
    values: dict[Key, float] = {
        (name, tuple(sorted((each, MARKUP) for each in (*labels, "process", "outcome", "operation", "kind")))): 7.0
        for name in names
    }
    values |= {
        (name, (*pairs, ("grpc_service", "callrequest.v1.CallRequestService"))): value
        for (name, pairs), value in values.items()
        if name.startswith("grpc")
    }
    elements = Elements(await page(settings, values))
    allowed = (
        *(
            "html",
            "head",
            "meta",
            "title",
            "style",
            "body",
            "header",
            "main",
            "section",
            "details",
            "summary",
            "h1",
            "h2",
        ),
        *("p", "small", "span", "b", "br", "code", "div", "table", "thead", "tbody", "tr", "th", "td"),
    )
    assert {name for name, _ in elements.found} <= set(allowed)
    assert {each for _, given in elements.found for each in given} <= {
        "lang",
        "charset",
        "name",
        "content",
        "class",
        "title",
    }
    assert elements.text.count(MARKUP) > 10


async def test_a_long_name_of_a_caller_is_broken_so_that_its_figures_stay_in_sight() -> None:
    """The longest that the callers' file takes; a table that is too wide would hide what stands to its right."""
    settings = settings_for("https://vendor.example").model_copy(update={"callers": Path("x")})
    labels = {"caller": "n" * 64, "grpc_method": "GetCallRequestResult", "grpc_code": "OK"}
    html = await page(settings, {("grpc_server_calls_by_caller_total", tuple(sorted(labels.items()))): 7.0})
    assert f'<td><span class="name">{"n" * 64}</span></td><td class="number">7</td>' in html
    (style,) = re.findall(r"^\.name {(.*)}$", html, re.MULTILINE)
    assert "white-space: normal" in style
    assert "overflow-wrap: anywhere" in style


def _sources() -> str:
    room = Path(__file__).parents[2] / "server/observability"
    return "".join(path.read_text() for path in room.glob("*.py"))


async def test_it_loads_nothing_and_runs_nothing(gateway: Gateway) -> None:
    """One document: no scripts, no styles or pictures from elsewhere; and the browser is told so."""
    async with aiohttp.ClientSession() as session, session.get(f"http://{gateway.metrics_address}/") as reply:
        html, headers = await reply.text(), reply.headers
    assert not re.search(r"<script|<link|<img|<iframe|src=|href=|url\(|@import|\bon\w+=", html)
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert f"default-src 'none'; style-src 'sha256-{digest}';" in CONTENT_SECURITY_POLICY
    assert "frame-ancestors 'none'" in CONTENT_SECURITY_POLICY
    assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        pytest.param("127.0.0.1:9464", 200, id="an address"),
        pytest.param("[::1]:9464", 200, id="an IPv6 address"),
        pytest.param("localhost", 200, id="localhost"),
        pytest.param("gateway", 200, id="a name of one label"),
        pytest.param("gateway.tools.svc.cluster.local", 200, id="a cluster's name"),
        pytest.param("evil.example:9464", 403, id="a public name"),
        pytest.param("127.0.0.1.evil.example", 403, id="a name that begins as an address"),
        pytest.param("", 403, id="none"),
    ],
)
async def test_a_page_of_a_public_name_cannot_read_it(gateway: Gateway, host: str, status: int) -> None:
    """Such a name may have been made to resolve to this machine (DNS rebinding). Metrics are counts only, and open."""
    url = f"http://{gateway.metrics_address}"
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/", headers={"Host": host}) as reply:
            assert reply.status == status
        async with session.get(f"{url}/metrics", headers={"Host": host}) as reply:
            assert reply.status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/", "/metrics", "/ready"])
async def test_nothing_else_can_be_changed(gateway: Gateway, method: str, path: str) -> None:
    """The port is for reading, but for the level of the log."""
    url = f"http://{gateway.metrics_address}{path}"
    async with aiohttp.ClientSession() as session, session.request(method, url) as reply:
        assert reply.status == 405
