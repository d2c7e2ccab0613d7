"""A vendor of many call requests, played at the transport on virtual time; and the use case that reads from it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from callrequest.v1.call_request_pb2 import CallRequestStatus
from server.concurrency_limit import ConcurrencyLimit
from server.deadline import Deadline, now
from server.errors import GatewayError
from server.observability.metrics import Metrics
from server.reading.result_cache import ResultCache
from server.reading.results import Results

from .scripted_vendor import TOKEN, failed, with_status
from .vendor_client import vendor_client

Answer = httpx.Response | Exception | None
"""A reply; what the transport raises; None: no reply at all."""


class VirtualVendor(httpx.AsyncBaseTransport):
    """Answers each read by `rule`, which gets its id, `seconds` later.

    reads: when each read came, and its id. left: how many were given up before they were answered.
    """

    def __init__(self, rule: Callable[[str], Answer] | None = None, seconds: float = 0.05) -> None:
        self.rule = rule or good
        self.seconds = seconds
        self.reads: list[tuple[float, str]] = []
        self.left = 0

    def asked(self, call_request_id: str) -> int:
        """How often it was asked for an id."""
        return Counter(each for _, each in self.reads)[call_request_id]

    def asked_since(self, moment: float) -> int:
        """How often it was asked for any id from a moment on."""
        return sum(at >= moment for at, _ in self.reads)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        target = request.extensions.get("target")
        if target is None:
            return httpx.Response(200, json=TOKEN)
        call_request_id = target.decode().split("/")[-2]
        self.reads.append((now(), call_request_id))
        answer = self.rule(call_request_id)
        try:
            async with asyncio.timeout(request.extensions["timeout"]["read"]):
                await asyncio.sleep(1e6 if answer is None else self.seconds)
        except TimeoutError:
            raise httpx.ReadTimeout("sent") from None
        except asyncio.CancelledError:
            self.left += 1
            raise
        if isinstance(answer, Exception):
            raise answer
        assert answer is not None
        return answer


def good(call_request_id: str, status: str = "PENDING_TO_CALL", **fields: Any) -> httpx.Response:
    """A result."""
    return httpx.Response(200, json=with_status(status, call_request_id) | fields)


def error_body(code: str, status: int = 200) -> httpx.Response:
    """The vendor's error body."""
    return httpx.Response(status, json=failed(code))


def bare(status: int, retry_after: object = None) -> httpx.Response:
    """A reply without a body."""
    return httpx.Response(status, headers={} if retry_after is None else {"retry-after": str(retry_after)})


def ids(prefix: str, number: int) -> list[str]:
    """So many ids of call requests, which begin with the prefix."""
    return [f"{prefix}{each:0{16 - len(prefix)}d}" for each in range(number)]


@asynccontextmanager
async def reading_from(
    vendor: VirtualVendor,
    *,
    default_max_age: float = 1.0,
    final_max_age: float = 3600.0,
    max_reads: int = 1000,
    max_per_second: float | None = None,
    vendor_timeout: float = 8.0,
    metrics: Metrics | None = None,
) -> AsyncIterator[Results]:
    """The use case, with settings as by default."""
    metrics = metrics or Metrics()
    client = vendor_client(
        vendor, "https://v.example", metrics, attempt_timeout=vendor_timeout, max_per_second=max_per_second
    )
    limit = ConcurrencyLimit(max_reads, metrics.in_flight("read"))
    async with (
        ResultCache(default_max_age, final_max_age, 1 << 24) as cache,
        Results(client, cache, limit, metrics) as results,
    ):
        yield results
    await client.aclose()


async def failure_of(
    results: Results, call_request_id: str, *, max_age: float | None = None, seconds: float = 10.0
) -> GatewayError | None:
    """Reads as a caller with so many seconds left does; the failure, None for an answer."""
    try:
        await results.read(call_request_id, max_age, Deadline.after(seconds))
    except GatewayError as error:
        return error
    return None


async def outcome_of(
    results: Results, call_request_id: str, *, max_age: float | None = None, seconds: float = 10.0
) -> str:
    """Reads as a caller with so many seconds left does; the status without its prefix, or the reason of the failure."""
    try:
        reading = await results.read(call_request_id, max_age, Deadline.after(seconds))
    except GatewayError as error:
        return error.reason_name
    return CallRequestStatus.Name(reading.result().status).removeprefix("CALL_REQUEST_STATUS_")
