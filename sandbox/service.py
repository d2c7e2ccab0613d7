"""The vendor's own paths: token, result, cancel.

A request is logged, authorized, changed by a fault if one is planned, and carried out.
"""

import asyncio
import hmac
import json
from collections.abc import Callable

from aiohttp import web

from .answer import Answer, unauthorized
from .call_requests import CallRequest, CancelRefused
from .dialect import Dialect
from .fault_queue import FaultPlan
from .faults import FAULTS, Exchange, page
from .state import State
from .vendor_examples import CANCELLATION_NOT_ALLOWED_CODE, NOT_FOUND_CODE, NOT_FOUND_MESSAGE


class Service:
    """Answers as the vendor does. closing: set when the sandbox ends."""

    def __init__(self, state: State, client_id: str, client_secret: str, closing: asyncio.Event) -> None:
        self._state = state
        self._client_id = client_id
        self._client_secret = client_secret
        self._closing = closing

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/authorizer/token", self._token, allow_head=False),
            web.post("/authorizer/token", self._token),
            web.get("/api/v1/call-request/{id}/result", self._result, allow_head=False),
            web.post("/api/v1/call-request/cancel", self._cancel),
            web.route("*", "/{path:.*}", self._other),
        ]

    async def _token(self, request: web.Request) -> web.StreamResponse:
        self._state.request_log.record(request.method, request.path, "token", None)
        return await self._meet(request, "token", None, lambda: self._issue(request))

    async def _result(self, request: web.Request) -> web.StreamResponse:
        call_request_id = request.match_info["id"]
        self._state.request_log.record(request.method, request.path, "result", call_request_id)
        return await self._authorized(request, "result", call_request_id, self._read)

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        call_request_id = await _id_in_body(request)
        self._state.request_log.record(request.method, request.path, "cancel", call_request_id)
        return await self._authorized(request, "cancel", call_request_id, self._carry_out_cancel)

    async def _other(self, request: web.Request) -> web.StreamResponse:
        self._state.request_log.record(request.method, request.path, "other", None)
        return page(404, "404 Not Found")

    async def _authorized(
        self,
        request: web.Request,
        operation: str,
        call_request_id: str | None,
        carry_out: Callable[[CallRequest], Answer],
    ) -> web.StreamResponse:
        if not self._state.tokens.accepts(request.headers.get("Authorization", "")):
            return unauthorized("The access token is invalid or expired.").response()
        call_request = self._state.call_requests.get(call_request_id or "")

        def act() -> Answer:
            if call_request_id is None:
                return _error(None, "BAD_REQUEST", "Invalid request: call request id cannot be empty")
            if call_request is None:
                return _error(None, NOT_FOUND_CODE, NOT_FOUND_MESSAGE)
            return carry_out(call_request)

        return await self._meet(request, operation, call_request, act)

    async def _meet(
        self, request: web.Request, operation: str, call_request: CallRequest | None, act: Callable[[], Answer]
    ) -> web.StreamResponse:
        """Applies the fault that is planned for the request, if there is one; else carries the request out."""
        plan = self._state.fault_for(operation, call_request)
        if plan is None:
            return act().response()
        return await FAULTS[plan.name].play(self._exchange(request, plan, call_request, act))

    def _exchange(
        self, request: web.Request, plan: FaultPlan, call_request: CallRequest | None, act: Callable[[], Answer]
    ) -> Exchange:
        return Exchange(
            request=request,
            call_request_id=None if call_request is None else call_request.id,
            act=act,
            error=lambda code, message: _error(call_request, code, message),
            seconds=FAULTS[plan.name].seconds if plan.seconds is None else plan.seconds,
            closing=self._closing,
        )

    def _issue(self, request: web.Request) -> Answer:
        query = request.query
        if query.get("grant_type") != "client_credentials":
            return Answer(Dialect().error("BAD_REQUEST", "Invalid request: grant type is not supported"), 400)
        is_known = _same(query.get("client_id", ""), self._client_id)
        if not (_same(query.get("client_secret", ""), self._client_secret) and is_known):
            return unauthorized("The client credentials are invalid.")
        tokens = self._state.tokens
        lifetime = int(tokens.lifetime) if tokens.lifetime == int(tokens.lifetime) else tokens.lifetime
        return Answer({"access_token": tokens.issue(), "expires_in": lifetime, "token_type": "Bearer"})

    def _read(self, call_request: CallRequest) -> Answer:
        status = call_request.status(self._state.clock.now())
        return Answer(call_request.plan.dialect.result(call_request.id, status, call_request.outcome()))

    def _carry_out_cancel(self, call_request: CallRequest) -> Answer:
        now = self._state.clock.now()
        try:
            call_request.cancel(now)
        except CancelRefused as refused:
            return _error(call_request, CANCELLATION_NOT_ALLOWED_CODE, str(refused))
        return Answer(call_request.plan.dialect.cancellation(call_request.id, now))


async def _id_in_body(request: web.Request) -> str | None:
    """The id in the body of a cancel; None when the body is not as documented."""
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError, web.HTTPRequestEntityTooLarge):
        return None
    call_request_id = body.get("callRequestId") if isinstance(body, dict) else None
    return call_request_id if isinstance(call_request_id, str) and call_request_id else None


def _error(call_request: CallRequest | None, code: str, message: str) -> Answer:
    """The vendor's error body in the dialect of the call request; with status 200 for an unknown one."""
    if call_request is None:
        return Answer(Dialect().error(code, message))
    return Answer(call_request.plan.dialect.error(code, message), call_request.plan.error_status)


def _same(received: str, expected: str) -> bool:
    return hmac.compare_digest(received.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass"))
