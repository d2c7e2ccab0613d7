"""Failures that are about one call request, cached like its result: whoever polls it asks the vendor once an age."""

from ..deadline import now
from ..errors import Delivery, GatewayError, VendorState
from .recent_ids import RecentIds

MAX_AGE = 1.0
"""Seconds for which a failure is raised again at most; the default max_age when that is shorter."""
REMEMBERED = 10.0
"""Seconds for which the next read of the id counts as the one that renews the failure: it is not retried."""


class KnownFailures:
    """The latest failure of each call request that failed within REMEMBERED seconds.

    default_max_age: seconds; for a caller that sets no max_age.
    """

    def __init__(self, default_max_age: float) -> None:
        self._max_age = min(default_max_age, MAX_AGE)
        self._failures = RecentIds[tuple[float, GatewayError]](REMEMBERED)
        self._accepted, self._refused = RecentIds[bool](REMEMBERED), RecentIds[bool](REMEMBERED)

    def __len__(self) -> int:
        return len(self._failures)

    def check(self, call_request_id: str, max_age: float | None) -> None:
        """Raises the failure if it is less than max_age seconds old. max_age: None: the default; 0: never raises."""
        known = self._failures.get(call_request_id)
        if known is not None:
            failed_at, error = known
            if now() - failed_at < (self._max_age if max_age is None else min(max_age, self._max_age)):
                raise error.copy()

    def has(self, call_request_id: str) -> bool:
        """Whether a failure is remembered, young enough to be raised or not."""
        return self._failures.get(call_request_id) is not None

    def put(self, call_request_id: str, error: GatewayError) -> None:
        """Caches a failure of a read, if it is about the id."""
        if error.spec.about_the_id and not self._is_about_all_ids(call_request_id, error):
            self._failures.put(call_request_id, (now(), error.copy()))

    def pop(self, call_request_id: str) -> None:
        """Forgets the failure."""
        self._failures.pop(call_request_id)

    def answered(self, call_request_id: str, error: GatewayError | None) -> None:
        """Learns of each answer: refused credentials are about the id while others' are accepted. None: a good one."""
        state = VendorState.UP if error is None else error.spec.vendor
        if state is VendorState.REFUSES:
            self._accepted.pop(call_request_id)
            self._refused.put(call_request_id, True)
        elif state is VendorState.UP:
            self._refused.pop(call_request_id)
            self._accepted.put(call_request_id, True)

    def _is_about_all_ids(self, call_request_id: str, error: GatewayError) -> bool:
        """Whether credentials are refused by the token endpoint, or for more other ids than are accepted lately."""
        if error.spec.vendor is not VendorState.REFUSES:
            return False
        others_refused = len(self._refused) - (self._refused.get(call_request_id) is not None)
        return error.delivery is not Delivery.REJECTED or len(self._accepted) < max(others_refused, 1)
