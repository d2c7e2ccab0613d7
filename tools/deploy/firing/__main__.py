"""Plays the faults, all at once, and checks which alerts fire: python -m tools.deploy.firing [JOB ...] [--pictures].

Every time in the rules is a twentieth: they are otherwise those of deploy/alerts. Before the faults no alert may fire,
and under each fault exactly those that the table has, with texts that Prometheus could make of their templates. Faults
for which others fire are played again by themselves, at most twice: on a busy machine scrapes and calls come late. Each
query of the dashboards and of the runbook must return something, and the panels are drawn: into build/deploy, or with
--pictures into docs/dashboards.
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
from tools.deploy.dashboards.picture import draw

from .faults import FAULTS, Fault
from .panels_seen import Seen, is_whole, look, try_runbook
from .prometheus import Prometheus, scraping
from .stage import Cues, Stage

FACTOR = 20
QUIET_SECONDS, FAULT_SECONDS = 20.0, 90.0
"""Before the faults, and at most under them: it ends as soon as all alerts have fired."""
FIRST_SECONDS = 10.0
"""Of a Prometheus that has not scraped yet."""
MORE_SECONDS = 10.0
"""For others that may not."""
MAX_START = 240.0
MAX_PLAYS = 3

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


async def unreadable_texts(prometheus: Prometheus) -> set[str]:
    """Prints the texts of alerts that Prometheus could not make of their templates. Returns the jobs they are about."""
    found = set()
    for each in (await prometheus.alerts())["alerts"]:
        for name, text in each["annotations"].items():
            if "<error" in text or "<no value>" in text or "{{" in text:
                print(f"{each['labels']['alertname']}: {name}: {text}")
                found.add(each["labels"].get("job", ""))
    return found


def report(fault: Fault, early: set[str], found: set[str]) -> bool:
    """Prints what fired for a fault, and returns whether it is what should. early: before it began."""
    text = ", ".join(sorted(found & fault.alerts)) or "nothing"
    text += "".join(f"; NOT FIRED {each}" for each in sorted(fault.alerts - found))
    text += "".join(f"; UNEXPECTED {each}" for each in sorted(found - fault.alerts))
    text += "".join(f"; BEFORE THE FAULT {each}" for each in sorted(early))
    print(f"{fault.row:14} {fault.job.removeprefix('call-request-gateway-'):16} {text}", flush=True)
    return found == fault.alerts and not early


async def play(faults: Collection[Fault], *, with_queries: bool) -> tuple[list[Fault], Seen | None]:
    """Plays them. Returns those for which others fired, and what the dashboards show; None if a query has no result.

    with_queries: whether the queries of dashboards and runbook are run.
    """
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
                cues.faults.set()
                found = await until_fired(prometheus, faults)
                for ended in (each for each in plays if each.done()):
                    ended.result()
                wrong = [fault for fault in faults if not report(fault, early[fault.job], found[fault.job])]
                unreadable = await unreadable_texts(prometheus)
                wrong += [fault for fault in faults if fault.job in unreadable and fault not in wrong]
                seen: Seen | None = []
                if with_queries:
                    seen = await look(prometheus, FILES.values(), scraped_since)
                    if not await try_runbook(prometheus, scraped_since) or not is_whole(seen):
                        seen = None
    finally:
        for each in plays:
            each.cancel()
        await asyncio.gather(*plays, return_exceptions=True)
    print(f"{time.monotonic() - begun:.0f} s", flush=True)
    return wrong, seen


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
    named = [f"call-request-gateway-{job}" for job in options.jobs]
    wrong, seen = asyncio.run(play([each for each in FAULTS if not named or each.job in named], with_queries=not named))
    for _ in range(MAX_PLAYS - 1):
        if wrong:
            print(f"again: {len(wrong)}")
            wrong, _ = asyncio.run(play(wrong, with_queries=False))
    folder = ROOT / ("docs/dashboards" if options.pictures else "build/deploy")
    folder.mkdir(parents=True, exist_ok=True)
    for board, panels in seen or ():
        draw(board, panels, folder / f"{board.uid.removeprefix('call-request-gateway-')}.png")
    return 1 if wrong or seen is None else 0


if __name__ == "__main__":
    sys.exit(main())
