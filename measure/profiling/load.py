"""The two kinds of call, and the load of either by ghz."""

from dataclasses import dataclass

from measure.loadtest import ghz
from measure.loadtest.scenarios import Config


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of call. name: its table in budget.toml. status: of all call requests at the vendor. ids: how many."""

    name: str
    title: str
    status: str
    ids: int
    max_age: str | None


KINDS = (
    Kind("known", "An answer that is known: 100 ids, polled without max_age", "PENDING_TO_CALL", 100, None),
    Kind("passed-through", "An answer of now: each call asks the vendor, max_age 0", "COMPLETED", 10_000, "0s"),
)
CONCURRENCY, CONNECTIONS = 64, 4


class CallsFailedError(Exception):
    """Calls failed, and a profile of failures would mislead. The text has their number."""


def answered(kind: Kind, port: int, seconds: float) -> int:
    """Calls for so many seconds, on the cores of this process. Returns how many were answered.

    Raises CallsFailedError, GhzError.
    """
    calls, _ = ghz.run({kind.name: _config(kind, port, seconds)})
    if calls.failed or not calls.calls:
        raise CallsFailedError(f"{calls.failed} of {calls.calls} calls failed: {calls.errors}")
    return calls.calls


def _config(kind: Kind, port: int, seconds: float) -> Config:
    age = {} if kind.max_age is None else {"max_age": kind.max_age}
    return {
        "host": f"127.0.0.1:{port}",
        "insecure": True,
        "proto": "protos/callrequest/v1/call_request_service.proto",
        "import-paths": ["protos"],
        "call": "callrequest.v1.CallRequestService.GetCallRequestResult",
        "concurrency": CONCURRENCY,
        "connections": CONNECTIONS,
        "duration": f"{seconds:g}s",
        "duration-stop": "wait",
        "timeout": "10s",
        "count-errors": True,
        "disable-template-data": True,
        "data": [{"call_request_id": f"profile{number:09d}"} | age for number in range(kind.ids)],
    }
