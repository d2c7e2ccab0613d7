"""A real Prometheus on loopback, and what it answers."""

import asyncio
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from testkit.server_process import end, free_ports, last_lines, start
from tools.contract import ROOT

PROGRAM = ROOT / "build" / "bin" / "prometheus"
INTERVAL = 2
"""Seconds between two scrapes, and between two evaluations of the rules."""
MAX_START = 60.0

Points = dict[str, list[tuple[float, float]]]
"""Moments and values of each series, by the labels as Prometheus' answer has them."""


class Prometheus:
    """address: of its HTTP API."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session = session
        self.address = address

    async def query(self, expr: str) -> list[tuple[dict[str, str], float]]:
        """Labels and values now."""
        answer = await self._get("query", query=expr)
        return [(each["metric"], float(each["value"][1])) for each in answer["result"]]

    async def series(
        self, expr: str, begun: float, ended: float
    ) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
        """Labels, and moments and values between two moments; values that are no number are left out."""
        answer = await self._get("query_range", query=expr, start=begun, end=ended, step=INTERVAL)
        found = []
        for each in answer["result"]:
            points = [(float(moment), float(value)) for moment, value in each["values"]]
            found.append((each["metric"], [point for point in points if math.isfinite(point[1])]))
        return [(labels, points) for labels, points in found if points]

    async def alerts(self) -> dict[str, Any]:
        """Those that are pending or fire, as its API has them."""
        found: dict[str, Any] = await self._get("alerts")
        return found

    async def _get(self, path: str, **parameters: Any) -> Any:
        async with self._session.get(f"{self.address}/api/v1/{path}", params=parameters) as reply:
            document = await reply.json()
        if document["status"] != "success":
            raise ValueError(f"{parameters.get('query', path)}: {document['error']}")
        return document["data"]

    async def is_ready(self) -> bool:
        """Whether it answers queries."""
        try:
            async with self._session.get(f"{self.address}/-/ready") as reply:
                return reply.status == 200
        except aiohttp.ClientError:
            return False


@asynccontextmanager
async def scraping(jobs: Mapping[str, Sequence[str]], rules: Path, folder: Path) -> AsyncIterator[Prometheus]:
    """Runs one with these rules until the block is left. jobs: their targets. folder: for what it stores."""
    intervals = {"scrape_interval": f"{INTERVAL}s", "scrape_timeout": f"{INTERVAL}s"}
    document = {
        "global": {**intervals, "evaluation_interval": f"{INTERVAL}s"},
        "rule_files": [str(rules)],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": list(targets)}]} for job, targets in jobs.items()
        ],
    }
    configuration, log = folder / "prometheus.yaml", folder / "log"
    configuration.write_text(yaml.safe_dump(document))
    [port] = free_ports(1)
    command = [
        str(PROGRAM),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    process = start(command, {}, log)
    try:
        async with aiohttp.ClientSession(trust_env=False) as session:
            prometheus = Prometheus(session, f"http://127.0.0.1:{port}")
            async with asyncio.timeout(MAX_START):
                while not await prometheus.is_ready():
                    if process.poll() is not None:
                        raise SystemExit(last_lines(log))
                    await asyncio.sleep(0.1)
            yield prometheus
    finally:
        end(process)
