"""The metrics: every series that is known begins at 0, of one process and of several; what is counted is on them."""

import asyncio
import os
import platform
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from callrequest.v1.call_request_service_pb2 import DESCRIPTOR
from callrequest.v1.error_reason_pb2 import ErrorReason
from server import __version__
from server.app import KNOWN_LABELS, Gateway
from server.observability.call_metrics import CODES
from server.observability.metrics import Metrics
from server.observability.worker_metrics import AggregatedMetrics
from server.vendor_api.exchange import OUTCOMES
from testkit.gateway import metrics_of
from testkit.gateway_process import serving
from testkit.http2_connection import connected
from testkit.scripted_vendor import RESULT_ID, ScriptedVendor, failed, send
from testkit.server_process import ROOT, SERVE, end, gateway_environment, start

METHODS = [method.name for method in DESCRIPTOR.services_by_name["CallRequestService"].methods]
REASONS = [name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()[1:]]
SERVICE = "callrequest.v1.CallRequestService"
PROCESS = [
    f"process_{name}" for name in ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "start_time_seconds")
]


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """The values of all samples, by name and labels."""
    families = text_string_to_metric_families(text)
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def expected_at_zero() -> list[tuple[str, frozenset[tuple[str, str]]]]:
    """Every series that alerts may be about."""
    found = [key("log_lines_lost_total"), key("result_retries_total"), key("watchers")]
    for method in METHODS:
        labels = {"grpc_service": SERVICE, "grpc_method": method}
        found += [key("grpc_server_failures_total", reason=each, **labels) for each in REASONS]
        kind = "server_stream" if method.startswith("Watch") else "unary"
        labels["grpc_type"] = kind
        found += [key("grpc_server_handled_total", grpc_code=code, **labels) for code in CODES]
        found.append(key("grpc_server_handling_seconds_count", **labels))
    for operation, outcome in KNOWN_LABELS.requests:
        found.append(key("vendor_request_seconds_count", operation=operation, outcome=outcome))
    found += [key("vendor_quirks_total", quirk=each) for each in KNOWN_LABELS.quirks]
    found += [key("vendor_unrecognized_values_total", field=each) for each in KNOWN_LABELS.fields]
    found += [key("result_reads_total", source=each) for each in KNOWN_LABELS.sources]
    found += [key("cancellations_total", settled_by=each) for each in KNOWN_LABELS.settled_by]
    found += [key("watches_ended_total", cause=each) for each in KNOWN_LABELS.watch_causes]
    found += [key("batch_items_total")]
    found += [key("batch_items_failed_total", reason=each) for each in REASONS]
    found += [key("watch_polls_total", outcome=each) for each in ("read", "failed")]
    found += [key("calls_in_flight", kind=each) for each in ("read", "cancel")]
    return found


async def test_every_known_series_is_there_before_its_first_event(gateway: Gateway) -> None:
    """A series that is born at 1 raises no alert: `increase` sees no change in it."""
    scraped = samples(await metrics_of(gateway))
    assert [each for each in expected_at_zero() if scraped.get(each) != 0] == []


@pytest.mark.parametrize(("status", "outcome"), [(429, "429"), (404, "4xx"), (503, "5xx")])
async def test_a_rate_limit_of_the_vendor_is_counted_apart_from_other_refusals(
    gateway: Gateway, vendor: ScriptedVendor, status: int, outcome: str
) -> None:
    """An id that it does not know is 4xx, too, all day long."""
    vendor.answer("result", send(failed("CALL_REQUEST_NOT_FOUND"), status))
    async with connected(gateway.address[1]) as client:
        await client.read(RESULT_ID, 1)
    counted = samples(await metrics_of(gateway))
    ended = {
        each for each in OUTCOMES if counted[key("vendor_request_seconds_count", operation="result", outcome=each)]
    }
    assert ended == {outcome}


async def test_without_an_engine_there_is_no_state_that_could_be_down(gateway: Gateway) -> None:
    """0 is an engine that does not answer, and nothing else: an alert is about it."""
    assert "state_up" not in await metrics_of(gateway)


def test_an_engine_that_was_never_up_is_down() -> None:
    """The series begins with the first that is known."""
    metrics = Metrics()
    metrics.set_state_up(False)
    assert samples(metrics.exposition().decode())[key("state_up")] == 0
    metrics.set_state_up(True)
    assert samples(metrics.exposition().decode())[key("state_up")] == 1


def test_an_engine_that_is_lost_is_counted_once_however_often_it_is_tried() -> None:
    """A failover may be over before the next scrape. An engine that was never up was not lost."""
    metrics = Metrics()

    def losses() -> float:
        return samples(metrics.exposition().decode())[key("state_losses_total")]

    for is_up, expected in ((False, 0), (False, 0), (True, 0), (False, 1), (False, 1), (True, 1), (False, 2)):
        metrics.set_state_up(is_up)
        assert losses() == expected


async def test_with_workers_every_known_series_is_there_too() -> None:
    """Their sums begin at 0, and there are the processes' own figures for each."""
    async with serving("", WORKERS=2, DRAIN_DELAY=0, GRACE=5) as gateway, connected(gateway.port, 4) as client:
        before = await gateway.scrape()
        for name, labels in expected_at_zero():
            text = ",".join(f"{label}={value}" for label, value in sorted(labels))
            assert before[f"{name}{{{text}}}"] == 0
        assert (await client.read(RESULT_ID, 5)).code == 0
        scraped = await gateway.scrape()
        for name in PROCESS:
            for process in ("supervisor", "worker-0", "worker-1"):
                assert scraped[f"{name}{{process={process}}}"] > 0
        assert scraped[f"build_info{{python={platform.python_version()},version={__version__}}}"] == 1


async def test_the_metrics_have_the_build_and_the_process(gateway: Gateway) -> None:
    """Which version runs since when, and what it uses."""
    scraped = samples(await metrics_of(gateway))
    assert scraped[key("build_info", version=__version__, python=platform.python_version())] == 1
    assert all(scraped[key(name)] > 0 for name in PROCESS)


def test_lines_that_were_lost_are_counted_once() -> None:
    """By how many there are more at each scrape."""
    lost = 3
    metrics = Metrics(lines_lost=lambda: lost)
    assert samples(metrics.exposition().decode())[key("log_lines_lost_total")] == 3
    assert samples(metrics.exposition().decode())[key("log_lines_lost_total")] == 3
    lost = 5
    assert samples(metrics.exposition().decode())[key("log_lines_lost_total")] == 5


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_log_that_nothing_takes_shows_in_the_metrics(workers: int) -> None:
    """A full disk: the log itself cannot tell of it."""
    environment = gateway_environment(WORKERS=workers, DRAIN_DELAY=0, GRACE=5)
    url = f"http://{environment['GATEWAY_METRICS_LISTEN']}/metrics"
    port = int(environment["GATEWAY_LISTEN"].rpartition(":")[2])
    process = start(SERVE, environment, Path("/dev/full"), Path(os.devnull))
    try:
        async with asyncio.timeout(40), aiohttp.ClientSession() as session:
            lost = 0.0
            while lost < 20:
                await asyncio.sleep(0.2)
                try:
                    async with connected(port, 2) as client:
                        await client.read(RESULT_ID, 5)
                        await client.read(RESULT_ID, 5)
                    async with session.get(url) as reply:
                        lost = samples(await reply.text())[key("log_lines_lost_total")]
                except (OSError, aiohttp.ClientError, KeyError):
                    assert process.poll() is None
    finally:
        end(process)


def test_a_process_that_is_gone_is_no_failure(tmp_path: Path) -> None:
    """A worker may end in the midst of a scrape."""
    aggregated = AggregatedMetrics(str(tmp_path), lambda: {"supervisor": os.getpid(), "worker-0": 1 << 22})
    assert 'process_open_fds{process="supervisor"}' in aggregated.exposition().decode()
    assert "worker-0" not in aggregated.exposition().decode()


def test_the_metrics_of_one_process_need_no_folder() -> None:
    """Nothing of Prometheus' multiprocess mode is on until a worker turns it on."""
    printed = subprocess.run(
        [sys.executable, "-c", "from server.observability.metrics import Metrics; print(Metrics().exposition()[:0])"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout == "b''\n"
