"""The paths under /sandbox/: for tests to set the scene and to look behind it. They need no token."""

import secrets
import string
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from .call_requests import CallRequest
from .clock import MAX_AHEAD, spelt
from .control_input import Fields, WrongInput, read_fault, read_id, read_plan
from .state import Full, World

_LETTERS = string.ascii_letters + string.digits
_Handler = Callable[[web.Request], Awaitable[Any]]


class Control:
    """What tests may do to the world. Wrong input is answered with 400 and {"error": "<a sentence>"}."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/sandbox/call-requests", _json(self._list)),
            web.post("/sandbox/call-requests", _json(self._make)),
            web.put("/sandbox/call-requests/{id}", _json(self._put)),
            web.post("/sandbox/clock", _json(self._advance)),
            web.post("/sandbox/tokens/revoke", _json(self._revoke)),
            web.post("/sandbox/faults", _json(self._plan_fault)),
            web.delete("/sandbox/faults", _json(self._clear_faults)),
            web.get("/sandbox/requests", _json(self._report)),
            web.post("/sandbox/reset", _json(self._reset)),
            web.route("*", "/sandbox/{path:.*}", _json(_nothing_here)),
        ]

    async def _list(self, request: web.Request) -> Any:
        return {"call_requests": [self._shown(known) for known in self._world.call_requests.values()]}

    async def _make(self, request: web.Request) -> Any:
        plan = read_plan(Fields(await request.read()))
        call_request_id = "".join(secrets.choice(_LETTERS) for _ in range(16))
        return self._shown(self._world.make(call_request_id, plan))

    async def _put(self, request: web.Request) -> Any:
        call_request_id = read_id(request.match_info["id"])
        return self._shown(self._world.make(call_request_id, read_plan(Fields(await request.read()))))

    async def _advance(self, request: web.Request) -> Any:
        fields = Fields(await request.read())
        seconds = fields.seconds("advance", least=0)
        fields.end()
        if seconds is None:
            raise WrongInput("advance is missing: a number of seconds.")
        try:
            self._world.clock.advance(seconds)
        except ValueError:
            raise WrongInput(f"The clock can be advanced by {MAX_AHEAD:g} seconds in all.") from None
        return {"now": spelt(self._world.clock.now())}

    async def _revoke(self, request: web.Request) -> Any:
        Fields(await request.read()).end()
        return {"revoked": self._world.tokens.revoke_all()}

    async def _plan_fault(self, request: web.Request) -> Any:
        fields = Fields(await request.read())
        plan = read_fault(fields)
        fields.end()
        if plan is None:
            raise WrongInput("fault is missing: the name of one.")
        self._world.plan_fault(plan)
        return {"faults": len(self._world.faults)}

    async def _clear_faults(self, request: web.Request) -> Any:
        self._world.faults.clear()
        return {"faults": 0}

    async def _report(self, request: web.Request) -> Any:
        return self._world.asked.report()

    async def _reset(self, request: web.Request) -> Any:
        fields = Fields(await request.read())
        keep_tokens = fields.flag("keep_tokens")
        fields.end()
        self._world.reset(keep_tokens=keep_tokens)
        return {"now": spelt(self._world.clock.now())}

    def _shown(self, call_request: CallRequest) -> dict[str, str]:
        status = call_request.status(self._world.clock.now())
        return {"id": call_request.id, "status": status.value, "sentence": call_request.sentence}


async def _nothing_here(request: web.Request) -> Any:
    raise web.HTTPNotFound


def _json(handler: _Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Answers with what a handler gives, or with the sentence that says why it does not."""

    async def answer(request: web.Request) -> web.Response:
        try:
            await request.read()  # wanted or not: one left unread can hold up the connection's next request
            return web.json_response(await handler(request))
        except (WrongInput, Full) as wrong:
            return web.json_response({"error": str(wrong)}, status=400)
        except web.HTTPRequestEntityTooLarge:
            return web.json_response({"error": "The body is too long."}, status=400)
        except web.HTTPNotFound:
            return web.json_response({"error": "There is no such path or method."}, status=404)

    return answer
