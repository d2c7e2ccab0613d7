"""Work that is put off is done soon, all of it, in order."""

import asyncio
import json

import pytest

from server.observability.call_metrics import Method
from server.observability.debounce import DELAY
from server.observability.deferred import Deferred
from server.observability.metrics import Metrics
from testkit.logs import log_to_stdout


async def test_work_is_done_together_and_soon() -> None:
    """Nothing at once; all that was put off, in order, once DELAY is over; and again for what comes later."""
    deferred, done = Deferred(), list[int]()
    for number in range(3):
        deferred.defer(done.append, number)
    assert done == []
    await asyncio.sleep(3 * DELAY)
    assert done == [0, 1, 2]
    deferred.defer(done.append, 3)
    await asyncio.sleep(3 * DELAY)
    assert done == [0, 1, 2, 3]


async def test_flushing_does_it_now_and_once() -> None:
    """What was flushed is not done again when its time comes."""
    deferred, done = Deferred(), list[int]()
    deferred.defer(done.append, 0)
    deferred.flush()
    assert done == [0]
    await asyncio.sleep(3 * DELAY)
    assert done == [0]


async def test_work_that_fails_is_logged_and_the_rest_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    """One defect must not cost the counts of all calls around it."""
    log_to_stdout("info")
    deferred, done = Deferred(), list[int]()
    deferred.defer(done.append, 0)
    deferred.defer(done.remove, 7)  # which is not there
    deferred.defer(done.append, 1)
    deferred.flush()
    assert done == [0, 1]
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["event"], line["error"]) == ("unexpected", "ValueError")


async def test_a_scrape_has_what_was_counted_just_before() -> None:
    """Prometheus gets what happened until now, though counting is put off."""
    metrics = Metrics()
    in_flight = metrics.in_flight("read")
    for number in (1, 2, 1):
        in_flight(number)
    metrics.calls.ended(Method("unary", "a.Service", "Method"), "web", "OK", None, 0.01)
    metrics.vendor_request("result", "2xx", 0.01)
    metrics.read("vendor")
    scraped = metrics.exposition().decode()
    for line in (
        'calls_in_flight{kind="read"} 1.0',
        'grpc_server_handled_total{grpc_code="OK",grpc_method="Method",grpc_service="a.Service",grpc_type="unary"} 1.0',
        'grpc_server_calls_by_caller_total{caller="web",grpc_code="OK",grpc_method="Method"} 1.0',
        'vendor_request_seconds_count{operation="result",outcome="2xx"} 1.0',
        'result_reads_total{source="vendor"} 1.0',
    ):
        assert line in scraped.splitlines()
    in_flight(0)
    assert 'calls_in_flight{kind="read"} 0.0' in metrics.exposition().decode().splitlines()
