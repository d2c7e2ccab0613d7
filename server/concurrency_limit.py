"""Bounds on calls in flight. A call above the bound fails at once, so that those within it are answered in time."""

from collections.abc import Callable
from types import TracebackType

from callrequest.v1 import error_reason_pb2 as reasons

from .errors import GatewayError


class ConcurrencyLimit:
    """At most max_in_flight at once: `with limit:` around a call; begin() and end() around what outlasts its call.

    It is checked in the handler: grpc's own maximum_concurrent_rpcs also counts streams that never send a request, by
    which anybody could lock all others out. changed: called with the number in flight, for metrics.
    """

    def __init__(self, max_in_flight: int, changed: Callable[[int], None]) -> None:
        self._max_in_flight = max_in_flight
        self._changed = changed
        self._number = 0

    def begin(self) -> None:
        """Takes a place. Raises OVERLOADED when all are taken."""
        if self._number >= self._max_in_flight:
            raise GatewayError(reasons.ERROR_REASON_OVERLOADED)
        self._number += 1
        self._changed(self._number)

    def end(self) -> None:
        """Returns a place."""
        self._number -= 1
        self._changed(self._number)

    def __enter__(self) -> None:
        self.begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
