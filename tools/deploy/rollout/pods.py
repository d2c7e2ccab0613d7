"""Gateways as pods: what a kubelet, the endpoints' controller and the Deployment's controller do with them.

A pod is a process with an address of its own (127.7.0.1 and so on), and with the one port that all pods have.
"""

import asyncio
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp

from testkit.server_process import clean_environment, end, last_lines, start

from .chart import Probe, Timings
from .name_server import NameServer

ENDPOINTS_DELAY = 1.0  # seconds until a change of a pod is in the name's answer, as in a cluster that is not idle


class Pod:
    """One gateway. address: its own; environment: the container's."""

    def __init__(self, address: str, timings: Timings, environment: dict[str, str], folder: Path) -> None:
        self.address = address
        self.is_ready = False
        self._timings = timings
        self._log = folder / f"{address}.log"
        self._metrics = environment["GATEWAY_METRICS_LISTEN"].replace("0.0.0.0", address)  # noqa: S104
        own = {name: value.replace("0.0.0.0", address) for name, value in environment.items()}  # noqa: S104
        self.process = start([sys.executable, "-m", "server", "serve"], clean_environment() | own, self._log)
        self._probing = asyncio.ensure_future(self._probe())

    async def _probe(self) -> None:
        """As the kubelet does: the startup probe until it succeeds once, then readiness."""
        startup, readiness = self._timings.startup, self._timings.readiness
        while not await self._passes(startup):
            if self.process.poll() is not None:
                raise ChildProcessError(last_lines(self._log))
            await asyncio.sleep(startup.period)
        failures = 0
        while True:
            failures = 0 if await self._passes(readiness) else failures + 1
            self.is_ready = not failures or (self.is_ready and failures < readiness.failures)
            await asyncio.sleep(readiness.period)

    async def _passes(self, probe: Probe) -> bool:
        timeout = aiohttp.ClientTimeout(total=probe.timeout)
        session = aiohttp.ClientSession(f"http://{self._metrics}", timeout=timeout)
        with suppress(aiohttp.ClientError, TimeoutError):
            async with session, session.get(probe.path) as reply:
                return 200 <= reply.status < 400
        return False

    async def available(self) -> None:
        """Waits until it has been ready for minReadySeconds. Raises ChildProcessError when it did not start."""
        since = time.monotonic()
        while not self.is_ready or time.monotonic() - since < self._timings.min_ready:
            if self._probing.done():
                await self._probing
            if not self.is_ready:
                since = time.monotonic()
            await asyncio.sleep(0.05)

    async def terminate(self) -> tuple[int | None, float]:
        """SIGTERM, and SIGKILL after the grace period. Returns the exit code and the seconds until the end."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        latest = begun + self._timings.termination_grace
        while self.process.poll() is None and time.monotonic() < latest:  # noqa: ASYNC110 (an end raises no event)
            await asyncio.sleep(0.05)
        took = time.monotonic() - begun
        self.close()
        return self.process.poll(), took

    def close(self) -> None:
        """Ends it, however it is."""
        self._probing.cancel()
        self.is_ready = False
        end(self.process)


class Deployment:
    """The pods of a Deployment. names: where the ready ones that are not terminating can be found."""

    def __init__(self, timings: Timings, environment: dict[str, str], names: NameServer) -> None:
        self._timings, self._environment, self._names = timings, environment, names
        self._folder = Path(tempfile.mkdtemp(prefix="rollout-"))
        self._pods: list[Pod] = []
        self._terminating: list[Pod] = []
        self._made = 0

    def _make(self) -> Pod:
        self._made += 1
        pod = Pod(f"127.7.0.{self._made}", self._timings, self._environment, self._folder)
        self._pods.append(pod)
        return pod

    async def publish(self) -> None:
        """Keeps the name's addresses those of the pods, some time later."""
        while True:
            addresses = {pod.address for pod in self._pods if pod.is_ready and pod not in self._terminating}
            await asyncio.sleep(ENDPOINTS_DELAY)
            self._names.addresses = addresses

    async def scale_up(self) -> None:
        """Makes the first pods, and waits until clients can find them."""
        await asyncio.gather(*(self._make().available() for _ in range(self._timings.replicas)))
        while len(self._names.addresses) < self._timings.replicas:  # noqa: ASYNC110 (set by another task)
            await asyncio.sleep(0.05)

    async def roll_out(self) -> list[tuple[int | None, float]]:
        """Replaces each pod; returns how they ended. One more at a time, as maxSurge 1 and maxUnavailable 0 ask for."""
        assert (self._timings.max_surge, self._timings.max_unavailable) == (1, 0)
        ends = []
        for old in list(self._pods):
            await self._make().available()
            self._terminating.append(old)
            ends.append(asyncio.ensure_future(old.terminate()))
        return await asyncio.gather(*ends)

    def close(self) -> None:
        """Ends all of them."""
        for pod in self._pods:
            pod.close()
        shutil.rmtree(self._folder)


@asynccontextmanager
async def deployed(timings: Timings, environment: dict[str, str], names: NameServer) -> AsyncIterator[Deployment]:
    """A Deployment whose pods are ready, until the block is left."""
    deployment = Deployment(timings, environment, names)
    publishing = asyncio.ensure_future(deployment.publish())
    try:
        await deployment.scale_up()
        yield deployment
    finally:
        publishing.cancel()
        deployment.close()
