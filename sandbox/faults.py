"""The faults: a name, a sentence for people, and its effect on a request.

The operation is carried out only when the fault calls `act`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from .answer import Answer, json_response, unauthorized
from .vendor_examples import NOT_FOUND_CODE, NOT_FOUND_MESSAGE

MAX_WAIT = 60.0
"""Seconds that a fault delays a request at most."""

ANOTHER_ID = "anotherRequestId"
TOO_LONG = 1 << 20
"""Bytes that make a reply too long."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that meets a fault.

    act: carries the operation out and returns its answer. error: the vendor's error body for (code, message).
    closing: set when the sandbox ends; every wait ends with it.
    """

    request: web.Request
    call_request_id: str | None
    act: Callable[[], Answer]
    error: Callable[[str, str], Answer]
    seconds: float
    closing: asyncio.Event

    async def wait(self) -> None:
        try:
            async with asyncio.timeout(min(self.seconds, MAX_WAIT)):
                await self.closing.wait()
        except TimeoutError:
            pass

    def close(self) -> web.Response:
        """Closes the connection after what was written to it. The returned response is not sent."""
        if self.request.transport is not None:
            self.request.transport.close()
        return web.Response()


Play = Callable[[Exchange], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Fault:
    """sentence: the effect, and whether a cancel takes effect. seconds: the default of its wait or Retry-After."""

    sentence: str
    play: Play
    seconds: float = MAX_WAIT


def page(status: int, title: str, **headers: str) -> web.Response:
    """An HTML page, as a proxy in front of the vendor sends it."""
    text = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)


def _page(status: int, title: str, **headers: str) -> Play:
    async def play(_: Exchange) -> web.StreamResponse:
        return page(status, title, **headers)

    return play


def _error(code: str, message: str) -> Play:
    async def play(exchange: Exchange) -> web.StreamResponse:
        return exchange.error(code, message).response()

    return play


def _rewritten(rewrite: Callable[[Exchange, str], str]) -> Play:
    """Carries the operation out and sends a changed reply."""

    async def play(exchange: Exchange) -> web.StreamResponse:
        answer = exchange.act()
        return json_response(rewrite(exchange, answer.text), answer.status)

    return play


async def _without_error(exchange: Exchange) -> web.StreamResponse:
    return Answer({"success": False}, exchange.error("", "").status).response()


async def _error_though_done(exchange: Exchange) -> web.StreamResponse:
    exchange.act()
    return exchange.error("SYSTEM_ERROR", "An internal error occurred.").response()


async def _unauthorized(_: Exchange) -> web.StreamResponse:
    return unauthorized("The access token is invalid or expired.").response()


async def _too_many_requests(exchange: Exchange) -> web.StreamResponse:
    return page(429, "429 Too Many Requests", **{"Retry-After": f"{exchange.seconds:.0f}"})


async def _slow(exchange: Exchange) -> web.StreamResponse:
    answer = exchange.act()
    await exchange.wait()
    return answer.response()


async def _hang(exchange: Exchange) -> web.StreamResponse:
    await exchange.wait()
    return exchange.close()


async def _cut_off(exchange: Exchange) -> web.StreamResponse:
    return exchange.close()


async def _lost_reply(exchange: Exchange) -> web.StreamResponse:
    exchange.act()
    return exchange.close()


async def _cut_off_in_body(exchange: Exchange) -> web.StreamResponse:
    answer = exchange.act()
    body = answer.text.encode()
    response = web.StreamResponse(status=answer.status, headers={"Content-Type": "application/json"})
    response.content_length = len(body)
    await response.prepare(exchange.request)
    await response.write(body[: len(body) // 2])
    exchange.close()
    return response


def _with_another_id(exchange: Exchange, text: str) -> str:
    return text.replace(exchange.call_request_id, ANOTHER_ID) if exchange.call_request_id else text


FAULTS: Mapping[str, Fault] = {
    "html_page": Fault("An HTML page with status 200. Nothing is carried out.", _page(200, "Under maintenance")),
    "empty_body": Fault("Status 200 and no body. A cancel takes effect.", _rewritten(lambda _, text: "")),
    "truncated_json": Fault(
        "The first half of the JSON, as a complete reply. A cancel takes effect.",
        _rewritten(lambda _, text: text[: len(text) // 2]),
    ),
    "too_many_requests": Fault(
        "429 with Retry-After, 1 second, or `seconds`. Nothing is carried out.",
        _too_many_requests,
        seconds=1.0,
    ),
    "unavailable": Fault("503 with an HTML page. Nothing is carried out.", _page(503, "503 Service Unavailable")),
    "server_error": Fault("500 with an HTML page. Nothing is carried out.", _page(500, "500 Internal Server Error")),
    "forbidden_page": Fault(
        "403 with an HTML page, as a firewall sends it. Nothing is carried out.", _page(403, "403 Forbidden")
    ),
    "not_found_page": Fault("404 with an HTML page. Nothing is carried out.", _page(404, "404 Not Found")),
    "redirect": Fault("302 to /login. Nothing is carried out.", _page(302, "302 Found", Location="/login")),
    "slow": Fault(
        "The right reply after 3 seconds, or after `seconds`. A cancel takes effect at once.", _slow, seconds=3.0
    ),
    "hang": Fault(
        "No reply; the connection is closed after 60 seconds, or after `seconds`. Nothing is carried out.", _hang
    ),
    "cut_off": Fault("The connection is closed without a reply. Nothing is carried out.", _cut_off),
    "cut_off_in_body": Fault(
        "The connection is closed in the middle of the body. A cancel takes effect.", _cut_off_in_body
    ),
    "lost_reply": Fault("The connection is closed without a reply, but a cancel takes effect.", _lost_reply),
    "another_id": Fault("The reply names another call request. A cancel takes effect.", _rewritten(_with_another_id)),
    "too_long": Fault(
        "The right reply, behind more than 1 MiB of spaces. A cancel takes effect.",
        _rewritten(lambda _, text: " " * TOO_LONG + text),
    ),
    "unauthorized": Fault("401, whatever the token. Nothing is carried out.", _unauthorized),
    "not_found": Fault(
        "The vendor's error NOT_FOUND. Nothing is carried out.",
        _error(NOT_FOUND_CODE, NOT_FOUND_MESSAGE),
    ),
    "bad_request": Fault(
        "The vendor's error BAD_REQUEST. Nothing is carried out.",
        _error("BAD_REQUEST", "The request is invalid."),
    ),
    "unknown_error": Fault(
        "An error with a code that no page names, HOTEL_ON_STRIKE. Nothing is carried out.",
        _error("HOTEL_ON_STRIKE", "The hotel can not be called at the moment."),
    ),
    "error_though_done": Fault(
        "An error with a code that no page names, SYSTEM_ERROR, but a cancel takes effect.", _error_though_done
    ),
    "no_error": Fault("success false, without an error object. Nothing is carried out.", _without_error),
}
