"""Tells a token that is refused (401) from a call request that is refused with any token."""

MIN_AGE = 5.0
"""Seconds for which a token that replaced a refused one is not replaced again."""

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

    def may_be_the_tokens(self, call_request_id: str, moment: float) -> bool:
        """Whether this refusal is a reason to replace the token."""
        until, pause = self._known.get(call_request_id, (float("-inf"), 0.0))
        if moment < until:
            return False
        if moment - self._replaced_at < MIN_AGE:
            self._remember(call_request_id, moment, min(max(2 * pause, MIN_AGE), MAX_PAUSE))
            return False
        return True

    def is_another(self, call_request_id: str) -> bool:
        """Whether the current token was refused before for another call request: then it is the token's fault."""
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
