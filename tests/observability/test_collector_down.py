"""A gateway whose collector is not there, hangs, or cannot be used at all."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from server.app import Gateway
from server.doctor.traces import CHECK, check_traces
from testkit.calls import client_of
from testkit.collector import collecting
from testkit.gateway import metrics_of, settings_for
from testkit.gateway_process import serving
from testkit.server_process import ROOT, free_ports, gateway_environment
from testkit.stateful_vendor import Vendor


@pytest.fixture
async def unused() -> str:
    """An address where nothing listens."""
    return f"http://127.0.0.1:{free_ports(1)[0]}"


async def test_a_gateway_with_a_collector_that_hangs_ends_as_any_other() -> None:
    """With exit code 0 and not by force, although the collector has not answered yet."""
    async with (
        Vendor() as vendor,
        collecting(hangs=True) as collector,
        serving(vendor.url, OTLP_ENDPOINT=collector.url, TRACE_SAMPLE_RATIO=1, GRACE=20, DRAIN_DELAY=0) as gateway,
        client_of(gateway.target) as client,
    ):
        for number in range(3):
            await client.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=f"hanging{number:09}"))
        await gateway.until(lambda: collector.asked)
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended(30) == 0
        assert gateway.logged("stopped")
        assert not gateway.defects()


async def test_without_traces_none_are_dropped(gateway: Gateway) -> None:
    """The series is there from the start, for alerts."""
    assert "\ntrace_spans_dropped_total 0.0\n" in await metrics_of(gateway)


@pytest.mark.parametrize("command", ["serve", "serve --workers 2"])
@pytest.mark.parametrize(
    ("extra", "library", "setting", "value"),
    [
        pytest.param("tracing", "opentelemetry", "OTLP_ENDPOINT", "http://127.0.0.1:4317", id="tracing"),
        pytest.param("state", "redis", "STATE_URL", "redis://127.0.0.1:1", id="state"),
    ],
)
def test_without_the_extra_the_start_ends_with_what_to_install(
    tmp_path: Path, command: str, extra: str, library: str, setting: str, value: str
) -> None:
    """One line and exit code 2. It names no package of an index: that name belongs to nobody there."""
    (tmp_path / library).mkdir()
    (tmp_path / library / "__init__.py").write_text("raise ImportError('not installed')")
    listen, metrics, sandbox = free_ports(3)
    environment = gateway_environment(
        LISTEN=f"127.0.0.1:{listen}",
        METRICS_LISTEN=f"127.0.0.1:{metrics}",
        SANDBOX_LISTEN=f"127.0.0.1:{sandbox}",
        **{setting: value},
    )
    ended = subprocess.run(
        [sys.executable, "-m", "server", *command.split()],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{environment.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    line = f"GATEWAY_{setting}: needs the extra `{extra}`: pip install '<the wheel>[{extra}]', or in a clone: "
    assert (ended.returncode, ended.stderr) == (2, f"{line}.venv/bin/pip install -r requirements/image.txt\n")


async def test_doctor_says_whether_the_collector_takes_traces(unused: str) -> None:
    """It sends none of its own."""
    async with collecting() as collector:
        (finding,) = await check_traces(settings_for(None, otlp_endpoint=collector.url))
        assert (finding.check, finding.state) == (CHECK, "ok")
        assert finding.text == f"{collector.url} takes them; 1.00% of calls are sampled"
        assert (collector.asked, collector.spans) == (1, [])
    for endpoint in (unused, unused.replace("http", "https")):
        (finding,) = await check_traces(settings_for(None, otlp_endpoint=endpoint))
        assert finding.state == "failed"
        assert endpoint in finding.text
    (finding,) = await check_traces(settings_for(None))
    assert finding.state == "skipped"


async def test_an_outage_of_the_collector_is_one_line(unused: str) -> None:
    """Not a line for each try, and none of the library's."""
    async with (
        Vendor() as vendor,
        serving(vendor.url, OTLP_ENDPOINT=unused, TRACE_SAMPLE_RATIO=1) as gateway,
        client_of(gateway.target) as client,
    ):
        for number in range(3):
            await client.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=f"nobody{number:010}"))
            await asyncio.sleep(0.1)
        await gateway.until(lambda: gateway.logged("traces are not taken"))
        assert [line for line in gateway.log() if "logger" in line] == []
        assert len(gateway.logged("traces are not taken")) == 1
        assert not gateway.defects()
