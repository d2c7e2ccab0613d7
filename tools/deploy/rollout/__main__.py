"""Replaces two gateways, one after another, by the chart's timings, under 200 calls/s and 500 watches.

`python -m tools.deploy.rollout [--full]` plays what a cluster does: it starts processes by the rendered Deployment,
probes them, publishes the ready ones under a name as a headless Service does, and ends the old ones as a kubelet does.
Nothing that was called may be lost: exit code 1 when a call ends otherwise than OK, a watch without the final result,
or a gateway otherwise than by itself within its grace.

Without --full, minReadySeconds and the 30 s within which gRPC's clients look a name up no second time are both a fifth;
all other times are the chart's.
"""

import argparse
import asyncio
import functools
import sys
from collections import Counter
from dataclasses import replace

from testkit.calls import at_rate, counted, identifier
from testkit.server_process import free_ports
from testkit.stateful_vendor import Vendor

from .chart import Timings, timings
from .load import Load, clients
from .name_server import name_server
from .pods import deployed

RATE, WATCHES, WATCHED_IDS = 200.0, 500, 50
RESOLVE_SECONDS = 30.0  # gRPC's own, in all its languages
SHARE = 5
AFTER = 3.0  # seconds of load before and after


async def measure(chart: Timings, resolve_seconds: float) -> list[tuple[str, bool]]:
    """Returns the figures, each with whether it is as promised. resolve_seconds: as `clients` has it."""
    port = int(chart.environment["GATEWAY_LISTEN"].rpartition(":")[2])
    async with Vendor() as vendor, name_server() as names:
        environment = chart.environment | {
            "GATEWAY_VENDOR_URL": vendor.url,
            "GATEWAY_VENDOR_CLIENT_ID": "client",
            "GATEWAY_VENDOR_CLIENT_SECRET": "secret",
        }
        target = f"dns://127.0.0.1:{names.port}/gateway.test:{port}"
        async with deployed(chart, environment, names) as deployment, clients(target, resolve_seconds) as stubs:
            load = Load(stubs)
            ids = [identifier("watched", number) for number in range(WATCHED_IDS)]
            watches = [asyncio.ensure_future(load.watch(n, ids[n % WATCHED_IDS])) for n in range(WATCHES)]
            async with asyncio.timeout(60):
                while load.watching < WATCHES:  # noqa: ASYNC110 (it goes up and down)
                    await asyncio.sleep(0.05)
            ended = asyncio.Event()
            calls = asyncio.ensure_future(_until(ended, load))
            await asyncio.sleep(AFTER)
            ends = await deployment.roll_out()
            await asyncio.sleep(AFTER)
            ended.set()
            await calls
            for each in ids:
                vendor.commit(each)
            _, late = await asyncio.wait(watches, timeout=30)
            for watch in late:
                watch.cancel()
    load.watches["no final result"] += len(late)
    return [
        (f"{load.reads.total()} reads: {counted(load.reads.elements())}", set(load.reads) == {"OK"}),
        (f"{load.cancels.total()} cancels: {counted(load.cancels.elements())}", set(load.cancels) == {"OK"}),
        (f"{WATCHES} watches: {counted(load.watches.elements())}", +load.watches == Counter(final=WATCHES)),
        (f"{load.rewatched.total()} times a watch was begun anew", load.rewatched.total() >= WATCHES // 2),
        (f"slowest call {load.slowest:.1f} s", True),  # of the machine, too: no promise
        *((f"exit code {code} after {took:.0f} s of {chart.termination_grace:.0f}", code == 0) for code, took in ends),
    ]


async def _until(ended: asyncio.Event, load: Load) -> None:
    """Calls at an even rate, whatever becomes of them."""
    seconds: list[asyncio.Future[list[None]]] = []
    while not ended.is_set():
        first = len(seconds) * 1000
        seconds.append(asyncio.ensure_future(at_rate(RATE, 1, functools.partial(_call, load, first))))
        await asyncio.sleep(1)
    await asyncio.gather(*seconds)


async def _call(load: Load, first: int, number: int) -> None:
    await load.call(first + number)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.deploy.rollout", description=__doc__)
    parser.add_argument("--full", action="store_true", help="with the full times, some two minutes")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another value of the chart")
    arguments = parser.parse_args()
    ports = dict(zip(("ports.grpc", "ports.metrics"), free_ports(2), strict=True))
    chart = timings(
        *("settings.allowSandbox=true", "settings.allowPlaintext=true", "settings.watchPendingInterval=5"),
        "settings.vendorTimeout=30",  # on a busy machine our vendor is late
        *(f"{name}={port}" for name, port in ports.items()),
        *arguments.set,
    )
    share = 1 if arguments.full else SHARE
    figures = asyncio.run(measure(replace(chart, min_ready=chart.min_ready / share), RESOLVE_SECONDS / share))
    for figure, held in figures:
        print(figure if held else f"NOT {figure}")
    return 0 if all(held for _, held in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
