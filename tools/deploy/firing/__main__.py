"""Plays the faults, all at once, and checks which alerts fire: python -m tools.deploy.firing [JOB ...] [--pictures].

Every time in the rules is a thirtieth: they are otherwise those of deploy/alerts. Before the faults no alert may fire,
and under each fault exactly those that the table has. Then each query of the dashboards must return something, and the
panels are drawn: into build/deploy, or with --pictures into docs/dashboards.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

import yaml

from tools.contract import ROOT
from tools.deploy.alerts.rules import RULES, faster
from tools.deploy.dashboards.boards import FILES

from .faults import FAULTS, Fault
from .panels_seen import look
from .prometheus import Prometheus, scraping
from .stage import Cues, Stage

FACTOR = 30
QUIET_SECONDS, FAULT_SECONDS = 20.0, 75.0
"""Before the faults, and at most under them: it ends as soon as all alerts have fired."""
FIRST_SECONDS = 10.0
"""Of a Prometheus that has not scraped yet."""
MORE_SECONDS = 10.0
"""For others that may not."""
MAX_START = 240.0

Fired = dict[str, set[str]]


async def fired(prometheus: Prometheus, seconds: float) -> Fired:
    """The alerts that fired in the last so many seconds, by job."""
    found = defaultdict(set)
    expr = f'max_over_time(ALERTS{{alertstate="firing"}}[{round(seconds)}s])'
    for labels, _ in await prometheus.query(expr):
        found[labels.get("job", "")].add(labels["alertname"])
    return found


async def until_fired(prometheus: Prometheus, faults: Collection[Fault]) -> Fired:
    """Waits until each fault's alerts have fired, or FAULT_SECONDS. Returns all that did since the faults began."""
    begun, seen = time.monotonic(), None
    while True:
        passed = time.monotonic() - begun
        found = await fired(prometheus, passed + 2)
        if passed > FAULT_SECONDS or (seen is not None and passed > seen + MORE_SECONDS):
            return found
        if seen is None and all(fault.alerts <= found[fault.job] for fault in faults):
            seen = passed
        await asyncio.sleep(1)


def report(faults: Collection[Fault], found: Fired) -> bool:
    """Prints what fired for each fault, and returns whether it is what should."""
    as_expected = True
    for fault in faults:
        missing, more = fault.alerts - found[fault.job], found[fault.job] - fault.alerts
        as_expected &= not missing and not more
        text = ", ".join(sorted(found[fault.job] - more)) or "nothing"
        text += "".join(f"; NOT FIRED {each}" for each in sorted(missing))
        text += "".join(f"; UNEXPECTED {each}" for each in sorted(more))
        print(f"{fault.row:14} {fault.job.removeprefix('call-request-gateway-'):16} {text}")
    strangers = set(found) - {fault.job for fault in faults}
    for job in sorted(strangers):
        print(f"UNEXPECTED of {job or 'no job'}: {', '.join(sorted(found[job]))}")
    return as_expected and not strangers


async def play(faults: Collection[Fault], pictures: Path | None) -> bool:
    """Plays them. pictures: the folder for what the dashboards show; None: they are not looked at."""
    cues = Cues()
    stages = [Stage(fault.job, cues) for fault in faults]
    begun = time.monotonic()
    plays = [asyncio.create_task(fault.play(stage)) for fault, stage in zip(faults, stages, strict=True)]
    try:
        with tempfile.TemporaryDirectory(prefix="firing-") as folder:
            await _all_set(stages, plays)
            print(f"{sum(len(stage.targets) for stage in stages)} gateways after {time.monotonic() - begun:.0f} s")
            rules = Path(folder) / "rules.yaml"
            groups = yaml.safe_load((ROOT / RULES).read_text())["groups"]
            rules.write_text(yaml.safe_dump({"groups": faster(groups, FACTOR)}))
            async with scraping({stage.job: stage.targets for stage in stages}, rules, Path(folder)) as prometheus:
                cues.callers.set()
                scraped_since = time.time()
                await asyncio.sleep(QUIET_SECONDS)
                early = await fired(prometheus, QUIET_SECONDS - FIRST_SECONDS)
                for job, alerts in early.items():
                    print(f"before the fault: {job}: {', '.join(alerts)}")
                cues.faults.set()
                found = await until_fired(prometheus, faults)
                for ended in (each for each in plays if each.done()):
                    ended.result()
                good = report(faults, found) and not early
                if pictures is not None:
                    good &= await look(prometheus, FILES.values(), pictures, scraped_since)
    finally:
        for each in plays:
            each.cancel()
        await asyncio.gather(*plays, return_exceptions=True)
    print(f"{time.monotonic() - begun:.0f} s")
    return good


async def _all_set(stages: Collection[Stage], plays: "Collection[asyncio.Task[None]]") -> None:
    """Waits until each fault is set up. Raises what one of them raised."""
    waits = [asyncio.create_task(stage.is_set.wait()) for stage in stages]
    async with asyncio.timeout(MAX_START):
        while not all(each.done() for each in waits):
            await asyncio.wait([*waits, *plays], timeout=0.5)
            for ended in (each for each in plays if each.done()):
                ended.result()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.deploy.firing", description=__doc__)
    parser.add_argument("jobs", nargs="*", help="without their prefix; all, unless given")
    parser.add_argument("--pictures", action="store_true", help="draw into docs/dashboards")
    options = parser.parse_args()
    faults = [
        each for each in FAULTS if not options.jobs or each.job.removeprefix("call-request-gateway-") in options.jobs
    ]
    folder = ROOT / ("docs/dashboards" if options.pictures else "build/deploy")
    folder.mkdir(parents=True, exist_ok=True)
    return 0 if asyncio.run(play(faults, None if options.jobs else folder)) else 1


if __name__ == "__main__":
    sys.exit(main())
