"""Usage: calls, requests to the vendor and CPU time, as differences."""

import os
import re
import subprocess
import sys

from measure.cpu import cpu_seconds
from measure.loadtest.usage import Usage, read_counts
from testkit.gateway import metrics_of
from testkit.gateway import started as gateway_started

EXPOSITION = """\
# TYPE grpc_server_handled_total counter
grpc_server_handled_total{grpc_code="OK",grpc_method="GetCallRequestResult",grpc_service="callrequest.v1.CallRequestService",grpc_type="unary"} 40
grpc_server_handled_total{grpc_code="UNAVAILABLE",grpc_method="CancelCallRequest",grpc_service="callrequest.v1.CallRequestService",grpc_type="unary"} 2
grpc_server_handled_total{grpc_code="OK",grpc_method="Check",grpc_service="grpc.health.v1.Health",grpc_type="unary"} 500
# TYPE vendor_request_seconds histogram
vendor_request_seconds_bucket{le="+Inf",operation="result",outcome="2xx"} 7
vendor_request_seconds_count{operation="result",outcome="2xx"} 7
vendor_request_seconds_count{operation="result",outcome="5xx"} 1
vendor_request_seconds_count{operation="cancel",outcome="2xx"} 2
vendor_request_seconds_count{operation="token",outcome="2xx"} 100
vendor_request_seconds_sum{operation="result",outcome="2xx"} 9
"""  # noqa: E501 (Prometheus' own lines)


def test_calls_and_requests_are_counted_whatever_became_of_them() -> None:
    """Served are the service's calls of each method and code; vendor_calls are results and cancels, not tokens."""
    assert read_counts(EXPOSITION) == (42, 10)


async def test_the_counts_are_those_that_the_gateway_has() -> None:
    """The names looked for are the names of the gateway's metrics."""
    async with gateway_started(None) as gateway:
        text = await metrics_of(gateway)
    names = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    assert {"grpc_server_handled_total", "vendor_request_seconds"} <= names


def test_usage_is_what_was_done_since() -> None:
    """Counts are differences, and what is not known stays so."""
    assert Usage(10, 4, 2.5).since(Usage(4, 1, 1.0)) == Usage(6, 3, 1.5)
    assert Usage(10, 4, None).since(Usage(None, 1, 1.0)) == Usage(None, 3, None)


def test_cpu_time_is_that_of_the_process_and_of_all_below() -> None:
    """A gateway may have workers, and they may have a launcher between."""
    burn = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ntime.sleep(60)"
    between = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    with subprocess.Popen(
        [sys.executable, "-c", between, burn], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            assert 0.25 < cpu_seconds(process.pid) < 2
        finally:
            os.killpg(process.pid, 9)
    assert cpu_seconds(process.pid) == 0
