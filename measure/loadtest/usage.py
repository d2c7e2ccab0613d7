"""The work of the gateway: by its metrics, and by the kernel's figures for its processes."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from measure.cpu import cpu_seconds

from .plain_http import NoAnswerError, ask
from .results import Moment

_SERVICE = "callrequest.v1.CallRequestService"
_OPERATIONS = ("result", "cancel")  # not tokens: those are fetched by the hour, not by the call


@dataclass(frozen=True, slots=True)
class UsageSource:
    """Sources of a gateway's usage: the address of its metrics, and its process. None: not known."""

    metrics: str | None
    pid: int | None


@dataclass(frozen=True, slots=True)
class Usage:
    """Usage since the start: calls served, requests to the vendor, seconds of CPU time. None: not known."""

    served: float | None
    vendor_calls: float | None
    cpu: float | None

    def since(self, before: "Usage") -> "Usage":
        """The usage between the two."""
        return Usage(
            _less(self.served, before.served),
            _less(self.vendor_calls, before.vendor_calls),
            _less(self.cpu, before.cpu),
        )


def read_usage(at: UsageSource) -> Usage:
    """Its usage so far. Raises NoAnswerError when its metrics do not answer."""
    served, vendor_calls = (None, None) if at.metrics is None else read_counts(ask(at.metrics, "/metrics").decode())
    return Usage(served, vendor_calls, None if at.pid is None else cpu_seconds(at.pid))


def read_counts(exposition: str) -> tuple[float, float]:
    """Calls served and requests to the vendor, out of Prometheus' text."""
    served = vendor_calls = 0.0
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if sample.name == "grpc_server_handled_total" and sample.labels["grpc_service"] == _SERVICE:
                served += sample.value
            elif sample.name == "vendor_request_seconds_count" and sample.labels["operation"] in _OPERATIONS:
                vendor_calls += sample.value
    return served, vendor_calls


@contextmanager
def watched(at: UsageSource, every: float) -> Iterator[list[Moment]]:
    """Samples the usage while the block runs, and appends to the list."""
    moments: list[Moment] = []
    over = threading.Event()

    def watch() -> None:
        begun = then = time.monotonic()
        before = read_usage(at)
        while not over.wait(every):
            with suppress(NoAnswerError):
                usage, now = read_usage(at), time.monotonic()
                done = usage.since(before)
                if done.served is not None and done.vendor_calls is not None:
                    moments.append(Moment(then - begun, now - then, done.served, done.vendor_calls))
                before, then = usage, now

    watcher = threading.Thread(target=watch, daemon=True)
    if at.metrics is not None:
        watcher.start()
    try:
        yield moments
    finally:
        over.set()
        if at.metrics is not None:
            watcher.join()


def _less(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else now - before
