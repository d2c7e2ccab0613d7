"""The leases that this process holds, renewed while their reads go on."""

import asyncio
from contextlib import suppress

from ..deadline import now
from .engine import Engine
from .keys import LEASE, milliseconds
from .scripts import RENEW
from .values import EngineError

RENEW_EVERY = 1.0
"""Seconds between two renewals of a lease. The first is half a second sooner or later."""


class Leases:
    """Renews leases: `hold` … `let_go`. One timer serves all: a task for each would cost as much as asking for it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._held: dict[str, tuple[str, float]] = {}  # the lease's key, and since when, by token
        self._timer: asyncio.TimerHandle | None = None

    def hold(self, lease: str, token: str) -> None:
        """Renews a lease from now on. token: of this holder alone."""
        self._held[token] = (lease, now())
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(RENEW_EVERY, self._renew)

    def let_go(self, token: str) -> None:
        """Renews it no more."""
        self._held.pop(token, None)

    def _renew(self) -> None:
        begun_by = now() - RENEW_EVERY / 2  # most reads are over sooner
        for token, (lease, since) in self._held.items():
            if since <= begun_by:
                with suppress(EngineError):
                    self._engine.run_deferred(RENEW, lease, token, milliseconds(LEASE))
        self._timer = asyncio.get_running_loop().call_later(RENEW_EVERY, self._renew) if self._held else None
