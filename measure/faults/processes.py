"""Cases: what a process lives in: signals, the reader of its log, the limit of open files, strangers on its ports."""

import asyncio
import fcntl
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from server.process.signal_mask import DRAIN, HANDLED
from testkit.calls import at_rate, counted, identifier
from testkit.gateway_process import GatewayProcess, serving
from testkit.http2_connection import Connection, Ended, connected
from testkit.scripted_vendor import never
from testkit.server_process import ROOT, gateway_environment
from testkit.stateful_vendor import Vendor, after, always

from .fault_case import FaultCase, Findings, Form

_RATE = 100.0  # calls a second
_SMALL_PIPE = 4096
_SOON = 5.0
_HANGING = 1100


def _codes(ended: list[Ended]) -> Counter[str]:
    return Counter(each.outcome for each in ended)


async def _log_unread(form: Form, findings: Findings) -> None:
    """The log fills its pipe with the first lines; thousands come after them, and then SIGTERM."""
    with tempfile.TemporaryDirectory() as folder:
        pipe = Path(folder, "log")
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, _SMALL_PIPE)
        unread = ("sh", "-c", 'exec "$@" >"$0" 2>&1', str(pipe))
        grace, number = 5.0, form.of(15_000, 60_000)  # more than the log's queue holds
        async with (
            Vendor() as vendor,
            serving(vendor.url, prefix=unread, DEFAULT_MAX_AGE=600, DRAIN_DELAY=0.2, GRACE=grace) as gateway,
            connected(gateway.port, 4) as client,
        ):
            ended = []
            for _ in range(0, number, 100):
                ended += await asyncio.gather(*(client.read(identifier("known", 0), 5) for _ in range(100)))
            findings.record(f"calls: {counted(_codes(ended).elements())}", all(each.code == 0 for each in ended))
            lost = (await gateway.scrape())["log_lines_lost_total{}"]
            findings.record(f"{lost:.0f} lines of the log lost and counted", 0 < lost <= number)
            begun = time.monotonic()
            gateway.signal()
            code = await gateway.ended(grace + 1)
            findings.record(f"exit code {code} after {time.monotonic() - begun:.1f} s", code == 0)
        os.close(reader)


async def _descriptors(form: Form, findings: Findings) -> None:
    """More hanging reads than the usual soft limit has descriptors, each on a connection to the vendor."""
    limited = ("prlimit", "--nofile=1024:16384")
    settings: dict[str, Any] = {"MAX_READS": 2000, "VENDOR_MAX_CONNECTIONS": 2000, "VENDOR_CONNECT_TIMEOUT": 20}
    async with (
        Vendor() as vendor,
        serving(vendor.url, prefix=limited, **settings) as gateway,
        connected(gateway.port, 16) as client,
    ):
        vendor.on_read = always(never())
        _, hard = resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE)
        findings.record(
            f"limit raised to {hard}", resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE)[0] == hard
        )
        calls = [asyncio.ensure_future(client.read(identifier("hanging", each), 30)) for each in range(_HANGING)]
        await vendor.until(lambda: vendor.waiting == len(calls))
        vendor.on_read = vendor.result_of
        opened = [await Connection.to(gateway.port) for _ in range(50)]
        ended = await asyncio.gather(*(each.read(identifier("new", number), 20) for number, each in enumerate(opened)))
        findings.record(f"{len(calls)} hang; on new connections: {counted(_codes(ended).elements())}", _all_ok(ended))
        findings.record("ready", await gateway.is_ready())
        for each in opened:
            each.transport.abort()
        for call in calls:
            call.cancel()


def _all_ok(ended: list[Ended]) -> bool:
    return all(each.code == 0 for each in ended)


async def _signals(form: Form, findings: Findings) -> None:
    """Every signal that is handled, again and again, to every process of one gateway and of one with workers."""
    for workers in (1, 2):
        async with (
            Vendor() as vendor,
            serving(vendor.url, WORKERS=workers) as gateway,
            connected(gateway.port, 8) as client,
        ):
            vendor.on_read = after(0.05, vendor.result_of)
            seconds = form.of(3.0, 15.0)
            load = asyncio.ensure_future(
                at_rate(_RATE, seconds, lambda number: client.read(identifier("call", number), 5))
            )
            processes = {gateway.process.pid, *gateway.workers().values()}
            sent = 0
            while not load.done():
                for number in HANDLED - DRAIN:
                    for process in processes:
                        os.kill(process, number)
                        sent += 1
                await asyncio.sleep(0.25)
            ended = await load
            findings.record(
                f"{sent} signals, {workers} workers: {counted(_codes(ended).elements())}",
                _all_ok(ended) and not gateway.logged("a worker ended"),
            )


async def _early_sigterm(form: Form, findings: Findings) -> None:
    """The first process of a namespace, started as in the image; outside of one where that needs root."""
    command = ["env", "--block-signal=TERM,INT,QUIT,HUP", sys.executable, "-m", "server", "serve"]
    if os.geteuid() == 0 and shutil.which("unshare"):
        command = ["unshare", "--pid", "--fork", "--kill-child", *command]
    environment = gateway_environment(DRAIN_DELAY=20, GRACE=25)
    codes, slowest = Counter[int | None](), 0.0
    for delay in range(0, form.of(120, 400), form.of(20, 5)):  # milliseconds
        process = subprocess.Popen(  # noqa: ASYNC220 (it begins at once)
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        target = await asyncio.to_thread(_gateway_process, process.pid, command)
        await asyncio.sleep(delay / 1000)
        begun = time.monotonic()
        os.kill(target, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(process.wait, 15)
        codes[process.poll()] += 1
        slowest = max(slowest, time.monotonic() - begun)
        process.kill()
        process.wait()
    text = ", ".join(f"{number} exit code {code}" for code, number in codes.items())
    findings.record(f"{text}; the slowest after {slowest:.1f} s", set(codes) == {0})


def _gateway_process(process: int, command: list[str]) -> int:
    """Waits until `env` has blocked SIGTERM; returns the process that becomes the gateway."""
    while True:
        with suppress(OSError, IndexError):
            number = process
            if command[0] == "unshare":
                number = int(Path(f"/proc/{process}/task/{process}/children").read_text().split()[0])
                if Path(f"/proc/{number}/comm").read_text() == "unshare\n":
                    continue  # it blocks signals of its own, until it becomes `env`
            (blocked,) = re.findall(r"^SigBlk:\s(\w+)$", Path(f"/proc/{number}/status").read_text(), re.MULTILINE)
            if int(blocked, 16) & 1 << signal.SIGTERM - 1:
                return number


async def _slow_metrics(form: Form, findings: Findings) -> None:
    """Connections that send half a request, or nothing; the operators' requests between them."""
    number = form.of(500, 2000)
    async with Vendor() as vendor, serving(vendor.url) as gateway, connected(gateway.port, 4) as client:
        port = int(gateway.environment["GATEWAY_METRICS_LISTEN"].rpartition(":")[2])
        before = _open_files(gateway)
        opened = []
        for each in range(number):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            if each % 2:
                writer.write(b"GET /metrics HTTP/1.1\r\nHost: here\r\n")
            opened.append((reader, writer))
        begun = time.monotonic()
        await gateway.scrape()
        took = time.monotonic() - begun
        findings.record(f"a scrape among {number} in {took * 1000:.0f} ms", took < 1)
        held = _open_files(gateway) - before
        findings.record(f"{held} descriptors held", held < 100)
        ended = await asyncio.gather(*(client.read(identifier("beside", each), 5) for each in range(50)))
        findings.record(f"calls: {counted(_codes(ended).elements())}", _all_ok(ended))
        for reader, _ in opened:
            with suppress(ConnectionError):
                await asyncio.wait_for(reader.read(), 10)
        took = time.monotonic() - begun
        findings.record(f"all ended after {took:.1f} s", took < 2 * _SOON)
        for _, writer in opened:
            writer.close()


def _open_files(gateway: GatewayProcess) -> int:
    return len(list(Path(f"/proc/{gateway.process.pid}/fd").iterdir()))


CASES = (
    FaultCase(
        "log-unread",
        "a log that nobody reads, 15 000 calls (long: 60 000), then SIGTERM",
        "every call answered, lost lines counted, exit code 0 within GRACE",
        _log_unread,
        timeout=90,
    ),
    FaultCase(
        "descriptors",
        "1 100 reads that hang at the vendor, started with a soft limit of 1 024 open files",
        "new connections and readiness answered",
        _descriptors,
        timeout=60,
    ),
    FaultCase(
        "signals",
        "every signal but those that drain, to each process, under 100 calls/s",
        "every call answered, no process ended",
        _signals,
        timeout=90,
    ),
    FaultCase(
        "early-sigterm",
        "SIGTERM to a container's first process in its first 120 ms (long: 400)",
        "exit code 0, never lost",
        _early_sigterm,
        timeout=120,
    ),
    FaultCase(
        "slow-metrics",
        "500 connections (long: 2 000) to the metrics port that send half a request or nothing",
        "a scrape in 1 s, fewer than 100 descriptors, calls as usual, all ended in 10 s",
        _slow_metrics,
        timeout=60,
    ),
)
