"""The dates of the certificates that are used towards others: for the vendor, the engine, the webhook's senders."""

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path

_MARGIN = 1.0
"""Seconds after an end at which it is logged: two clocks are compared."""


class CertificateDates:
    """Notes when the certificates in files end, and warns in the log from two weeks before, daily, and at the end.

    The port's own are looked at where they are used, at its handshakes. certificates_end: receives for each setting
    when the first of its certificates ends. now: seconds since 1970.
    """

    def __init__(self, certificates_end: Callable[[str, float], None], now: Callable[[], float] = time.time) -> None:
        self._certificates_end, self._now = certificates_end, now
        self._ends: dict[str, float] = {}
        self._next_look: asyncio.TimerHandle | None = None

    def note(self, files: Mapping[str, Path | None]) -> None:
        """Reads their dates, at the start and whenever they were read again. files: by the settings that name them."""
        if not any(files.values()):
            return
        from .certificate_end import first_ends  # a gateway without certificates has no use for it

        noted = first_ends(files)
        for settings, ends in noted.items():
            self._certificates_end(settings, ends)
        self._ends |= noted
        self._look(noted)

    def _look(self, ends: Mapping[str, float]) -> None:
        from .certificate_end import next_look, warn_of_ends

        now = self._now()
        warn_of_ends(ends, now)
        self.close()
        seconds = next_look(self._ends, now) - now + _MARGIN
        self._next_look = asyncio.get_running_loop().call_later(seconds, lambda: self._look(self._ends))

    def close(self) -> None:
        """Warns no more."""
        if self._next_look is not None:
            self._next_look.cancel()
