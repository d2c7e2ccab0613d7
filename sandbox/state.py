"""Everything the sandbox remembers, and what two front doors (service.py, control.py) may do to it."""

from .call_requests import CallRequest, Plan
from .clock import Clock
from .fault_queue import FaultPlan, FaultQueue
from .request_log import Asked
from .seed_data import known
from .tokens import Tokens

MAX_CALL_REQUESTS = 10_000
"""So many can be made beside the known ones, until a reset."""
MAX_FAULTS = 1000
"""So many faults for whatever id can be planned, until they are cleared."""


class Full(Exception):
    """A bound is reached; the exception's text is a sentence for people."""


class World:
    """The vendor's state. token_lifetime: seconds."""

    def __init__(self, token_lifetime: float) -> None:
        self.clock = Clock()
        self.tokens = Tokens(self.clock, token_lifetime)
        self.asked = Asked(self.clock)
        self.faults = FaultQueue()
        self.call_requests: dict[str, CallRequest] = {}
        self.reset(keep_tokens=False)

    def reset(self, *, keep_tokens: bool) -> None:
        """Everything back to the start; with keep_tokens, tokens issued stay valid for their time."""
        self.clock.reset()
        self.asked.clear()
        self.faults.clear()
        if not keep_tokens:
            self.tokens.revoke_all()
        now = self.clock.now()
        self.call_requests = {row.id: CallRequest(row.id, row.plan, now, row.sentence) for row in known()}
        self._most = len(self.call_requests) + MAX_CALL_REQUESTS

    def make(self, call_request_id: str, plan: Plan) -> CallRequest:
        """Makes a call request, in the place of one with that id. Raises Full."""
        if call_request_id not in self.call_requests and len(self.call_requests) >= self._most:
            raise Full(f"There are {MAX_CALL_REQUESTS} call requests already; reset the sandbox.")
        made = CallRequest(call_request_id, plan, self.clock.now(), "Made by a control request.")
        self.call_requests[call_request_id] = made
        return made

    def plan_fault(self, plan: FaultPlan) -> None:
        """A fault for whatever call request. Raises Full."""
        if len(self.faults) >= MAX_FAULTS:
            raise Full(f"There are {MAX_FAULTS} faults already; clear them.")
        self.faults.add(plan)

    def fault_for(self, operation: str, call_request: CallRequest | None) -> FaultPlan | None:
        """The fault that a request meets, counted: one for whatever id, else one of the call request's own."""
        fault = self.faults.take(operation)
        return call_request.faults.take(operation) if fault is None and call_request is not None else fault
