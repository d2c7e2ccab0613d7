"""Bounds on what is in flight. Above one a call is refused at once, so that those within it are served in time."""

from collections.abc import Callable
from types import TracebackType

from callrequest.v1 import error_reason_pb2 as reasons

from .errors import GatewayError


class ConcurrencyLimit:
    """`with in_flight:` around a call; begin() and end() around what goes on without its call.

    Raises OVERLOADED when there are as many as the bound allows. Checked in the handler: grpc's own
    maximum_concurrent_rpcs also counts streams that never send a request, and so lets anybody lock all others out.
    changed: is told the number, for metrics.
    """

    def __init__(self, most: int, changed: Callable[[int], None]) -> None:
        self._most = most
        self._changed = changed
        self._number = 0

    def begin(self) -> None:
        """Takes a place. Raises OVERLOADED when there is none."""
        if self._number >= self._most:
            raise GatewayError(reasons.ERROR_REASON_OVERLOADED)
        self._number += 1
        self._changed(self._number)

    def end(self) -> None:
        """Gives a place back."""
        self._number -= 1
        self._changed(self._number)

    def __enter__(self) -> None:
        self.begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
