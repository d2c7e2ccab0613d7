"""How long a call may take."""

import asyncio

DEFAULT_SECONDS, MAX_SECONDS, MIN_SECONDS = 10.0, 30.0, 0.05
"""Seconds given to a caller that sets no deadline; given to anyone at most; with less left nothing is begun."""


def now() -> float:
    """Seconds on the event loop's clock, the one that timeouts run by."""
    return asyncio.get_running_loop().time()


class Deadline:
    """A moment on the event loop's clock by which everything done for a call must be over.

    yields: whether the call lets others go first where reads wait for the rate limit, as batches do.
    """

    __slots__ = ("_at", "yields")

    def __init__(self, at: float, *, yields: bool = False) -> None:
        self._at = at
        self.yields = yields

    @classmethod
    def after(cls, seconds: float | None) -> "Deadline":
        """The deadline of a call that has so many seconds left; None when its caller set none.

        It is a little sooner, so that the answer that time is up still reaches the caller, with its details.
        """
        whole = min(DEFAULT_SECONDS if seconds is None else seconds, MAX_SECONDS)
        return cls(now() + whole - min(MIN_SECONDS, whole / 10))

    def remaining(self) -> float:
        """Seconds left; negative once it has passed."""
        return self._at - now()

    def spent(self) -> bool:
        """Whether too little is left to begin anything."""
        return self.remaining() < MIN_SECONDS

    def part(self, share: float, at_least: float = 0.0) -> "Deadline":
        """The moment at which this share of the time left is over, and at the earliest after at_least seconds."""
        left = max(self.remaining(), 0)
        return Deadline(now() + max(left * share, min(left, at_least)))

    def copy(self) -> "Deadline":
        """The same moment, to be moved on its own."""
        return Deadline(self._at, yields=self.yields)

    def earlier(self, seconds: float) -> "Deadline":
        """The moment that is so many seconds before this one."""
        return Deadline(self._at - seconds, yields=self.yields)

    def yielding(self) -> "Deadline":
        """The same moment, for a call that lets others go first."""
        return Deadline(self._at, yields=True)

    def extend(self, other: "Deadline") -> None:
        """Moves it to the other one, if that is later. It yields if both do."""
        self.yields = self.yields and other.yields
        self._at = max(self._at, now() + other.remaining())

    def shorten(self, other: "Deadline") -> None:
        """Moves it to the other one, if that is sooner."""
        self._at = min(self._at, now() + other.remaining())
