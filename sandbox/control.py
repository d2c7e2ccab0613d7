"""The paths under /sandbox/: a page for people, and those that change the sandbox's state and report its
requests. They need no token.
"""

import secrets
import string
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from .call_requests import CallRequest
from .clock import MAX_AHEAD, timestamp
from .control_input import Fields, WrongInput, read_fault, read_id, read_plan
from .page import HEADERS, page
from .pushes import Pushes
from .state import LimitReached, State

_LETTERS = string.ascii_letters + string.digits
_Handler = Callable[[web.Request], Awaitable[Any]]


class Control:
    """Changes the state for a test. Wrong input is answered with 400 and {"error": "<a sentence>"}."""

    def __init__(self, state: State, pushes: Pushes) -> None:
        self._state = state
        self._pushes = pushes

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/sandbox", self._page, allow_head=False),
            web.get("/sandbox/", self._page, allow_head=False),
            web.get("/sandbox/call-requests", _json(self._list)),
            web.post("/sandbox/call-requests", _json(self._make)),
            web.put("/sandbox/call-requests/{id}", _json(self._put)),
            web.post("/sandbox/clock", _json(self._advance)),
            web.post("/sandbox/tokens/revoke", _json(self._revoke)),
            web.get("/sandbox/faults", _json(self._report_faults), allow_head=False),
            web.post("/sandbox/faults", _json(self._plan_fault)),
            web.delete("/sandbox/faults", _json(self._clear_faults)),
            web.get("/sandbox/requests", _json(self._report)),
            web.get("/sandbox/pushes", _json(self._report_pushes)),
            web.post("/sandbox/reset", _json(self._reset)),
            web.route("*", "/sandbox/{path:.*}", _json(_nothing_here)),
        ]

    async def _page(self, request: web.Request) -> web.Response:
        html = page(self._state, self._pushes)
        return web.Response(text=html, content_type="text/html", charset="utf-8", headers=HEADERS)

    async def _list(self, request: web.Request) -> Any:
        return {"call_requests": [self._shown(each) for each in self._state.call_requests.values()]}

    async def _make(self, request: web.Request) -> Any:
        plan = read_plan(Fields(await request.read()))
        call_request_id = "".join(secrets.choice(_LETTERS) for _ in range(16))
        return self._shown(self._state.make(call_request_id, plan))

    async def _put(self, request: web.Request) -> Any:
        call_request_id = read_id(request.match_info["id"])
        return self._shown(self._state.make(call_request_id, read_plan(Fields(await request.read()))))

    async def _advance(self, request: web.Request) -> Any:
        fields = Fields(await request.read())
        seconds = fields.seconds("advance", minimum=0)
        fields.end()
        if seconds is None:
            raise WrongInput("advance is missing: a number of seconds.")
        try:
            self._state.clock.advance(seconds)
        except ValueError:
            raise WrongInput(f"The clock can be advanced by {MAX_AHEAD:g} seconds in all.") from None
        return {"now": timestamp(self._state.clock.now())}

    async def _revoke(self, request: web.Request) -> Any:
        Fields(await request.read()).end()
        return {"revoked": self._state.tokens.revoke_all()}

    async def _plan_fault(self, request: web.Request) -> Any:
        fields = Fields(await request.read())
        plan = read_fault(fields)
        fields.end()
        if plan is None:
            raise WrongInput("fault is missing: the name of one.")
        self._state.plan_fault(plan)
        return {"faults": len(self._state.faults)}

    async def _report_faults(self, request: web.Request) -> Any:
        return {"planned": self._state.faults.report()}

    async def _clear_faults(self, request: web.Request) -> Any:
        self._state.faults.clear()
        return {"faults": 0}

    async def _report(self, request: web.Request) -> Any:
        return self._state.request_log.report()

    async def _report_pushes(self, request: web.Request) -> Any:
        return {"pushes": self._pushes.report()}

    async def _reset(self, request: web.Request) -> Any:
        fields = Fields(await request.read())
        keep_tokens = fields.flag("keep_tokens", default=True)
        fields.end()
        self._state.reset(keep_tokens=keep_tokens)
        self._pushes.reset()
        return {"now": timestamp(self._state.clock.now())}

    def _shown(self, call_request: CallRequest) -> dict[str, str]:
        status = call_request.status(self._state.clock.now())
        return {"id": call_request.id, "status": status.value, "sentence": call_request.sentence}


async def _nothing_here(request: web.Request) -> Any:
    raise web.HTTPNotFound


def _json(handler: _Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Answers with the result of a handler, or with the sentence of its error."""

    async def answer(request: web.Request) -> web.Response:
        try:
            await request.read()  # an unread body can delay the connection's next request
            return web.json_response(await handler(request))
        except (WrongInput, LimitReached) as wrong:
            return web.json_response({"error": str(wrong)}, status=400)
        except web.HTTPRequestEntityTooLarge:
            return web.json_response({"error": "The body is too long."}, status=400)
        except web.HTTPNotFound:
            return web.json_response({"error": "There is no such path or method."}, status=404)

    return answer
