"""Plays the events of a night one after the other, and measures what the operator makes of each."""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import aiohttp

from .events import Event, VendorDies
from .installation import Installation

QUIET_SECONDS = 45.0
"""Before the first event; then there is no alert but those of a start."""
BOUND = 210.0
"""Seconds for an event, and then it is ended."""
PAUSE_SECONDS = 15.0, 45.0
SETTLING_SECONDS = 10.0
"""After an event was mended: an answer may still be written."""
TICK = 0.5

Act = Callable[[Event], Awaitable[object]]
_TIME = re.compile(r"^\s*\d\d:\d\d(:\d\d)?\s*\|")


class Line(NamedTuple):
    """A line of the file of answers. moment: when it was seen, by time.monotonic."""

    moment: float
    cause: str
    action: str
    text: str


@dataclass(slots=True)
class Seen:
    """Of an event; times in seconds after its beginning, None: never. mended: by the operator."""

    kind: type[Event]
    begun: float
    """By time.monotonic."""
    began: str
    mended: float | None = None
    fired: dict[str, float] = field(default_factory=dict)

    @property
    def alert(self) -> float | None:
        """When the first alert about it fired."""
        return min((at for alert, at in self.fired.items() if alert in self.kind.alerts), default=None)


def line_of(text: str, moment: float) -> Line:
    """An answer: `cause | action`, with a time in front or without."""
    cause, *actions = _TIME.sub("", text).split("|")
    return Line(moment, cause.strip(), " ".join(each.strip() for each in actions), text)


class Answers:
    """The file in which the operator names causes and actions."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.lines: list[Line] = []

    def read(self) -> None:
        """Notes which lines are new."""
        texts = [each for each in self._path.read_text().splitlines() if each.strip()]
        self.lines += [line_of(each, time.monotonic()) for each in texts[len(self.lines) :]]


async def _firing(site: Installation) -> set[str]:
    try:
        found = await site.prometheus.query('ALERTS{alertstate="firing"}')
    except (aiohttp.ClientError, TimeoutError):
        return set()
    return {labels["alertname"] for labels, _ in found}


async def _play(event: Event, answers: Answers, early: set[str], act: Act | None) -> Seen:
    """Plays an event until it is mended, or for BOUND. early: the alerts that fired before it."""
    begun, latest = time.monotonic(), time.monotonic() + BOUND
    seen = Seen(type(event), begun, time.strftime("%H:%M:%S", time.gmtime()))
    await event.begin()
    while time.monotonic() < latest:
        await asyncio.sleep(TICK)
        passed = time.monotonic() - begun
        answers.read()
        firing = await _firing(event.site)
        early &= firing
        for alert in firing - early:
            seen.fired.setdefault(alert, passed)
        if act is not None and seen.alert is not None:
            await act(event)
            act = None
        if seen.mended is None and await event.is_mended():
            seen.mended = passed
            latest = min(latest, time.monotonic() + SETTLING_SECONDS)
    await event.end()
    return seen


async def play(
    site: Installation,
    kinds: Sequence[type[Event]],
    chance: random.Random,
    answers: Answers,
    record: Callable[[Seen], None],
    act: Act | None = None,
) -> None:
    """Plays all of them. record: takes what was seen of each, as it ends. act: called once for each, at its alert."""
    await asyncio.sleep(QUIET_SECONDS)
    for number, kind in enumerate(kinds):
        follows = number > 0 and kinds[number - 1] is VendorDies
        if number and not follows:
            await asyncio.sleep(chance.uniform(*PAUSE_SECONDS))
        answers.read()
        record(await _play(kind(site, chance), answers, await _firing(site), act))
    await asyncio.sleep(PAUSE_SECONDS[0])
    answers.read()


def attributed(lines: Sequence[Line], all_seen: Sequence[Seen]) -> list[list[Line]]:
    """The lines about each event: those that name it, however late, else those that were written before the next."""
    found: list[list[Line]] = [[] for _ in all_seen]
    for line in lines:
        begun = [number for number, seen in enumerate(all_seen) if seen.begun <= line.moment]
        named = [number for number in begun if all_seen[number].kind.is_named_in(line.cause)]
        for number in (named or begun)[-1:]:
            found[number].append(line)
    return found


def report(all_seen: Sequence[Seen], lines: Sequence[Line]) -> str:
    """A table of the events, and what was answered to each."""

    def seconds(value: float | None) -> str:
        return "-" if value is None else f"{value:.0f} s"

    table = [f"{'event':36}{'began (UTC)':>11}{'alert':>8}{'named':>8}{'mended':>8}"]
    details = []
    for seen, answers in zip(all_seen, attributed(lines, all_seen), strict=True):
        kind = seen.kind
        named = next((line.moment - seen.begun for line in answers if kind.is_named_in(line.cause)), None)
        mended = "NOT" if seen.mended is None else seconds(seen.mended)
        table.append(f"{kind.name:36}{seen.began:>11}{seconds(seen.alert):>8}{seconds(named):>8}{mended:>8}")
        fired = ", ".join(f"{alert} {at:.0f} s" for alert, at in seen.fired.items()) or "none"
        details += [f"\n{kind.name}", f"  right: {kind.right}", f"  alerts: {fired}"]
        details += [f"  afterwards: {kind.afterwards}"] if kind.afterwards and seen.mended is not None else []
        details += [f"  answer: {line.text}" for line in answers] or ["  no answer"]
    note = "\nSeconds are from the event's beginning. Names are judged by their words: read them, too."
    return "\n".join([*table, note, *details]) + "\n"
