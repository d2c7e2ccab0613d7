"""Strangers' failed handshakes: counted, one JSON line a minute, and nothing else of gRPC's core on stderr."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable

import pytest

from measure.faults.callers import BY_CERTIFICATE
from measure.faults.secured import Site, secured
from server.rpc.core_log import LOG_INTERVAL, OTHER, REASONS, CoreLog
from testkit.certificate_authority import URI, Authority
from testkit.logs import log_to_stdout
from testkit.stateful_vendor import Vendor

FAILED = (
    "I1126 21:05:54.553280   18089 ssl_transport_security.cc:2563] Handshake failed with error SSL_ERROR_SSL: "
    "error:1000009c:SSL routines:OPENSSL_internal:{}: Invalid certificate verification context"
)


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, int]]:
    """The failures of each line about handshakes."""
    return [json.loads(line)["failures"] for line in capsys.readouterr().out.splitlines()]


async def test_each_reason_is_counted_and_logged_once_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    """The first at once, then all that came meanwhile together, however many."""
    log_to_stdout("info")
    clock, counted = _Clock(), list[str]()
    core = CoreLog(clock)
    core.on_failure = counted.append
    for reason in ("HTTP_REQUEST", *["CERTIFICATE_VERIFY_FAILED"] * 500, "SOMETHING_NEW"):
        assert core.take(FAILED.format(reason))
    assert logged(capsys) == [{"plain HTTP": 1}]
    clock.now += LOG_INTERVAL
    core.log_due()
    core.log_due()
    assert logged(capsys) == [{"certificate not verified": 500, OTHER: 1}]
    assert len(counted) == 502


def test_failures_that_still_wait_for_their_line_have_it_at_the_end() -> None:
    """The end of the process may come within the minute."""
    program = """
import os, sys
from server.rpc.core_log import CoreLog
from testkit.logs import log_to_stdout
log_to_stdout("info")
with CoreLog() as core:
    for _ in range(5):
        os.write(2, (sys.argv[1] + "\\n").encode())
"""
    command = [sys.executable, "-c", program, FAILED.format("HTTP_REQUEST")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert [json.loads(line)["failures"] for line in done.stdout.splitlines()] == [{"plain HTTP": 1}, {"plain HTTP": 4}]


@pytest.mark.parametrize(
    ("line", "is_core"),
    [
        pytest.param("I1126 21:05:54.553280   18089 chttp2_transport.cc:1403] Got goaway", True, id="another line"),
        pytest.param("E1126 21:17:09.034205     301 hpack_encoder.cc:618] Ignoring", True, id="an error of a client's"),
        pytest.param("F1126 21:17:09.034205     301 call.cc:1] Check failed", False, id="a crash"),
        pytest.param("Traceback (most recent call last):", False, id="Python's"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_other_lines_of_the_core_count_as_nothing(line: str, is_core: bool) -> None:
    """Nor is what others write taken for the core's."""
    assert CoreLog().take(line) is is_core


def test_what_others_write_to_stderr_goes_through() -> None:
    """In whole lines, and a last one that never ended; Python's own stderr is not touched, nor is a crash."""
    program = """
import os, sys, faulthandler
from server.rpc.core_log import CoreLog
with CoreLog() as core:
    faulthandler.enable()
    os.write(2, b"from C\\nI1126 21:05:54.553280 1 a.cc:1] from gRPC\\nno end")
    print("from Python", file=sys.stderr)
os.write(2, b" after\\n")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert sorted(done.stderr.replace("no end", "no end\n").split("\n")) == sorted(
        ["from C", "no end", " after", "from Python", ""]
    )


def test_a_closed_stderr_is_no_hindrance() -> None:
    """There is nothing to read then."""
    program = "import os; os.close(2)\nfrom server.rpc.core_log import CoreLog\nwith CoreLog(): print('served')"
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, timeout=30, check=True)
    assert done.stdout == "served\n"


async def _plain(site: Site) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", site.gateway.port)
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    await asyncio.sleep(0.3)
    writer.close()


async def _random(site: Site) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", site.gateway.port)
    writer.write(b"\0" + os.urandom(200))
    await asyncio.sleep(0.3)
    writer.close()


async def _without(site: Site) -> None:
    await site.read("a" * 16)


async def _another(site: Site) -> None:
    await site.read("a" * 16, Authority().issue(URI("urn:a")))


STRANGERS: dict[str, Callable[[Site], Awaitable[None]]] = {
    "plain HTTP": _plain,
    "not TLS": _random,
    "no certificate": _without,
    "certificate not verified": _another,
}


async def test_strangers_at_the_port_cause_one_line_and_their_counts() -> None:
    """On a real gateway: no line on stderr, a JSON line at info, the reasons in the metrics."""
    assert set(STRANGERS) <= set(REASONS.values())
    async with Vendor() as vendor, secured(vendor, BY_CERTIFICATE, mutual=True) as site:
        before = site.gateway.errors()
        for stranger in STRANGERS.values():
            await stranger(site)
        async with asyncio.timeout(10):
            while True:
                scraped = await site.gateway.scrape()
                if all(scraped[f"tls_handshakes_failed_total{{reason={reason}}}"] for reason in STRANGERS):
                    break
                await asyncio.sleep(0.1)
        lines = [line for line in site.gateway.log() if line.get("event") == "TLS handshakes failed"]
        assert [line["level"] for line in lines] == ["info"]
        assert site.gateway.errors() == before


UNREAD = """
import os, threading
from server.rpc.core_log import CoreLog

def write():
    for _ in range(3000):
        os.write(2, b"a line of something else than gRPC's core, which is passed on to whoever reads stderr\\n")
    os.write(1, b"written")

with CoreLog():
    writing = threading.Thread(target=write, daemon=True)
    writing.start()
    writing.join(30)
    os._exit(0)
"""


def test_a_stderr_that_nobody_reads_holds_up_nobody_who_writes_to_it() -> None:
    """Else the core's threads would wait in the midst of a call, once the pipes are full."""
    command = [sys.executable, "-c", UNREAD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.wait(60) == 0
        assert process.stdout is not None
        assert process.stdout.read() == b"written"
