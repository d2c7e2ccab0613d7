"""Side by side: the same callers follow the same changes by polling, by watching, and by watching with the webhook.

The gateway has a core of its own, and no shared state. The callers follow already when the time begins. Half of the
call requests wait, and are called within the time; the others are being called, and are completed within it.
"""

import asyncio
import random
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any

from measure.cpu import cpu_seconds
from testkit.calls import identifier, percentile
from testkit.gateway_process import serving
from testkit.pushes import push_settings
from testkit.server_process import free_ports

from .callers import Caller, Gateway
from .lives import FINAL, Life
from .living_vendor import LivingVendor

POLLING, WATCHING, WEBHOOK = "Get each second", "Watch", "Watch, webhook"
WAYS = (POLLING, WATCHING, WEBHOOK)
PENDING_PACE, IN_PROGRESS_PACE = 60.0, 5.0
"""Seconds: the watch intervals, as they are by default. With the webhook both are the longer one."""
VENDOR_TAKES = 0.02
_NEVER = float("inf")
_CALLED, _COMPLETED = (0.05, 0.95), (0.5, 0.95)
"""When call requests are called, or completed: at random within these shares of the time."""


@dataclass(frozen=True, slots=True)
class Form:
    """So many callers, call requests and seconds. warm_up: seconds in which the callers begin."""

    callers: int = 2_000
    ids: int = 200
    seconds: float = 60.0
    warm_up: float = 8.0


@dataclass(frozen=True, slots=True)
class Followed:
    """One way. cpu: of the gateway, seconds. vendor_calls: in all.

    called, completed: seconds from each change to each caller that saw it. missing: how many changes were not seen.
    """

    way: str
    form: Form
    cpu: float
    vendor_calls: int
    called: list[float]
    completed: list[float]
    missing: int

    @property
    def cpu_each(self) -> float:
        """Milliseconds of CPU a caller and minute."""
        return self.cpu / self.form.callers / (self.form.seconds / 60) * 1000


async def follow(way: str, form: Form, *, core: int | None = None, patience: float = PENDING_PACE + 10) -> Followed:
    """Follows for the form's seconds, and at most so many more for the last changes to be seen. core: the gateway's."""
    chance = random.Random(5)  # noqa: S311 (not for secrets)
    settings: dict[str, Any] = {
        "DEFAULT_MAX_AGE": "",
        "FINAL_MAX_AGE": "",
        "WATCH_PENDING_INTERVAL": PENDING_PACE,
        "WATCH_IN_PROGRESS_INTERVAL": PENDING_PACE if way == WEBHOOK else IN_PROGRESS_PACE,
    }
    (port,) = free_ports(1)
    if way == WEBHOOK:
        settings |= push_settings(port)
    seen: dict[int, list[float]] = defaultdict(list)
    async with AsyncExitStack() as stack:
        vendor = await stack.enter_async_context(LivingVendor(VENDOR_TAKES))
        process = await stack.enter_async_context(serving(vendor.url, core=core, **settings))
        gateway = Gateway(process.port)
        stack.callback(gateway.close)
        for number in range(form.ids):
            is_called = bool(number % 2)
            change = form.warm_up + chance.uniform(*(_COMPLETED if is_called else _CALLED)) * form.seconds
            vendor.add(identifier("side", number), Life(0, 0, change) if is_called else Life(0, change, _NEVER))
        ids = [identifier("side", number % form.ids) for number in range(form.callers)]
        await asyncio.gather(*(gateway.read(identifier("warm", number % 50)) for number in range(500)))
        await asyncio.sleep(0.5)

        def sees(call_request_id: str, status: int, moment: float) -> None:
            changed_at = vendor.changed_at(call_request_id, status)
            if status and changed_at > 0:
                seen[status].append(moment - vendor.begun - changed_at)

        async def begin(call_request_id: str) -> None:
            await asyncio.sleep(chance.uniform(0, form.warm_up / 2))
            caller = Caller(lambda: gateway, sees)
            await (caller.poll(call_request_id, 1.0) if way == POLLING else caller.watch(call_request_id))

        vendor.begun = time.monotonic()
        if way == WEBHOOK:
            vendor.push(set(ids[1::2]), 0.0, lambda: [f"127.0.0.1:{port}"])
        tasks = [asyncio.create_task(begin(each)) for each in ids]
        await asyncio.sleep(form.warm_up - vendor.now)
        vendor.reads.clear()
        used = cpu_seconds(process.process.pid)
        await asyncio.sleep(form.warm_up + form.seconds - vendor.now)
        used, asked = cpu_seconds(process.process.pid) - used, vendor.reads.total()
        latest = time.monotonic() + patience
        while len(seen[1]) + len(seen[FINAL]) < form.callers and time.monotonic() < latest:  # noqa: ASYNC110
            await asyncio.sleep(0.5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return Followed(way, form, used, asked, seen[1], seen[FINAL], form.callers - len(seen[1]) - len(seen[FINAL]))


def table(followed: list[Followed]) -> str:
    """A line for each way."""
    lines = [
        "| callers | CPU a caller and minute | vendor calls | change to IN_PROGRESS: median, 99 % "
        "| change to COMPLETED: median, 99 % | not seen |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for each in followed:
        times = " | ".join(
            f"{median(some) * 1000:.0f} ms, {percentile(some, 0.99) * 1000:.0f} ms" if some else "—"
            for some in (each.called, each.completed)
        )
        lines.append(f"| {each.way} | {each.cpu_each:.2f} ms | {each.vendor_calls} | {times} | {each.missing} |")
    return "\n".join(lines)
