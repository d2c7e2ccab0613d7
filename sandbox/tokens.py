"""Access tokens: opaque, several valid at once, each until it expires."""

import secrets

from .clock import Clock

MAX_TOKENS = 10_000
"""How many are valid at once; one more invalidates the oldest."""


class Tokens:
    """The tokens that are valid. lifetime: seconds on the sandbox's clock."""

    def __init__(self, clock: Clock, lifetime: float) -> None:
        self.lifetime = lifetime
        self._clock = clock
        self._expire_at: dict[str, float] = {}

    def issue(self) -> str:
        """A new token; those issued before stay valid."""
        if len(self._expire_at) >= MAX_TOKENS:
            del self._expire_at[next(iter(self._expire_at))]
        token = secrets.token_urlsafe(32)
        self._expire_at[token] = self._clock.now() + self.lifetime
        return token

    def accepts(self, authorization: str) -> bool:
        """Whether a header's value is a Bearer token that was issued here and has not expired."""
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and self._clock.now() < self._expire_at.get(token.strip(), 0.0)

    def revoke_all(self) -> int:
        """Invalidates every token. Returns how many there were."""
        count = len(self._expire_at)
        self._expire_at.clear()
        return count
