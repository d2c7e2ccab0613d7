"""Distinguishes a token that is refused (401) from a call request that is refused with any token."""

MIN_AGE = 5.0
"""Seconds for which a token that replaced a refused one is not replaced again because of one call request."""

MIN_AGE_FOR_SEVERAL = 1.0
"""The same when several are refused with it, and none is served in between."""

MAX_PAUSE = 60.0
"""Seconds after which a call request that was refused with two tokens may cost a third, at most."""

MAX_IDS = 1000
"""Call requests that are remembered."""


class Refusals:
    """The call requests that were refused with the current token, and with a new one right after.

    Those cost no more tokens for a while: for MIN_AGE first, twice as long after each token that did not help.
    """

    def __init__(self) -> None:
        self._first: str | None = None  # refused with the current token
        self._replaced_at = float("-inf")  # when a token was fetched because of a refusal
        self._known: dict[str, tuple[float, float]] = {}  # until when, and for how many seconds

    def justifies_new_token(self, call_request_id: str, moment: float, *, served: bool) -> bool:
        """Whether this refusal is a reason to replace the token. served: whether it served another since the last."""
        until, pause = self._known.get(call_request_id, (float("-inf"), 0.0))
        if moment < until:
            return False
        if served:
            self._first = None
        age = moment - self._replaced_at
        several = self._first not in (None, call_request_id)
        if age < (MIN_AGE_FOR_SEVERAL if several else MIN_AGE):
            self._first = call_request_id
            self._remember(call_request_id, moment, min(max(2 * pause, MIN_AGE), MAX_PAUSE))
            return False
        return True

    def is_second(self, call_request_id: str) -> bool:
        """Whether the current token was refused for another call request before: then it is the token's fault.

        Else this call request is noted as the first.
        """
        if self._first is None:
            self._first = call_request_id
        return self._first != call_request_id and call_request_id not in self._known

    def token_replaced(self, moment: float) -> None:
        """There is a new token."""
        if self._first is not None:
            self._first, self._replaced_at = None, moment

    def _remember(self, call_request_id: str, moment: float, pause: float) -> None:
        self._known.pop(call_request_id, None)
        if len(self._known) >= MAX_IDS:
            del self._known[next(iter(self._known))]
        self._known[call_request_id] = moment + pause, pause
