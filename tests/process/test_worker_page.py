"""One status page for all workers, and one level of their logs."""

import asyncio
import os
import signal

import aiohttp

from server.observability.sampling import EVERY
from testkit.gateway_process import GatewayProcess
from testkit.http2_connection import Connection
from testkit.stateful_vendor import Vendor

from .workers import codes, connected, read_on, started


async def page_of(gateway: GatewayProcess) -> str:
    """Its status page."""
    url = f"http://{gateway.environment['GATEWAY_METRICS_LISTEN']}/"
    async with aiohttp.ClientSession() as session, session.get(url) as reply:
        assert reply.status == 200
        return await reply.text()


async def set_level(gateway: GatewayProcess, level: str) -> None:
    """Has all of it log from that level on."""
    url = f"http://{gateway.environment['GATEWAY_METRICS_LISTEN']}/log-level"
    async with aiohttp.ClientSession() as session, session.post(url, data={"level": level}) as reply:
        assert (reply.status, await reply.text()) == (200, f"{level}\n")


async def test_it_is_one_page_for_all_workers(vendor: Vendor) -> None:
    """Sums of all, and a row for each where there is no sum."""
    async with started(vendor.url) as gateway:
        async with connected(gateway) as connections:
            assert await codes(read_on(connections, "first")) == {0}
        async with asyncio.timeout(30):  # each worker looks at its token every second
            while "not tried yet" in (page := await page_of(gateway)):  # noqa: ASYNC110
                await asyncio.sleep(EVERY / 4)
    assert "2 of 2 workers serve" in page
    assert page.count("<td>worker-0</td>") == page.count("<td>worker-1</td>") == 2
    assert "<td>supervisor</td>" in page
    assert '<td class="number">2</td><td class="number">100.0 %</td>' in page  # GetCallRequestResult


async def test_the_level_of_the_log_is_that_of_all_workers(vendor: Vendor) -> None:
    """Also of one that replaces another later."""
    async with started(vendor.url) as gateway:
        assert len(gateway.logged("a worker serves")) == 2
        await set_level(gateway, "warning")
        await gateway.until(lambda: len(gateway.logged("the level of the log is warning")) == 3)
        os.kill(gateway.workers()[0], signal.SIGKILL)
        await gateway.until(lambda: gateway.logged("a worker ended"))
        await gateway.until(lambda: len(gateway.logged("the level of the log is warning")) == 4)  # the new one, too
        connections = [[await Connection.to(gateway.port)] for _ in range(12)]
        await codes(read_on(connections, "silent", 30))
        await set_level(gateway, "info")
        await gateway.until(lambda: len(gateway.logged("the level of the log is info")) == 3)
        before = len(gateway.logged("call"))
        assert {line["level"] for line in gateway.logged("call")} <= {"warning"}  # of a machine with too much to do
        await codes(read_on(connections, "logged", 30))
        await gateway.until(lambda: len(gateway.logged("call")) == before + 12)
        assert "info" in {line["level"] for line in gateway.logged("call")}
        for (connection,) in connections:
            connection.transport.abort()
