"""The sandbox's state, and the operations of service.py and control.py on it."""

import asyncio

from .call_requests import CallRequest, Plan
from .clock import Clock
from .fault_queue import FaultPlan, FaultQueue
from .request_log import RequestLog
from .seed_data import seeds
from .tokens import Tokens

MAX_CALL_REQUESTS = 10_000
"""How many can be created besides the seeds, until a reset."""
MAX_FAULTS = 1000
"""How many faults for any id can be planned, until they are cleared."""


class LimitReached(Exception):
    """A bound is reached. The text is a sentence for people."""


class State:
    """The vendor's state. token_lifetime: seconds. unpushed: call requests whose result is still to be pushed."""

    def __init__(self, token_lifetime: float) -> None:
        self.clock = Clock()
        self.tokens = Tokens(self.clock, token_lifetime)
        self.request_log = RequestLog(self.clock)
        self.faults = FaultQueue()
        self.call_requests: dict[str, CallRequest] = {}
        self.unpushed: set[CallRequest] = set()
        self.has_unpushed = asyncio.Event()
        self.reset(keep_tokens=False)

    def reset(self, *, keep_tokens: bool) -> None:
        """Restores the state at the start. keep_tokens: issued tokens stay valid until they expire."""
        self.clock.reset()
        self.request_log.clear()
        self.faults.clear()
        self.unpushed.clear()
        if not keep_tokens:
            self.tokens.revoke_all()
        now = self.clock.now()
        self.call_requests = {seed.id: CallRequest(seed.id, seed.plan, now, seed.sentence) for seed in seeds()}
        self._max = len(self.call_requests) + MAX_CALL_REQUESTS

    def make(self, call_request_id: str, plan: Plan) -> CallRequest:
        """Creates a call request, or replaces the one with that id. Raises LimitReached."""
        if call_request_id not in self.call_requests and len(self.call_requests) >= self._max:
            raise LimitReached(f"There are {MAX_CALL_REQUESTS} call requests already; reset the sandbox.")
        made = CallRequest(call_request_id, plan, self.clock.now(), "Created by a test, or on the page.")
        self.unpushed.discard(self.call_requests.get(call_request_id, made))
        self.call_requests[call_request_id] = made
        if plan.webhook is not None:
            self.unpushed.add(made)
            self.has_unpushed.set()
        return made

    def plan_fault(self, plan: FaultPlan) -> None:
        """Plans a fault for requests with any id. Raises LimitReached."""
        if len(self.faults) >= MAX_FAULTS:
            raise LimitReached(f"There are {MAX_FAULTS} faults already; clear them.")
        self.faults.add(plan)

    def fault_for(self, operation: str, call_request: CallRequest | None) -> FaultPlan | None:
        """The fault for a request, counted: one for any id, else one of the call request's own."""
        fault = self.faults.take(operation)
        return call_request.faults.take(operation) if fault is None and call_request is not None else fault
