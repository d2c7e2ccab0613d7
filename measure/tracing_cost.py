"""What traces cost a call: `python -m measure.tracing_cost`. The parts of a call that look at them, without any other.

The same call is begun and ended without tracing, with a sampling ratio of 1 %, and with all calls sampled; in turns, so
that what else the machine does is the same for each. The differences are printed, in µs a call.
"""

import asyncio
import contextvars
import statistics
import time
from typing import Any

from server.observability.access_log import AccessLog
from server.observability.call_metrics import Method
from server.observability.metrics import Metrics
from server.observability.tracing import Tracing
from server.rpc.intercepted_call import CallEnvironment, InterceptedCall
from server.rpc.open_calls import OpenCalls
from testkit.collector import collecting

CALLS, TURNS = 5000, 40
_METHOD = Method("unary", "callrequest.v1.CallRequestService", "GetCallRequestResult")


class _Context:
    """What a call asks of gRPC's context."""

    def invocation_metadata(self) -> tuple[()]:
        """No metadata."""
        return ()

    def set_trailing_metadata(self, metadata: object) -> None:
        """Takes it."""


def _seconds(environment: CallEnvironment) -> float:
    context: Any = _Context()
    begun = time.perf_counter()
    for _ in range(CALLS):
        call = InterceptedCall(environment, None, _METHOD, "read", context)
        call.read_metadata()
        call.ended("OK")
    return (time.perf_counter() - begun) / CALLS


async def _main() -> None:
    async with collecting() as collector:
        metrics, log = Metrics(), AccessLog("error", None)
        kinds = {
            "off": None,
            "1 %": Tracing(collector.url, 0.01, metrics.spans_dropped),
            "all": Tracing(collector.url, 1.0, metrics.spans_dropped),
        }
        took: dict[str, list[float]] = {kind: [] for kind in kinds}
        for _ in range(TURNS):
            for kind, tracing in kinds.items():
                environment = CallEnvironment(metrics.calls, log, None, OpenCalls(), tracing)
                if kind == "all":
                    await asyncio.sleep(0.2)  # for the collector
                took[kind].append(contextvars.copy_context().run(_seconds, environment))
                metrics.flush()
        for tracing in kinds.values():
            if tracing is not None:
                await tracing.aclose(5)
    off = statistics.median(took["off"])
    for kind, seconds in took.items():
        middle = statistics.median(seconds)
        added, ratio = (middle - off) * 1e6, middle / off
        print(f"{kind}: {middle * 1e6:.2f} µs for begin and end, {added:+.2f} µs, ratio {ratio:.3f}")  # noqa: T201


if __name__ == "__main__":
    asyncio.run(_main())
