"""The metrics of all workers together, and whether they are ready."""

import asyncio
import os
import signal

from server.observability.debounce import DELAY
from testkit.scripted_vendor import never
from testkit.server_process import commanded
from testkit.stateful_vendor import Vendor, always

from .beside import beside_others
from .workers import (
    codes,
    connected,
    read_on,
    started,
    summed,
)


class TestMetrics:
    """What an operator sees of all workers together."""

    async def test_metrics_of_workers_are_sums_that_never_fall(self, vendor: Vendor) -> None:
        """Calls of all workers are counted in one; a dead one's counts stay, what it had in flight does not."""
        async with started(vendor.url) as gateway, connected(gateway, each=2) as connections:
            assert await codes(read_on(connections, "first")) == {0}
            await asyncio.sleep(2 * DELAY)
            assert summed(await gateway.scrape(), "grpc_server_handled_total") == 4
            vendor.on_read = always(never())
            waiting = read_on(connections, "never")
            await vendor.until(lambda: vendor.waiting == 4)
            await asyncio.sleep(2 * DELAY)
            assert (await gateway.scrape())["calls_in_flight{kind=read}"] == 4
            before = gateway.workers()
            os.kill(before[0], signal.SIGKILL)
            await gateway.until(lambda: gateway.logged("a worker ended"))
            metrics = await gateway.scrape()
            assert metrics["calls_in_flight{kind=read}"] == 2
            assert summed(metrics, "grpc_server_handled_total") == 4
            assert metrics["workers_ended_total{}"] == 1
            await gateway.until(lambda: gateway.workers()[0] != before[0])
            assert (await gateway.scrape())["workers_serving{}"] == 2
            vendor.on_read = vendor.result_of
            async with connected(gateway) as again:
                assert await codes(read_on(again, "again")) == {0}
            await asyncio.sleep(2 * DELAY)
            metrics = await gateway.scrape()
            assert summed(metrics, "grpc_server_handled_total") == 6
            assert summed(metrics, "grpc_server_handling_seconds_count") == 6
            for call in waiting:
                call.cancel()

    @beside_others
    async def test_ready_and_the_healthcheck_show_whether_calls_are_served(self) -> None:
        """As long as any worker serves; from the first SIGTERM on no more."""
        async with started(DRAIN_DELAY=15, GRACE=20) as gateway:
            settings = {name.removeprefix("GATEWAY_"): value for name, value in gateway.environment.items()}
            check = {name: settings[name] for name in ("LISTEN", "METRICS_LISTEN", "WORKERS")}
            assert await gateway.is_ready()
            assert (await asyncio.to_thread(commanded, "healthcheck", **check)).returncode == 0
            gateway.signal()
            await gateway.until(lambda: len(gateway.logged("draining")) == 3)
            assert not await gateway.is_ready()
            ended = await asyncio.to_thread(commanded, "healthcheck", **check)
            assert (ended.returncode, ended.stderr) == (1, f"{gateway.target}: NOT_SERVING\n")
